"""Costs of a training on any number of devices.

FLOPs, parameters, memory and bytes are counted on the model of a config; MoFM's backbone is
counted at two depths and extrapolated, which is exact for equal blocks. Activations are the
tensors that autograd keeps for the backward pass, with fused attention, without temporary buffers.
Clips are those of the training data where these exist, else procedural motion in the pipeline of
the test. The queue of a contrastive model is empty.

References: ring all-reduce moves 2 (D - 1) / D of the gradients through every device; ZeRO
(arXiv 1910.02054, Sec. 7) the same for stage 1, and half as much again for stage 3 (FSDP).
"""

import copy
import tempfile
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope

from mofm.annotations import dump_annotations
from mofm.datasets import MotionCorpus, MotionDataset, SyntheticMotion, motion_collate
from mofm.registry import DATASETS
from mofm.utils.config import load_config

from .model import init_model
from .profiling import flop_counter, make_batch, parts, typical

_UNIT = 2  # clips of a batch at least, for batch norm and losses that compare clips
_SOME = 60  # clips, among which a typical one is chosen


def _remove_init_cfg(settings):
    """Remove checkpoints from a config; their values do not change the counts."""
    if isinstance(settings, dict):
        settings.pop('init_cfg', None)
        for value in settings.values():
            _remove_init_cfg(value)


def _repeat(batch: dict, times: int) -> dict:
    """Repeat a collated batch of one clip."""
    out = dict(inputs={k: torch.cat([v] * times) for k, v in batch['inputs'].items()},
               data_samples=[copy.deepcopy(s) for s in batch['data_samples'] * times])
    return dict(out, labels=batch['labels'].repeat(times)) if 'labels' in batch else out


