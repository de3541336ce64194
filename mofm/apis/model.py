"""Models for inference, from a config and a checkpoint, or published."""
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import get_ident

import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from mofm.hub.checkpoint import check_state, get_state, load_local
from mofm.hub.published import check_digests, find_published, is_published, read_config
from mofm.hub.zoo import suggest
from mofm.models import MotionPretrainer
from mofm.registry import MODELS
from mofm.utils.checks import found_expected, show
from mofm.utils.config import load_config
from mofm.utils.urls import live_hint, mask

from .inferencers import published_keys

_MAX_BUFFERS = 2**20  # values that a published model computes, e.g. the order of its cubes
_MAX_MODULES = 1000  # and parameters, of a published model without weights


def init_model(config: str | Path | Config, checkpoint: str | Path | None = None,
               device: str | None = None, cfg_options: dict | None = None) -> BaseModel:
    """Build the model of a config, with the weights of a checkpoint.

    Args:
        config (str, Path or Config): A model of the zoo, see :func:`mofm.hub.zoo.list_models`, a
            published folder or the ID of one on the Hugging Face hub, which include their
            weights; or a config of ``mofm train``, a file or a name.
        checkpoint (str or Path, optional): Checkpoint of a training, or a published model.
            Without one the weights of a config are random.
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
    if hint := live_hint(config):
        raise ValueError(f'config: found {mask(str(config))}, expected the name of a model, a '
                         f'folder or a config{hint}')
    if not isinstance(config, Config) and is_published(config):
        if cfg_options:
            raise ValueError(f'cfg_options: found {config}, expected a .py config to override')
        published = find_published(config)
        config = read_config(published / 'config.json', published_keys())
    else:
        try:
            config = load_config(config, cfg_options)
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{error}{suggest(config)}') from None
    init_default_scope('mofm')
    checkpoint = published if checkpoint is None else checkpoint
    meta: dict = {}
    if checkpoint is None:
        model = MODELS.build(config.model)
    else:
        content = load_local(checkpoint, map_location='cpu')
        state = get_state(content)
        meta = content.get('meta', {}).get('dataset_meta') or {}
        model = MODELS.build(config.model) if published is None else _build_published(
            config, state, meta, published)
        check_state(model, state, str(checkpoint))
        if checkpoint == published:
            check_digests(published)
        model.load_state_dict({k: state[k] for k in model.state_dict()})
    model.cfg, model.dataset_meta = config, meta
    return model.to(device or ('cuda' if torch.cuda.is_available() else 'cpu')).eval()


def _build_published(config: Config, state: dict, meta: dict, folder: Path) -> BaseModel:
    """Build a model from an untrusted config, no larger than its weights.

    It is first built without memory, on the meta device, and compared with the weights.
    """
    where = folder / 'config.json'
    with _at_most(_MAX_MODULES + 10 * len(state)), torch.device('meta'):
        model = _build(config, where)
    _check_published(model, state, folder)
    head = config.model.get('cls_head') or config.model.get('head') or {}
    classes = head.get('num_classes')
    names = meta.get('classes')
    if classes is not None and names is not None and len(names) != classes:
        raise ValueError(f'{folder / "labels.txt"}: found {len(names)} names, expected {classes}, '
                         f'the num_classes of {where.name}')
    model = _build(config, where)
    if isinstance(model, MotionPretrainer):
        model.tokenizer.load_state_dict(_teacher(state))
        model.tokenizer.init_cfg = dict(
            type='Pretrained', checkpoint=str(folder), prefix='tokenizer.')
    return model


def _build(config: Config, where: Path) -> BaseModel:
    try:
        return MODELS.build(config.model)
    except Exception as error:  # wrong values raise nearly anything
        raise ValueError(f'{where}: model: cannot be built ({type(error).__name__}: '
                         f'{show(str(error))})') from error


def _teacher(state: dict) -> dict:
    """Return the weights of the teacher of a pre-training, which is no submodule."""
    return {k.removeprefix('tokenizer.'): v for k, v in state.items()
            if k.startswith('tokenizer.')}


def _check_published(model: BaseModel, state: dict, folder: Path):
    """Compare a model on the meta device with its weights."""
    check_state(model, state, str(folder))
    if isinstance(model, MotionPretrainer):
        check_state(model.tokenizer, _teacher(state), str(folder))
    saved = model.state_dict().keys()
    size = sum(buffer.numel() for name, buffer in model.named_buffers() if name not in saved)
    if size > _MAX_BUFFERS:
        raise ValueError(found_expected(folder / 'config.json', 'model', f'{size} values that are '
                                        'not in the weights', f'at most {_MAX_BUFFERS}'))


@contextmanager
def _at_most(count: int) -> Iterator[None]:
    """Refuse to register more modules and parameters in this thread."""
    thread, left = get_ident(), count

    def take(module: nn.Module, name: str, item: nn.Module | nn.Parameter):
        nonlocal left
        left -= get_ident() == thread
        if left < 0:
            raise ValueError(f'it has over {count} modules and parameters, more than its weights')

    handles = [register_module_parameter_registration_hook(take),
               register_module_module_registration_hook(take)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
