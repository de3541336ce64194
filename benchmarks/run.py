"""Cost of training by stage, compared with peers on the same clips in the same run.

python benchmarks/run.py                            # the paper's size on the CPU
python benchmarks/run.py --device cuda
python benchmarks/run.py --size tiny --only stages

Prints Markdown and writes it, with the same numbers as JSON, to benchmarks/results/. Ratios are
the result, absolute times are context. Alternatives are interleaved after a round of warm-up;
medians and extremes are reported. Figures of one thread on the CPU are processor time, all others
are wall-clock time and need an idle machine.
"""

import argparse
import itertools
import shlex
import sys
import tempfile
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from common import (
    ROOT,
    commit,
    machine,
    one_thread,
    spread,
    take_turns,
    timed,
    write_clips,
    write_report,
)
from loader import loader_rates
from mmaction.datasets.transforms import GeneratePoseTarget
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import init_default_scope
from peers import ReferencePretrainer, posec3d, stgcn
from report import markdown, targets
from stages import Variant, copy_ceiling, stage_table
from tqdm import tqdm

from mofm.apis import MotionInferencer, init_model
from mofm.apis.profiling import Memory, flop_counter, peak_of_tensors
from mofm.datasets import MotionDataset, motion_collate
from mofm.engine.optimizers.bfloat16 import BFloat16OptimWrapper
from mofm.registry import MODELS
from mofm.structures import ThermalCubes
from mofm.utils.config import load_config
from mofm.utils.memory import keep_freed_memory

CPU = torch.device('cpu')
CONFIGS = dict(tiny=('configs/mofm/pretrain_tiny.py', 'configs/dt1_penn_tiny.py'),
               base=('configs/mofm/pretrain.py', 'configs/dt1_ntu60.py'))
RENDERING = [('render', ThermalCubes, method)
             for method in ('volume', 'union', 'traces', 'peaks', 'cubes')]


class Bench:
    """Device, configs and clips of a run.

    Args:
        args (argparse.Namespace): Command line.
        folder (Path): Folder for the clips.
    """

    def __init__(self, args: argparse.Namespace, folder: Path):
        self.device, self.size = args.device, args.size
        self.batch, self.repeats = args.batch, args.repeats
        self.pretrain, self.dt1 = (self._config(path) for path in CONFIGS[args.size])
        self.folder, self.file = folder, str(folder / 'clips.arrow')
        self.clips = write_clips(Path(self.file))

    def _config(self, path: str) -> Config:
        cfg = load_config(ROOT / path)
        cfg.model.backbone.init_cfg = None  # weights do not affect the times
        if 'tokenizer' in cfg.model:
            cfg.model.tokenizer.init_cfg = None
        return cfg

    def model(self, cfg: Config):
        """Build the model of a config with random weights, in training mode."""
        torch.manual_seed(0)
        model = init_model(cfg, device=str(self.device)).train()
        model.backbone.init_weights()
        return model

    def loader(self, pipeline: list, batch: int | None = None,
               collate=motion_collate) -> 'Loader':
        """Build a loader of the clips with a pipeline."""
        return Loader(self.file, pipeline, collate, batch or self.batch)

    def points(self, batch: int) -> torch.Tensor:
        """Return the keypoints (B, M, J, F, 3) of the clips by the test pipeline."""
        return self.loader(self.dt1.val_dataloader.dataset.pipeline, batch)()['inputs'][
            'keypoints']

    def turns(self, functions: dict, title: str, device: torch.device | None = None) -> dict:
        """Measure the seconds of functions, interleaved."""
        work = {name: timed(function, device or self.device)
                for name, function in functions.items()}
        return take_turns(work, self.repeats, title)


class Loader:
    """Data loader without workers that returns the same batch every time.

    Args:
        file (str): Annotations.
        pipeline (list): Transforms of a sample.
        collate (Callable): Collates samples to a batch.
        batch (int): B.
    """

    def __init__(self, file: str, pipeline: list, collate, batch: int):
        self.dataset = MotionDataset(file, split='train')
        self.pipeline, self.collate = Compose(pipeline), collate
        self.indices = np.arange(batch) * len(self.dataset) // batch

    def load(self) -> list:
        """Read the annotations."""
        return [self.dataset.get_data_info(int(i)) for i in self.indices]

    def transform(self, annotations: list) -> dict:
        """Transform and collate the annotations."""
        return self.collate([self.pipeline(annotation) for annotation in annotations])

    def __call__(self) -> dict:
        """Return the batch."""
        np.random.seed(0)
        return self.transform(self.load())