def _forward(model: BaseModel, batch: dict, amp: bool) -> torch.Tensor:
    """Compute the loss of a training step."""
    data = model.data_preprocessor(batch, training=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        losses = model(**data, mode='loss')
    return model.parse_losses(losses)[0]


def _kept_bytes(model: BaseModel, batch: dict, amp: bool) -> int:
    """Count the bytes of tensors that the backward pass needs, without the weights."""
    weights = {t.untyped_storage().data_ptr()
               for t in (*model.parameters(), *model.buffers())}
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor  # kept alive by the graph, so addresses are unique

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = _forward(model, batch, amp)
    del loss
    return sum(size for address, size in storages.items() if address not in weights)


def training_files(settings) -> list[str]:
    """List the annotation files of a data set and of those that it wraps."""
    if isinstance(settings, list | tuple):
        return [path for part in settings for path in training_files(part)]
    if not isinstance(settings, dict):
        return []
    own = [settings['ann_file']] if 'ann_file' in settings else []
    return own + training_files([settings[key] for key in ('dataset', 'datasets')
                                 if key in settings])


def training_batch(cfg: Config, dataset: MotionDataset) -> dict:
    """Collate one typical clip of a training."""
    chosen = np.unique(np.linspace(0, len(dataset), _SOME, endpoint=False).astype(int))
    return motion_collate(typical(cfg, [dataset[i] for i in chosen.tolist()], 1))


def count_costs(cfg: Config, batch: dict, amp: bool, dataset: MotionDataset | None = None) -> dict:
    """Count one model.

    Args:
        cfg (Config): Config of the model.
        batch (dict): One collated clip.
        amp (bool): Whether the forward pass is in bfloat16.
        dataset (MotionDataset, optional): Training data, for models that ``prepare`` a memory of
            all clips by their ``frame_dir``.

    Returns:
        dict: ``parameters`` and forward ``flops`` per part (dicts); ``trained``, ``states`` and
        ``frozen``, bytes of weights, optimizer states, and weights without gradient; ``step``,
        FLOPs of a training step; ``fixed`` and ``clip``, bytes kept for the backward pass per
        batch and per clip; ``input``, bytes of the input of a block.

    Raises:
        ValueError: If gradients train nothing.
        NotImplementedError: The same, by models that say so.
    """
    model = init_model(cfg, device='cpu').train()
    if dataset is not None and hasattr(model, 'prepare'):
        model.prepare([dataset.get_data_info(i)['frame_dir'] for i in range(len(dataset))])
    modules = parts(model)
    with flop_counter() as counter:
        loss = _forward(model, _repeat(batch, _UNIT), amp=False)
        found, total = counter.get_flop_counts(), counter.get_total_flops()
        flops = {name: sum(found.get(f'{type(model).__name__}.{name}', {}).values()) // _UNIT
                 for name in modules if name != 'tokenizer (teacher)'}
        flops['tokenizer (teacher)' if hasattr(model, 'tokenizer') else 'loss'] = \
            total // _UNIT - sum(flops.values())
        if not loss.requires_grad:
            raise ValueError('model: found no weights in the loss, expected a training by '
                             'gradients')
        loss.backward()
        step = counter.get_total_flops() // _UNIT

    settings = {k: v for k, v in cfg.optim_wrapper.items()
                if k in ('optimizer', 'constructor', 'paramwise_cfg')}
    optimizer = build_optim_wrapper(model, dict(settings, type='OptimWrapper')).optimizer
    optimizer.step()
    states = sum(value.nbytes for state in optimizer.state.values() for value in state.values()
                 if torch.is_tensor(value) and value.dim())
    optimizer.zero_grad()

    if hasattr(model, 'tokenizer'):  # keeps nothing and is slow
        model.tokenizer.encode = lambda inputs, mask: mask.new_zeros(mask.sum(), dtype=torch.long)
    entered, hooks = [], []
    if blocks := getattr(getattr(model, 'backbone', None), 'blocks', None):
        hooks.append(blocks[0].register_forward_pre_hook(
            lambda block, args: entered.append(args[0].nbytes // _UNIT)))
    one, two = (_kept_bytes(model, _repeat(batch, times * _UNIT), amp) for times in (1, 2))
    for hook in hooks:
        hook.remove()
    everything = [p for module in (model, *modules.values()) for p in module.parameters()]
    frozen = {id(p): p.nbytes for p in everything if not p.requires_grad}
    return dict(
        parameters={name: sum(p.numel() for p in m.parameters()) for name, m in modules.items()},
        flops=flops, step=step, states=states, frozen=sum(frozen.values()),
        trained=sum(p.nbytes for p in model.parameters() if p.requires_grad),
        fixed=2 * one - two, clip=(two - one) // _UNIT, input=entered[0] if entered else 0)


def _extend(one: dict, two: dict, more: int) -> dict:
    """Extrapolate each number from two depths to ``more`` blocks than the first one has."""
    return {name: _extend(value, two[name], more) if isinstance(value, dict)
            else value + more * (two[name] - value) for name, value in one.items()}


def training_cost(cfg: Config, amp: bool = False) -> dict:
    """Count the costs of one clip and of the weights, independent of the machine.

    Args:
        cfg (Config): Config of a model that trains on clips.
        amp (bool): Whether the forward pass is in bfloat16. Defaults to False.

    Returns:
        dict: See :func:`count_costs`; with MoFM's backbone also ``again``, FLOPs of recomputing
        its blocks, and ``checkpointed``, bytes per clip that the backward pass then keeps.

    Raises:
        ValueError: If the config does not train by gradients, or its data are missing and the
            model does not train on procedural motion.
    """
    cfg = load_config(cfg)
    if cfg.get('train_cfg') is None:
        raise ValueError('train_cfg: found none, expected a config of a training')
    _remove_init_cfg(cfg.model)
    init_default_scope(cfg.default_scope)
    np.random.seed(0)  # masks of a pre-training
    missing = [path for path in training_files(cfg.train_dataloader.dataset)
               if not Path(path).exists()]
    if not missing:
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        return _count(cfg, training_batch(cfg, dataset), amp, dataset)
    try:
        return _count(cfg, make_batch(cfg, 1), amp)
    except (KeyError, RuntimeError, ValueError) as error:
        raise ValueError(f'{missing[0]}: found nothing, and procedural motion does not suit this '
                         f'training ({type(error).__name__}: {error}); expected its data'
                         ) from error


def _count(cfg: Config, batch: dict, amp: bool, dataset: MotionDataset | None = None) -> dict:
    """Count the costs, of MoFM's backbone at two depths."""
    if cfg.model.get('backbone', {}).get('type') != 'MoFMBackbone':
        return count_costs(cfg, batch, amp, dataset)
    cfg.model.backbone.with_cp = False
    depth = cfg.model.backbone.get('depth', 12)
    least = max((cfg.model.backbone.get('align') or {}).get('blocks') or (1, ))
    cfg.model.backbone.depth = least
    one = count_costs(cfg, batch, amp, dataset)
    cfg.model.backbone.depth = least + 1
    two = count_costs(cfg, batch, amp, dataset)
    cost = _extend(one, two, depth - least)
    block = two['clip'] - one['clip']
    cost['again'] = depth * (two['flops']['backbone'] - one['flops']['backbone'])
    cost['checkpointed'] = cost['clip'] + depth * (cost['input'] - block) + block
    return cost


def device_memory(cost: dict, devices: int, ema: bool) -> dict:
    """Count the bytes per device that do not depend on the batch.

    Args:
        cost (dict): From :func:`training_cost`.
        devices (int): D.
        ema (bool): Whether an average of the weights is kept.

    Returns:
        dict: Bytes with DDP, ZeRO-1 and FSDP by part. ZeRO-1 shards the states of the optimizer,
        FSDP (ZeRO-3) also weights and gradients.
    """
    weights, states = cost['trained'], cost['states']
    return {
        'weights': (weights, weights, weights / devices),
        'gradients': (weights, weights, weights / devices),
        'optimizer': (states, states / devices, states / devices),
        **({'EMA': (weights, weights, weights / devices)} if ema else {}),
        'frozen weights': (cost['frozen'], ) * 3}


def traffic(cost: dict, devices: int) -> tuple:
    """Count the bytes that a device sends per step with DDP, ZeRO-1 and FSDP."""
    share = cost['trained'] * (devices - 1) / devices
    return 2 * share, 2 * share, 3 * share


def bytes_per_clip(cfg: Config) -> tuple:
    """Measure the bytes per clip of an ``.arrow`` file on up to 256 clips; also describes them."""
    settings = cfg.train_dataloader.dataset
    path, kind = settings.get('ann_file'), DATASETS.get(settings.type)
    if path and Path(path).exists() and issubclass(kind, MotionCorpus | MotionDataset):
        kind = MotionCorpus if settings.type == 'MotionCorpus' else MotionDataset
        clips = kind(path, split=settings.get('split'), test_mode=True,
                     **{key: settings[key] for key in ('layout', 'dims') if key in settings})
        name = path
    else:
        clips, name = SyntheticMotion(256), 'procedural motion'
    chosen = np.unique(np.linspace(0, len(clips), 256, endpoint=False).astype(int))
    annotations = [clips.get_data_info(int(i)) for i in chosen]
    frames = np.mean([ann['total_frames'] * len(ann['keypoint']) for ann in annotations])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'clips.arrow')
        dump_annotations(dict(split={}, annotations=annotations), path)
        size = path.stat().st_size / len(annotations)
    return size, f'{len(annotations)} clips of {name}, {frames:.0f} person-frames each'


def needed_and_available(step_flops: float, sent: float, clip_bytes: float, batch_size: int,
                         devices: int, tflops: float, loader: float, cores: int, store: float,
                         link: float) -> dict:
    """Compare the resources that devices at full speed need with those available.

    Args:
        step_flops (float): Training FLOPs per clip.
        sent (float): Bytes that a device sends per step.
        clip_bytes (float): Stored bytes per clip.
        batch_size (int): Clips per device.
        devices (int): D.
        tflops (float): TFLOP/s per device.
        loader (float): Samples/s per core.
        cores (int): CPU cores per device.
        store (float): GB/s of the store, for all devices together.
        link (float): GB/s per device.

    Returns:
        dict: Needed, available and unit by resource; ``clips`` is clips/s of all devices. A
        resource with more needed than available limits the training.
    """
    rate = devices * tflops * 1e12 / step_flops
    seconds = batch_size * devices / rate
    return {
        'clips': (rate, rate, 'clips/s'),
        'loader': (rate / loader, cores * devices, 'cores'),
        'store': (rate * clip_bytes / 1e9, store, 'GB/s'),
        'network': (sent / 1e9 / seconds, link, 'GB/s per device')}


def device_hours(step_flops: float, clips: float, epochs: float, tflops: float,
                 price: float) -> tuple:
    """Compute device hours and their price."""
    hours = clips * epochs * step_flops / (tflops * 1e12) / 3600
    return hours, hours * price
