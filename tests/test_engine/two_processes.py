"""Gradients and metrics that test_distributed.py compares between one and two processes.

``torchrun --nproc_per_node=2 two_processes.py FOLDER`` writes ``FOLDER/rank<i>.pth``.
"""

import sys
from pathlib import Path

import torch
from mmaction.evaluation import AccMetric
from mmaction.structures import ActionDataSample
from mmengine.dataset import DefaultSampler
from mmengine.dist import get_rank, get_world_size
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from mofm.evaluation import (
    ClipAUC,
    FrameAUC,
    MaskedTokenMetric,
    OneShotAccuracy,
    ScoreTable,
    TokenizerMetric,
)
from mofm.registry import MODELS
from mofm.structures import CubeGrid, RenderedCubes, ThermalCubes

GRID = dict(num_frames=8, canvas=24, patch=4)  # 6 x 6 cubes
CLIPS = 8
BACKBONE = dict(GRID, type='MoFMBackbone', embed_dims=16, depth=1, num_heads=2, max_tokens=37,
                embed=dict(type='LinearCubeEmbed'))
DVED = dict(GRID, type='DVEDTokenizer', vocab_size=16, code_dim=8, hidden=8, num_blocks=1,
            temporal_strides=(4, 2), noise=0.)


def part(x):
    """What this process has of a global batch."""
    size = len(x) // get_world_size()
    return x[get_rank() * size:(get_rank() + 1) * size]


def clips(dtype: torch.dtype = torch.float64) -> RenderedCubes:
    """Clips of this process; the last two show nothing."""
    rng = torch.Generator().manual_seed(0)
    points = torch.rand(CLIPS, 1, 17, 1, 3, generator=rng) * 16 + 4
    points = points + torch.randn(CLIPS, 1, 17, 8, 3, generator=rng).cumsum(3) * 0.4
    points[..., 2] = 1.
    points[-2:, ..., 2] = 0.
    grid = CubeGrid(**GRID)
    return RenderedCubes(part(ThermalCubes(points, grid).volume().to(dtype)), grid)


def build(cfg: dict) -> nn.Module:
    """A model, the same in every process, in float64: differences are no rounding errors."""
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 or 'embed' in name:  # not zero, as it is in the beginning
            nn.init.normal_(parameter, std=0.5)
    return model.double().train()


def pretrainer(first: int, last: int, **backbone):
    """So many masked cubes in every clip of the first, and of the second half of the batch."""
    mask = torch.rand(CLIPS, 36, generator=torch.Generator().manual_seed(1)).argsort(1)
    mask = mask < torch.tensor([first, last]).repeat_interleave(CLIPS // 2)[:, None]
    model = build(dict(
        type='MotionPretrainer', backbone=dict(BACKBONE, **backbone), tokenizer=DVED,
        head=dict(type='MaskedTokenHead', vocab_size=16, in_channels=16)))
    encode = model.tokenizer.float().encode  # works in float32
    model.tokenizer.encode = lambda inputs, *mask: encode(clips(torch.float32), *mask)
    return model, dict(inputs=clips(), mask=part(mask))


def jigsaw():
    """Most pieces of the last clips are empty."""
    model = build(dict(
        type='JigsawDetector', backbone=BACKBONE,
        head=dict(type='JigsawHead', in_channels=16, canvas=24, grid=(3, 2), dropout=0.)))
    perm = torch.rand(CLIPS, 6, generator=torch.Generator().manual_seed(1)).argsort(1)
    model.head.shuffle = lambda batch: part(perm)
    return model, dict(inputs=clips())


def recognizer(labels: list, **head):
    """A head for labels."""
    model = build(dict(type='MotionRecognizer', backbone=BACKBONE,
                       cls_head=dict(head, in_channels=16, dropout=0.)))
    samples = [ActionDataSample(gt_label=torch.tensor([label])) for label in labels]
    return model, dict(inputs=clips(), data_samples=part(samples))


def tokenizer(loss: dict):
    """The dVED, a float32 model, without noise, which would be another one in every process."""
    return build(dict(DVED, loss=loss)).float(), dict(inputs=clips(torch.float32))


CASES = {
    'masked tokens': lambda: pretrainer(3, 11),
    'masked tokens, occupied': lambda: pretrainer(9, 2, tokens='occupied', with_cls=True),
    'nothing masked in one': lambda: pretrainer(0, 5),
    'nothing masked at all': lambda: pretrainer(0, 0),
    'jigsaw': jigsaw,
    'classes': lambda: recognizer([0, 0, 0, 1, 2, 2, 1, 0], type='ActionClsHead', num_classes=3),
    'weighted classes': lambda: recognizer(
        [0, 0, 0, 1, 2, 2, 1, 2], type='ActionClsHead', num_classes=3,
        class_weight=(0.3, 1., 4.), label_smooth=0.1),
    'batch norm': lambda: recognizer(
        [0, 0, 0, 1, 2, 2, 1, 0], type='ActionClsHead', num_classes=3, probe_norm=True),
    'anomalies': lambda: recognizer([0, 0, 0, 0, 1, 0, 1, 1], type='AnomalyClsHead'),
    # labels 2 and 3 have their positives on the other process
    'one shot': lambda: recognizer([0, 0, 2, 3, 2, 0, 3, 0], type='OneShotHead',
                                   out_channels=8),
    'dVED': lambda: tokenizer(dict(type='DVEDLoss', beta=0.5)),
    'guided dVED': lambda: tokenizer(dict(type='GuidedDVEDLoss', guide=DVED, rec_weight=1.,
                                           foreground=5.)),
}


def wrap(model: nn.Module) -> nn.Module:
    """As tools/dist_train.sh does."""
    if get_world_size() == 1:
        return model
    return MMDistributedDataParallel(model, broadcast_buffers=False)


def gradients(case: str) -> dict:
    """Gradients after a backward, and buffers, by name."""
    model, batch = CASES[case]()
    wrapped = wrap(model)  # has to live until the backward
    total, _ = model.parse_losses(wrapped(**batch, mode='loss'))
    total.backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()
            if parameter.grad is not None} | dict(model.named_buffers())