# ------------------------------------------------------------------------------------ pre-training
def stages(bench: Bench) -> dict:
    """Measure the stages of the pre-training step and of the reference."""
    cfg = bench.pretrain
    pipeline = cfg.train_dataloader.dataset.pipeline
    loader = bench.loader(pipeline)
    heat_loader = bench.loader([dict(t, render='loader') if t.type == 'ThermalCubeFormat' else t
                                for t in pipeline])
    model = bench.model(cfg)
    wrappers = dict(fp32=OptimWrapper)
    if bench.device.type == 'cuda':
        wrappers['bf16'] = BFloat16OptimWrapper
    optimizer = cfg.optim_wrapper.optimizer
    reference = ReferencePretrainer(
        model, **{k: optimizer[k] for k in ('lr', 'betas', 'weight_decay')})

    def ours(tokens, wrapper):
        model.backbone.tokens = tokens
        model.train_step(loader(), wrapper)

    variants, moved = {}, {}
    traffic = bytes_moved(model, loader())
    for dtype, tokens in itertools.product(wrappers, ('all', 'occupied')):
        wrapper = build_optim_wrapper(model, dict(cfg.optim_wrapper, type=wrappers[dtype]))
        variants[f'{tokens}, {dtype}'] = Variant(partial(ours, tokens, wrapper), [
            ('load', loader, 'load'), ('transform', loader, 'transform'),
            ('copy', model.data_preprocessor, 'forward'), *RENDERING,
            ('tokenize', model.tokenizer, 'encode'), ('embed', model.backbone, 'embed_cubes'),
            ('encode', model.backbone, 'forward'), ('head and loss', model.head, 'loss'),
            ('backward', wrapper, 'backward'), ('optimizer', wrapper, 'step'),
            ('optimizer', wrapper, 'zero_grad')], dtype)
        moved.update({(f'{tokens}, {dtype}', stage): n for stage, n in traffic.items()})
    variants['reference, fp32'] = Variant(lambda: reference.train_step(heat_loader()), [
        ('load', heat_loader, 'load'), ('transform', heat_loader, 'transform'),
        *((stage, reference, stage) for stage in ('copy', 'tokenize', 'embed', 'encode')),
        ('head and loss', reference, 'loss'), ('backward', reference, 'backward'),
        ('optimizer', reference, 'update')])
    moved['reference, fp32', 'optimizer'] = traffic['optimizer']
    if bench.device.type == 'cuda':
        for name in variants:
            batch = (heat_loader if 'reference' in name else loader)()['inputs']
            points = batch.pop('keypoints')
            moved[name, 'copy'] = batch.pop('heatmap', points).nbytes + batch['mask'].nbytes
    equal = equality(model, reference, loader(), heat_loader())
    rows, limits = stage_table(variants, bench.batch, bench.repeats, bench.device, 'stages',
                               bench.size == 'tiny', moved, in_workers=('load', 'transform'))
    steps = {row['variant']: row for row in rows if row['stage'] == 'step'}
    for row in steps.values():
        row['reference / this'] = steps['reference, fp32']['ms/sample'] / row['ms/sample']
    return dict(stages=rows, ceilings=limits, equality=equal, padding=padding(bench))


def padding(bench: Bench) -> list:
    """Count the tokens of batches, and the share of padding up to the longest clip."""
    rows = []
    for name, cfg in (('pre-training', bench.pretrain), ('DT1', bench.dt1)):
        preprocess = MODELS.build(cfg.model.data_preprocessor)
        for batch in (8, cfg.train_dataloader.batch_size):
            data = preprocess(bench.loader(cfg.train_dataloader.dataset.pipeline, batch)())
            keep = data['inputs'].occupied()
            tokens = (keep | data['mask'] if 'mask' in data else keep).sum(1).float()
            rows.append({'step': name, 'batch': batch, 'tokens': tokens.mean().item(),
                         'longest clip': int(tokens.max()),
                         'share of padding': 1 - (tokens.mean() / tokens.max()).item()})
    return rows


