"""Models for inference, from a config and a checkpoint, or published."""
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

import mofm.hub  # noqa: F401  checkpoints load safely, also from a URL
from mofm.hub.checkpoint import check_state, get_state, load_local
from mofm.hub.published import find_published, is_hub_id, read_config
from mofm.models import MotionPretrainer
from mofm.registry import MODELS
from mofm.utils.config import load_config

from .inferencers import published_keys


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None,
               device: str | None = None, cfg_options: dict | None = None) -> BaseModel:
    """Build the model of a config, with the weights of a checkpoint.

    Args:
        config (str, Path or Config): A config of ``tools/train.py``; or a published folder or
            the ID of one on the Hugging Face hub, which include their weights.
        checkpoint (str or Path, optional): Checkpoint of a training, or a published folder.
            Without one the weights of a config of ``tools/train.py`` are random.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        cfg_options (dict, optional): Settings of a config to override, e.g.
            ``{'model.backbone.depth': 2}``.

    Returns:
        BaseModel: In evaluation mode, with the attributes ``cfg`` (Config) and ``dataset_meta``
        (dict), the metadata of the training data in the checkpoint, e.g. ``classes``.

    Raises:
        FileNotFoundError: If the config, checkpoint, folder or repository does not exist.
        ValueError: If the checkpoint cannot be read or does not fit the model, or if a published
            config is more than the description of a model.
    """
    published = None
    path = None if isinstance(config, Config) else Path(config).expanduser()
    if path and (path.is_dir() or path.name == 'config.json'
                 or not path.exists() and is_hub_id(path)):
        if cfg_options:
            raise ValueError(f'cfg_options: found {config}, expected a .py config to override')
        published = find_published(path.parent if path.name == 'config.json' else path)
        config = read_config(published / 'config.json', published_keys())
    else:
        config = load_config(config, cfg_options)
    init_default_scope('mofm')
    checkpoint = published if checkpoint is None else checkpoint
    meta: dict = {}
    if checkpoint is None:
        model = MODELS.build(config.model)
    else:
        content = load_local(str(checkpoint), map_location='cpu')
        state = get_state(content)
        meta = content.get('meta', {}).get('dataset_meta') or {}
        model = MODELS.build(config.model) if published is None else _build_published(
            config, state, meta, published)
        check_state(model, state, str(checkpoint))
        model.load_state_dict({k: state[k] for k in model.state_dict()})
    model.cfg, model.dataset_meta = config, meta
    return model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu')).eval()


def _build_published(config: Config, state: dict, meta: dict, folder: Path) -> BaseModel:
    """Build a model from an untrusted config, no larger than its weights."""
    left = sum(tensor.numel() for tensor in state.values())

    def count(module: nn.Module, name: str, parameter: nn.Parameter):
        nonlocal left
        left -= parameter.numel()
        if left < 0:
            raise ValueError('it is larger than its weights')

    where = folder / 'config.json'
    handle = register_module_parameter_registration_hook(count)
    try:
        model = MODELS.build(config.model)
    except Exception as error:  # wrong values raise nearly anything
        raise ValueError(f'{where}: the model cannot be built ({type(error).__name__}: '
                         f'{str(error)[:300]})') from error
    finally:
        handle.remove()
    head = config.model.get('cls_head') or config.model.get('head') or {}
    classes = head.get('num_classes')
    names = meta.get('classes')
    if classes is not None and names is not None and len(names) != classes:
        raise ValueError(f'{folder / "labels.txt"}: found {len(names)} names, expected {classes}, '
                         f'the num_classes of {where.name}')
    if isinstance(model, MotionPretrainer):  # its teacher is no submodule
        teacher = {k.removeprefix('tokenizer.'): v for k, v in state.items()
                   if k.startswith('tokenizer.')}
        check_state(model.tokenizer, teacher, str(folder))
        model.tokenizer.load_state_dict(teacher)
        model.tokenizer.init_cfg = dict(
            type='Pretrained', checkpoint=str(folder), prefix='tokenizer.')
    return model