def accumulated() -> tuple:
    """Gradient of two halves of a batch, and all-reduces of gradients after each of them."""
    model, batch = CASES['classes']()
    wrapped, calls, counts = wrap(model), [], []

    def hook(group, bucket):
        calls.append(bucket)
        return allreduce_hook(group, bucket)

    if wrapped is not model:
        wrapped.register_comm_hook(None, hook)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=1.), accumulative_counts=2)
    optimizer.initialize_count_status(wrapped, 0, 2)
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    volume, samples = batch['inputs'].volume(), batch['data_samples']
    for half in (slice(0, None, 2), slice(1, None, 2)):
        with optimizer.optim_context(wrapped):
            losses = wrapped(RenderedCubes(volume[half], batch['inputs'].grid), samples[half],
                             mode='loss')
        optimizer.update_params(model.parse_losses(losses)[0])
        counts.append(len(calls))
    return {name: start[name] - p.detach() for name, p in model.named_parameters()}, counts


def sample(i: int) -> dict:
    """Prediction for sample i, as a metric gets it."""
    rng = torch.Generator().manual_seed(i + 10)
    heat = torch.rand(4, 8, 8, generator=rng)
    tokens = torch.randint(16, (5 + i, ), generator=rng)
    return dict(
        frame_dir=f'clip{i}', gt_label=torch.tensor([i % 3]), exemplar=i > 3,
        pred_score=torch.rand(3, generator=rng).softmax(0), pred_label=torch.tensor([i % 2]),
        normality=torch.rand((), generator=rng), clip='a', frame=i,
        embedding=torch.randn(4, generator=rng), heat=heat, reconstruction=heat.square(),
        tokens=tokens, occupied=tokens > 2, pred_tokens=tokens, gt_tokens=tokens.clamp(max=9))


def metrics(folder: Path, number: int = 7, extra: tuple = ()) -> dict:
    """Values of all metrics on 7 samples, which two processes cannot share evenly.

    Args:
        folder (Path): With masks/a.npy, frame-level labels of 7 frames.
        number (int): Samples.
        extra (tuple): Samples that count once more.
    """
    table = folder / f'table{get_world_size()}.csv'
    all_metrics = [
        AccMetric(), ClipAUC(normal_labels=[0]), OneShotAccuracy(), OneShotAccuracy(draws=4),
        TokenizerMetric(vocab_size=16), MaskedTokenMetric(), ScoreTable(str(table)),
        FrameAUC(dict(type='shanghaitech', path=folder / 'masks'), smoothing=())]
    values = {}
    for i, metric in enumerate(all_metrics):
        indices = [*DefaultSampler(range(number), shuffle=False), *extra]
        for begin in range(0, len(indices), 3):
            batch = indices[begin:begin + 3]
            metric.process(dict(inputs=dict(keypoints=None)), [sample(j) for j in batch])
        evaluated = metric.evaluate(number + len(extra))
        values |= {f'{i} {name}': float(value) for name, value in evaluated.items()}
    return values


def main():
    """All of it."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')
    folder = Path(sys.argv[1])
    out = dict(gradients={case: gradients(case) for case in CASES}, accumulated=accumulated(),
               metrics=metrics(folder))
    torch.save(out, folder / f'rank{get_rank()}.pth')
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    main()