@torch.no_grad()
def equality(model, reference: ReferencePretrainer, batch: dict, heat: dict) -> list:
    """Compare the reference with ours, in fp32 and with the targets of our teacher.

    Raises:
        RuntimeError: If the losses differ by more than 1e-4, or the teachers in more than a tenth
            of the masked tokens, as a few of the 8192 scores are nearly equal.
    """
    model.backbone.tokens = 'all'
    with torch.backends.cudnn.flags(allow_tf32=False):
        clips = model.data_preprocessor(batch, True)
        volume, mask = reference.copy(heat)
        ids = reference.tokenize(volume)
        ours = model.tokenizer.encode(clips['inputs'], mask)
        agree = (ids[mask] == ours).float().mean().item()
        ids[mask] = ours
        loss = model(**clips, mode='loss')['loss_mask'].item()
        tokens = reference.encode(reference.embed(volume), mask)
        peer = reference.loss(tokens, ids, mask).item()
    if abs(loss - peer) > 1e-4 or agree < 0.9:
        raise RuntimeError(f'reference: found a loss of {peer} and {agree:.1%} equal tokens, '
                           f'expected {loss} and 100%')
    return [dict(ours=loss, reference=peer, difference=abs(loss - peer),
                 **{'share of tokens': agree})]


def bytes_moved(model, batch: dict) -> dict:
    """Count the bytes that a step must read or write in the stages bound by memory."""
    clips = model.data_preprocessor(batch, True)
    inputs, mask = clips['inputs'], clips['mask']
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    return dict(
        render=inputs.volume().nbytes + inputs.cubes(inputs.occupied() & ~mask).nbytes,
        optimizer=7 * 4 * trained)  # AdamW reads w, g, m and v, and writes w, m and v


# ------------------------------------------------------------------------------------ single parts
def rendering(bench: Bench) -> dict:
    """Compare thermal cubes with mmaction2's transform, and with a copy on a GPU.

    Each result is read once, as memory that nobody has touched is not yet paid for.
    """
    gpu = bench.device.type == 'cuda'
    grid = MODELS.build(bench.dt1.model.data_preprocessor).grid
    target = GeneratePoseTarget(sigma=0.6, use_score=True)

    def reference(samples):
        for keypoint, score in samples:
            heat = target.transform(dict(keypoint=keypoint, keypoint_score=score,
                                         img_shape=(grid.canvas, grid.canvas)))['imgs']
            torch.from_numpy(heat).sum()

    def render(points, view):
        getattr(ThermalCubes(points, grid), view)().sum()

    rows = []
    for batch in dict(tiny=(1, 4), base=(1, 8, 32))[bench.size]:
        points = bench.points(batch)
        # in the order of mmaction2; copies, as its transform scales its input in place
        samples = [(p[..., :2].copy(), p[..., 2].copy())
                   for p in points.transpose(2, 3).numpy()]
        points = points.to(bench.device)

        work = dict(mmaction2=timed(partial(reference, samples), CPU))
        for view in ('volume', 'union', 'occupied', 'cubes'):
            work[view] = timed(partial(render, points, view), bench.device)
        if gpu:
            copy, copied = copy_ceiling(bench.device, 2**30)
            work['copy'] = timed(copy, bench.device)
        with one_thread():
            times = take_turns(work, max(bench.repeats, 7), f'rendering, batch {batch}')
        bandwidth = 2 * copied / median(times.pop('copy')) if gpu else None  # read and written
        for view, values in times.items():
            ratios = [peer / ours for peer, ours in zip(times['mmaction2'], values, strict=True)]
            row = dict(view=view, batch=batch, **spread(values, batch))
            row.update({'mmaction2 / this': median(ratios), 'lowest': min(ratios),
                        'highest': max(ratios)})
            if gpu and view == 'volume':
                moved = 2 * ThermalCubes(points, grid).volume().nbytes
                row.update({'GB/s': moved / median(values) / 1e9,
                            'of copy': moved / median(values) / bandwidth})
            rows.append(row)
    return dict(rendering=rows)


