"""What a training costs: ``python tools/analysis/training_cost.py CONFIG --clips 1e8``.

FLOPs, parameters, memory and bytes are counted on the model of the config at two small depths and
extended linearly, which is exact for equal blocks; the clip is the typical one of get_flops.py.
Activations are the tensors that autograd keeps for the backward pass, with fused attention;
temporary buffers come on top. Everything about machines is an argument: speed, price, bandwidths.
They are printed as assumptions.

References: ring all-reduce moves 2 (D - 1) / D of the gradients through every device; ZeRO
(arXiv 1910.02054, Sec. 7) the same for stage 1, and half as much again for stage 3 (FSDP).
"""

import argparse
import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from get_flops import make_batch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from rich.console import Console
from rich.table import Table
from torch import nn

from mofm.annotations import dump_annotations
from mofm.apis.model import init_model
from mofm.apis.profiling import flop_counter, parts
from mofm.datasets import MotionDataset, SyntheticMotion
from mofm.launch import add_arguments, config_from_args

GIB = 2**30
WAYS = ('DDP', 'ZeRO-1', 'FSDP')


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_arguments(parser)
    parser.add_argument('--clips', type=float, default=1e6, help='in the corpus [1e6]')
    parser.add_argument('--epochs', type=float, help='[that of the config]')
    parser.add_argument('--devices', type=int, default=8, help='[8]')
    parser.add_argument('--batch-size', type=int, help='clips on a device [that of the config]')
    parser.add_argument('--amp', action='store_true', help='activations in bfloat16')
    machine = parser.add_argument_group('assumptions about the machine')
    machine.add_argument('--tflops', default='300', metavar='NUMBER|FILE',
                         help='TFLOP/s that a device achieves, or a JSON file of '
                         'benchmarks/run.py, whose fastest step is taken [300]')
    machine.add_argument('--price', type=float, default=3., help='of a device hour [3]')
    machine.add_argument('--memory', type=float, default=80., help='GiB of a device [80]')
    machine.add_argument('--loader', type=float, default=900.,
                         help='samples/s of a core, see benchmarks/loader.py [900]')
    machine.add_argument('--cores', type=int, default=12, help='of each device [12]')
    machine.add_argument('--store', type=float, default=1.,
                         help='GB/s that the store delivers to all devices [1]')
    machine.add_argument('--link', type=float, default=50.,
                         help='GB/s between devices, each way [50]')
    args = parser.parse_args()
    for name in ('clips', 'epochs', 'devices', 'batch_size', 'price', 'memory', 'loader', 'cores',
                 'store', 'link'):
        value = getattr(args, name)
        if value is not None and value <= 0:
            parser.error(f'--{name.replace("_", "-")}: found {value}, expected more than 0')
    return args