def embedding(bench: Bench) -> dict:
    """Compare embedding of the occupied cubes with that of all cubes."""
    points = bench.points(min(bench.batch, 4)).to(bench.device)

    def every(backbone):
        grid = backbone.grid
        cubes = grid.split(ThermalCubes(points, grid).volume())  # (B, K, J, F, p, p)
        return backbone.embed(cubes.flatten(0, 1)).view(len(points), grid.num_cubes, -1)

    def occupied(backbone):
        cubes = ThermalCubes(points, backbone.grid)
        return backbone.embed_cubes(cubes, torch.ones_like(cubes.occupied()))

    @torch.no_grad()
    def forward(embed, backbone):
        return embed(backbone)

    def train(embed, backbone):
        return torch.autograd.grad(embed(backbone).square().mean(),
                                   list(backbone.embed.parameters()))

    rows = []
    for embed in ('ConvCubeEmbed', 'LinearCubeEmbed'):
        torch.manual_seed(0)
        config = dict(bench.dt1.model.backbone, depth=1, embed=dict(type=embed))
        backbone = MODELS.build(config).to(bench.device).eval()
        difference = (forward(every, backbone) - forward(occupied, backbone)).abs().max().item()
        share = ThermalCubes(points, backbone.grid).occupied().float().mean().item()
        for name, run in (('forward', forward), ('forward and backward', train)):
            with one_thread():
                times = bench.turns({'all': partial(run, every, backbone),
                                     'occupied': partial(run, occupied, backbone)},
                                    f'{embed}, {name}')
            for cubes, values in times.items():
                rows.append({
                    'embedding': embed, 'pass': name, 'cubes': cubes,
                    'share of cubes': share if cubes == 'occupied' else 1.,
                    **spread(values, len(points)),
                    'all / this': median(times['all']) / median(values),
                    'largest difference': difference})
    return dict(embedding=rows)


def head(bench: Bench) -> dict:
    """Measure time and memory of T-Head and loss, at masked positions and at all."""
    cfg = bench.pretrain
    loader = bench.loader(cfg.train_dataloader.dataset.pipeline, cfg.train_dataloader.batch_size)
    mask = loader()['inputs']['mask'].to(bench.device)  # (B, K)
    torch.manual_seed(0)
    layer = MODELS.build(cfg.model.head).to(bench.device)
    tokens = torch.randn(*mask.shape, layer.fc.in_features, device=bench.device)
    tokens.requires_grad_()
    ids = torch.randint(layer.vocab_size, mask.shape, device=bench.device)
    every = torch.ones_like(mask)
    losses = {
        'masked positions': lambda: layer.loss(tokens[mask], ids[mask])['loss_mask'],
        'logits of all, loss of the masked': lambda: F.cross_entropy(
            layer(tokens)[mask], ids[mask]),
        'all positions': lambda: layer.loss(tokens[every], ids[every])['loss_mask']}

    def step(name):
        losses[name]().backward()
        layer.zero_grad()
        tokens.grad = None

    steps = {name: partial(step, name) for name in losses}
    times = bench.turns(steps, 'head')
    peaks = {name: peak_of_tensors(step, bench.device.type) for name, step in steps.items()}
    return dict(head=[{
        'loss': name, 'positions': int((every if name == 'all positions' else mask).sum()),
        **spread(values, len(mask)), 'peak MiB': peaks[name] / 2**20,
        'peak / masked': peaks[name] / peaks['masked positions']}
        for name, values in times.items()])


def loading(bench: Bench) -> dict:
    """Measure the samples that a core loads."""
    workers = dict(tiny=(), base=(1, ))[bench.size]
    _, rows = loader_rates(bench.folder / 'clips.pkl', rounds=bench.repeats, workers=workers)
    return dict(loader=rows)


# ----------------------------------------------------------------------------------- against peers
def peers(bench: Bench) -> dict:
    """Compare transforms and training step of DT1 with those of models of mmaction2."""
    model = bench.model(bench.dt1)
    wrapper = build_optim_wrapper(model, dict(bench.dt1.optim_wrapper, type=OptimWrapper))
    loaders = {'MoFM DT1': bench.loader(bench.dt1.train_dataloader.dataset.pipeline)}
    models = {f'MoFM DT1, {tokens}': (model, wrapper, tokens, loaders['MoFM DT1'])
              for tokens in ('all', 'occupied')}
    for name, build in (('PoseC3D', posec3d), ('ST-GCN', stgcn)):
        peer = build(bench.dt1.model.cls_head.num_classes, bench.size).to(bench.device)
        loaders[name] = bench.loader([peer.pipeline], collate=pseudo_collate)
        models[name] = peer.model, peer.optim_wrapper, None, loaders[name]

    with one_thread():
        times = bench.turns(loaders, 'transforms', CPU)
    transforms = []
    for name, values in times.items():
        inputs = loaders[name]()['inputs']
        size = sum(x.nbytes for x in (inputs.values() if isinstance(inputs, dict) else inputs))
        transforms.append({
            'pipeline': name, **spread(values, bench.batch),
            'PoseC3D / this': median(times['PoseC3D']) / median(values),
            'MB/sample': size / bench.batch / 1e6})

    def step(net, wrapper, tokens, batch):
        if tokens:
            net.backbone.tokens = tokens
        net.train_step(dict(batch), wrapper)

    steps = {name: partial(step, net, wrapper, tokens, loader())
             for name, (net, wrapper, tokens, loader) in models.items()}
    times = bench.turns(steps, 'training')
    training = []
    for name, (net, _, _, loader) in models.items():
        memory = Memory(bench.device.type)
        steps[name]()  # also sets the tokens
        peak = memory.peak()
        with torch.no_grad(), flop_counter() as counter:
            net(**net.data_preprocessor(loader(), True), mode='loss')
        training.append({
            'model': name, **spread(times[name], bench.batch),
            'PoseC3D / this': median(times['PoseC3D']) / median(times[name]),
            'forward GFLOP/sample': counter.get_total_flops() / bench.batch / 1e9,
            'parameters': sum(p.numel() for p in net.parameters()), 'peak MiB': peak / 2**20})
    return dict(transforms=transforms, training=training)


def inference(bench: Bench) -> dict:
    """Measure the stages of inference from the keypoints of a clip to its label."""
    inferencer = MotionInferencer(bench.dt1, device=str(bench.device))
    model = inferencer.model
    dataset = MotionDataset(bench.file, split='train', test_mode=True)
    clip = dataset.get_data_info(len(dataset) // 2)

    def call(tokens):
        model.backbone.tokens = tokens
        inferencer(dict(clip), 'action', progress=False)

    variants = {f'{tokens}, fp32': Variant(partial(call, tokens), [
        ('transform', inferencer.task(), 'prepare'), ('copy', model.data_preprocessor, 'forward'),
        *RENDERING, ('embed', model.backbone, 'embed_cubes'),
        ('encode', model.backbone, 'forward'), ('head', model.cls_head, 'predict')])
        for tokens in ('all', 'occupied')}
    rows, _ = stage_table(variants, 1, bench.repeats, bench.device, 'inference',
                          bench.size == 'tiny')
    return dict(inference=rows)


SECTIONS = dict(stages=stages, rendering=rendering, embedding=embedding, head=head, loader=loading,
                peers=peers, inference=inference)


def main():
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--device', default='cpu', type=torch.device, help='cpu or cuda [cpu]')
    parser.add_argument('--size', choices=CONFIGS, default='base', help='[base]')
    parser.add_argument('--batch', type=int, help='clips [32 on cuda, 8 on the CPU]')
    parser.add_argument('--repeats', type=int, default=3, help='rounds [3]')
    parser.add_argument('--threads', type=int, default=torch.get_num_threads(),
                        help='threads of PyTorch [%(default)s]')
    parser.add_argument('--only', nargs='+', choices=SECTIONS, default=list(SECTIONS),
                        metavar='SECTION', help=f'{", ".join(SECTIONS)} [all]')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks/results',
                        help='folder [benchmarks/results]')
    args = parser.parse_args()
    args.batch = args.batch or (32 if args.device.type == 'cuda' else 8)
    torch.set_num_threads(args.threads)
    keep_freed_memory()  # as training on the CPU; the peers profit as well
    init_default_scope('mofm')
    now = datetime.now().astimezone()
    report = dict(
        size=args.size, device=args.device.type, batch=args.batch, repeats=args.repeats,
        threads=args.threads, date=now.isoformat(timespec='seconds'), commit=commit(),
        command=shlex.join(['python', 'benchmarks/run.py', *sys.argv[1:]]),
        machine=machine(args.device))
    tables = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, Path(folder))
        for name in tqdm(args.only, desc='sections'):
            tables.update(SECTIONS[name](bench))
    tables = dict(targets=targets(tables, args.device.type), **tables)
    report.update(clips=bench.clips, tables=tables)

    parts = [] if args.only == list(SECTIONS) else args.only
    name = '_'.join([f'{now:%Y-%m-%d}', args.size, args.device.type, *parts])
    write_report(args.out / name, markdown(report), report)


if __name__ == '__main__':
    main()