def achieved(text: str) -> float:
    """TFLOP/s from a number or from a result of benchmarks/run.py."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        rows = json.loads(Path(text).read_text())['tables']['stages']
        return max(row['GFLOP/s'] for row in rows if row['stage'] == 'step') / 1e3
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f'--tflops: found {text!r} ({type(error).__name__}: {error}), expected '
                         'a number or a JSON file of benchmarks/run.py with the section stages')


def without_weights(settings):
    """A config without checkpoints to load; their values do not change what is counted."""
    if isinstance(settings, dict):
        settings.pop('init_cfg', None)
        for value in settings.values():
            without_weights(value)


def repeat(batch: dict, times: int) -> dict:
    """A collated batch of one clip, several times."""
    out = dict(inputs={k: torch.cat([v] * times) for k, v in batch['inputs'].items()},
               data_samples=[copy.deepcopy(s) for s in batch['data_samples'] * times])
    return dict(out, labels=batch['labels'].repeat(times)) if 'labels' in batch else out


def forward(model: nn.Module, batch: dict, amp: bool) -> torch.Tensor:
    """The loss of a training step."""
    data = model.data_preprocessor(batch, training=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=amp):
        losses = model(**data, mode='loss')
    return model.parse_losses(losses)[0]


def kept(model: nn.Module, batch: dict, amp: bool) -> int:
    """Bytes of the tensors that the backward pass needs, without the weights."""
    weights = {t.untyped_storage().data_ptr()
               for t in (*model.parameters(), *model.buffers())}
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor  # the graph holds it, so that no address comes twice

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = forward(model, batch, amp)
    del loss
    return sum(size for address, size in storages.items() if address not in weights)


def count(cfg: Config, batch: dict, amp: bool) -> dict:
    """Count one model.

    Args:
        cfg (Config): Its config.
        batch (dict): One collated clip.
        amp (bool): Whether the forward pass is in bfloat16.

    Returns:
        dict: ``parameters`` and forward ``flops`` of every part (dicts); ``trained``, ``states``
        and ``frozen`` bytes of weights, states of the optimizer, and weights without gradient;
        ``step``, FLOPs of a training step; ``fixed`` and ``clip``, bytes kept for the backward
        pass whatever the batch and for every clip; ``input``, bytes that enter a block.
    """
    model = init_model(cfg, device='cpu').train()
    modules = parts(model)
    with flop_counter() as counter:
        loss = forward(model, repeat(batch, 1), amp=False)
        found, total = counter.get_flop_counts(), counter.get_total_flops()
        flops = {name: sum(found.get(f'{type(model).__name__}.{name}', {}).values())
                 for name in modules if name != 'tokenizer (teacher)'}
        flops['tokenizer (teacher)' if hasattr(model, 'tokenizer') else 'loss'] = \
            total - sum(flops.values())
        loss.backward()
        step = counter.get_total_flops()

    settings = {k: v for k, v in cfg.optim_wrapper.items()
                if k in ('optimizer', 'constructor', 'paramwise_cfg')}
    optimizer = build_optim_wrapper(model, dict(settings, type='OptimWrapper')).optimizer
    optimizer.step()
    states = sum(value.nbytes for state in optimizer.state.values() for value in state.values()
                 if torch.is_tensor(value) and value.dim())
    optimizer.zero_grad()

    if hasattr(model, 'tokenizer'):  # keeps nothing, and would take most of the time
        model.tokenizer.encode = lambda inputs, mask: mask.new_zeros(mask.sum(), dtype=torch.long)
    entered, hooks = [], []
    if hasattr(model, 'backbone'):
        hooks.append(model.backbone.blocks[0].register_forward_pre_hook(
            lambda block, args: entered.append(args[0].nbytes)))
    one, two = (kept(model, repeat(batch, times), amp) for times in (1, 2))
    for hook in hooks:
        hook.remove()
    everything = [p for module in (model, *modules.values()) for p in module.parameters()]
    frozen = {id(p): p.nbytes for p in everything if not p.requires_grad}
    return dict(
        parameters={name: sum(p.numel() for p in m.parameters()) for name, m in modules.items()},
        flops=flops, step=step, states=states, frozen=sum(frozen.values()),
        trained=sum(p.nbytes for p in model.parameters() if p.requires_grad),
        fixed=2 * one - two, clip=two - one, input=entered[0] if entered else 0)


def extend(one: dict, two: dict, depth: int) -> dict:
    """From depths 1 and 2 to any other, number by number."""
    return {name: extend(value, two[name], depth) if isinstance(value, dict)
            else value + (depth - 1) * (two[name] - value) for name, value in one.items()}


def training_cost(cfg: Config, amp: bool = False) -> dict:
    """What one clip and one set of weights cost, whatever the machine.

    Args:
        cfg (Config): Of a model with a ``backbone``, or of one without blocks.
        amp (bool): Whether the forward pass is in bfloat16. Defaults to False.

    Returns:
        dict: See :func:`count`; with blocks also ``again``, FLOPs of computing them a second
        time, and ``checkpointed``, bytes a clip that the backward pass then keeps.
    """
    cfg = copy.deepcopy(cfg)
    without_weights(cfg.model)
    init_default_scope(cfg.default_scope)
    np.random.seed(0)  # masks of a pre-training
    batch = make_batch(cfg, 1)
    if 'backbone' not in cfg.model:
        return count(cfg, batch, amp)
    cfg.model.backbone.with_cp = False
    depth, counts = cfg.model.backbone.get('depth', 12), []
    for cfg.model.backbone.depth in (1, 2):
        counts.append(count(cfg, batch, amp))
    cost = extend(*counts, depth)
    block = counts[1]['clip'] - counts[0]['clip']
    cost['again'] = depth * (counts[1]['flops']['backbone'] - counts[0]['flops']['backbone'])
    cost['checkpointed'] = cost['clip'] + depth * (cost['input'] - block) + block
    return cost


def memory(cost: dict, devices: int, ema: bool) -> dict:
    """Bytes of a device that do not depend on the batch.

    Args:
        cost (dict): From :func:`training_cost`.
        devices (int): D.
        ema (bool): Whether an average of the weights is kept.

    Returns:
        dict: Part to bytes with DDP, ZeRO-1 and FSDP. ZeRO-1 divides the states of the
        optimizer, FSDP (ZeRO-3) also weights and gradients.
    """
    weights, states = cost['trained'], cost['states']
    return {
        'weights': (weights, weights, weights / devices),
        'gradients': (weights, weights, weights / devices),
        'optimizer': (states, states / devices, states / devices),
        **({'EMA': (weights, weights, weights / devices)} if ema else {}),
        'frozen weights': (cost['frozen'], ) * 3}


def traffic(cost: dict, devices: int) -> tuple:
    """Bytes that a device sends in a step with DDP, ZeRO-1 and FSDP."""
    share = cost['trained'] * (devices - 1) / devices
    return 2 * share, 2 * share, 3 * share


def stored(cfg: Config) -> tuple:
    """Bytes of a clip in an ``.arrow`` file, measured on up to 256 clips, and which they are."""
    settings = cfg.train_dataloader.dataset
    path = settings.get('ann_file')
    if path and Path(path).exists():
        clips = MotionDataset(path, split=settings.get('split'), test_mode=True,
                              layout=settings.get('layout', 'coco17'))
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


def limits(step_flops: float, sent: float, clip_bytes: float, batch_size: int, devices: int,
           tflops: float, loader: float, cores: int, store: float, link: float) -> dict:
    """What keeps devices busy at full speed, and what there is.

    Args:
        step_flops (float): FLOPs of a clip in training.
        sent (float): Bytes that a device sends in a step.
        clip_bytes (float): Bytes of a clip in the store.
        batch_size (int): Clips on a device.
        devices (int): D.
        tflops (float): TFLOP/s of a device.
        loader (float): Samples/s of a core.
        cores (int): Of each device.
        store (float): GB/s of the store, for all devices together.
        link (float): GB/s of a device.

    Returns:
        dict: Resource to needed, available and unit; ``clips`` holds clips/s of all devices.
        More needed than available limits the training.
    """
    rate = devices * tflops * 1e12 / step_flops
    seconds = batch_size * devices / rate
    return {
        'clips': (rate, rate, 'clips/s'),
        'loader': (rate / loader, cores * devices, 'cores'),
        'store': (rate * clip_bytes / 1e9, store, 'GB/s'),
        'network': (sent / 1e9 / seconds, link, 'GB/s a device')}


def money(step_flops: float, clips: float, epochs: float, tflops: float, price: float) -> tuple:
    """Device hours and their price."""
    hours = clips * epochs * step_flops / (tflops * 1e12) / 3600
    return hours, hours * price


def right(*columns, title: str) -> Table:
    """A table of numbers with names in the first column."""
    table = Table(*columns, title=title, title_justify='left')
    for column in table.columns[1:]:
        column.justify = 'right'
    return table


def main():
    """Count and print."""
    args = parse_args()
    cfg, tflops = config_from_args(args), achieved(args.tflops)
    console = Console()
    with console.status('counting'):
        cost = training_cost(cfg, args.amp)
        clip_bytes, measured_on = stored(cfg)
    epochs = args.epochs or cfg.train_cfg.max_epochs
    batch_size = args.batch_size or cfg.train_dataloader.batch_size
    sharded = 'strategy' in cfg
    checkpointing = cfg.model.get('backbone', {}).get('with_cp', False)
    step = cost['step'] + checkpointing * cost.get('again', 0)

    table = right('part', 'parameters', 'forward, GFLOP a clip', title=str(args.config))
    for name, flops in cost['flops'].items():
        table.add_row(name, f'{cost["parameters"].get(name, 0):,}', f'{flops / 1e9:.4g}')
    table.add_row('forward pass', '', f'{sum(cost["flops"].values()) / 1e9:.4g}')
    table.add_row('training step', '', f'{cost["step"] / 1e9:.4g}')
    if 'again' in cost:
        table.add_row('  with checkpointing', '', f'{(cost["step"] + cost["again"]) / 1e9:.4g}')
    console.print(table)

    ema = any(hook.type == 'EMAHook' for hook in cfg.get('custom_hooks', ()))
    rows = memory(cost, args.devices, ema)
    table = right('GiB', *WAYS, title=f'Memory of each of {args.devices} devices, '
                  f'{batch_size} clips' + ', bfloat16' * args.amp)
    for name, sizes in rows.items():
        table.add_row(name, *(f'{size / GIB:.2f}' for size in sizes))
    held = [sum(sizes) / GIB for sizes in zip(*rows.values(), strict=True)]
    for name, key in (('', 'clip'), (' with checkpointing', 'checkpointed')):
        if key in cost:
            kept_here = (cost['fixed'] + batch_size * cost[key]) / GIB
            table.add_row('activations' + name, *[f'{kept_here:.2f}'] * len(WAYS))
            table.add_row('total' + name, *(
                f'{h + kept_here:.2f}' + ' too much' * (h + kept_here > args.memory)
                for h in held), style='bold')
    console.print(table)

    sent = traffic(cost, args.devices)
    needs = limits(step, sent[2 * sharded], clip_bytes, batch_size, args.devices, tflops,
                   args.loader, args.cores, args.store, args.link)
    rate = needs.pop('clips')[0]
    table = right('at full speed', 'needed', 'there is', 'share',
                  title=f'{rate:,.0f} clips/s on {args.devices} devices, '
                  f'{batch_size * args.devices / rate * 1e3:,.1f} ms a step')
    for name, (needed, available, unit) in needs.items():
        table.add_row(name, f'{needed:,.3g} {unit}', f'{available:,.3g} {unit}',
                      f'{needed / available:.1%}')
    console.print(table)
    worst = max(needs, key=lambda name: needs[name][0] / needs[name][1])
    slower = needs[worst][0] / needs[worst][1]
    print('limit: ' + (f'{worst}, {slower:.1f} times too little' if slower > 1 else 'arithmetic'))

    hours, total = money(step * max(slower, 1), args.clips, epochs, tflops, args.price)
    table = right('', '', title=f'{args.clips:,.0f} clips, {epochs:g} epochs')
    for name, value in (
            ('steps', f'{args.clips * epochs / (batch_size * args.devices):,.0f}'),
            ('FLOPs', f'{args.clips * epochs * step:.3g}'),
            ('bytes of a clip', f'{clip_bytes:,.0f}'),
            ('storage', f'{args.clips * clip_bytes / 1e9:,.1f} GB'),
            ('device hours', f'{hours:,.1f}'),
            ('days', f'{hours / args.devices / 24:,.2f}'),
            ('price', f'{total:,.0f}'),
            *((f'{way}: sent by a device', f'{size / 1e9:.3f} GB a step, '
               f'{size / 1e6 / args.link:.1f} ms') for way, size in zip(WAYS, sent, strict=True))):
        table.add_row(name, value)
    console.print(table)
    print(f'bytes measured on {measured_on}\nassumed: {tflops:g} TFLOP/s and {args.memory:g} GiB '
          f'a device, {args.price:g} a device hour, {args.loader:g} samples/s a core, '
          f'{args.cores} cores a device, store {args.store:g} GB/s, link {args.link:g} GB/s; '
          + ('FSDP' if sharded else 'DDP') + ', with checkpointing' * checkpointing)


if __name__ == '__main__':
    main()
