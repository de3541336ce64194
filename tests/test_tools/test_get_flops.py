"""FLOPs and memory against formulas, parameters and FLOPs against the published sizes."""

import re
import sys

import pytest
from mmengine.registry import init_default_scope

from mofm.apis.model import init_model
from mofm.apis.profiling import count_flops, make_batch, predict, profile_config
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, as_module, python


def counted(path, shares, batch_size=1, **options):
    """FLOPs of clips of a config whose weights are random."""
    cfg = load_config(path)
    cfg.merge_from_dict(options)
    if 'tokenizer' in cfg.model:
        cfg.model.tokenizer.init_cfg = None
    init_default_scope('mofm')
    model = init_model(cfg, device='cpu')
    return model, [count_flops(model, make_batch(cfg, batch_size, share))
                   for share in shares]


def vit(tokens, width, depth):
    """Multiply-adds count 2: qkv, projection and MLP, then the two products of attention."""
    return depth * (2 * tokens * width * (3 + 1 + 4 + 4) * width + 2 * 2 * tokens**2 * width)


@pytest.mark.parametrize(('tokens', 'depth'), [('occupied', 1), ('all', 2)])
def test_flops_of_backbone_equal_hand_computation(config, tokens, depth):
    """J F p^2 = 17 * 16 * 4^2 numbers of every occupied cube, and of one empty cube, to D = 32."""
    options = {'model.backbone.tokens': tokens, 'model.backbone.depth': depth}
    _, rows = counted(config, (0., 0.3, 1.), **options)
    for (share, flops), cubes in zip(rows, (0, 24, 81), strict=True):
        assert share == pytest.approx(cubes / 81)
        attend = max(cubes, 1) if tokens == 'occupied' else 81
        embedding = 2 * (cubes + 1) * (17 * 16 * 4**2) * 32
        assert flops['backbone'] == embedding + vit(attend, 32, depth)
        assert flops['cls_head'] == 2 * 32 * 3
        assert flops['total'] == flops['backbone'] + flops['cls_head']


def test_flops_of_typical_clips_lie_between_empty_and_full(config):
    """Between the empty and the full one; tokens of a batch are packed without padding."""
    model, ((share, one), (full, most)) = counted(config, (None, 1.))
    assert 0.1 < share < 0.9
    assert full == 1
    assert one['total'] < most['total']
    cfg = load_config(config)
    batch = make_batch(cfg, 3)
    lengths = predict(model, batch).occupied().sum(1)
    longest = int(lengths.max())  # attention alone is padded
    mean, flops = count_flops(model, batch)
    rows = mean * 81 + 1 / 3  # the empty cube is embedded once for all of them
    assert flops['backbone'] == pytest.approx(
        2 * rows * 17 * 16 * 4**2 * 32 + vit(longest, 32, 1)
        - 24 * 32**2 * (longest - lengths.float().mean().item()))


def test_flops_of_kmeans_teacher_equal_hand_computation():
    """512 centers of F p^2 + J p^2 numbers, and the T-Head, both on the masked cubes."""
    _, ((_, flops),) = counted(ROOT / 'configs/mofm/pretrain_kmeans_tiny.py', (1.,))
    masked = flops['head'] / (2 * 128 * 512)
    assert masked == round(masked)
    assert 9 <= masked <= 20
    assert flops['tokenizer (teacher)'] == 2 * masked * 512 * (16 + 17) * 4**2


@pytest.mark.parametrize(('name', 'frames'), [
    ('motionbert/configs/lift_wild_tiny.py', 16),  # the most that the backbone has positions for
    ('motionbert/configs/lift_wild.py', 243),
    ('tmor/configs/localize_utkinect_motionbert_tiny.py', 16)])  # windows of the test data
def test_counted_clips_have_the_frames_of_a_test(name, frames):
    cfg = load_config(ROOT / 'projects' / name)
    batch = make_batch(cfg, 2)
    assert {points.shape[2] for points in batch['inputs']['keypoints']} == {frames}
    if name.endswith('lift_wild_tiny.py'):
        init_default_scope('mofm')
        assert predict(init_model(cfg, device='cpu'), batch).shape[2] == frames


def parameters(model):
    return sum(p.numel() for p in model.parameters())


def test_flops_of_nearest_neighbors_are_those_of_a_full_gallery():
    """A difference and a sum for each feature of each window."""
    profile = profile_config(load_config('dt3_penn_neighbors_tiny'))
    assert {flops['total'] for _, flops in profile.flops.values()} == {2 * 544 * 4000}


@pytest.mark.slow
def test_flops_and_parameters_equal_published_sizes():
    """24.7 M and 87.7 M parameters; encoder 17.5, decoder 2.6 and embedding 12.8 GMAC a clip."""
    model, ((_, flops),) = counted(ROOT / 'configs/mofm/dved.py', (1.,))
    assert round(parameters(model) / 1e6, 1) == 24.7
    assert round((flops['encoder'] + flops['to_logits']) / 2e9, 1) == 17.5
    assert round(flops['decoder'] / 2e9, 1) == 2.6
    model, rows = counted(ROOT / 'configs/dt1_ntu60.py', (0., 1.))
    assert round(parameters(model.backbone) / 1e6, 1) == 87.7
    empty, full = (flops['backbone'] for _, flops in rows)
    assert round((full - empty) / 2e9, 1) == 12.8
    embedding = (full - empty) / 324
    assert empty == pytest.approx(embedding + vit(324, 768, 12), rel=1e-9)


@pytest.mark.slow
def test_flops_table_has_parameters_and_memory(config):
    """Parameters as they are; AdamW holds weights, gradients and two moments of each."""
    size = 512
    done = python('analysis/get_flops.py', config, '--occupied', '0.3', '--batch-size', 2,
                  '--cfg-options', f'model.backbone.embed_dims={size}',
                  f'model.cls_head.in_channels={size}', COLUMNS='120')
    cells = {row[0].strip(): [c.strip() for c in row[1:]] for row in
             (line.strip('│').split('│') for line in done.stdout.splitlines() if line[:1] == '│')}
    rows = 96  # positions
    backbone = ((17 * 16 * 16 + 1) * size + (rows + 1) * size  # embedding, positions, mask token
                + 12 * size**2 + 9 * size + 4 * size + 2 * size)  # block, its norms, last norm
    assert cells['backbone'][:2] == [f'{backbone:,}'] * 2
    assert cells['cls_head'][:2] == [f'{3 * (size + 1):,}'] * 2
    total = backbone + 3 * (size + 1)
    assert cells['total'][0] == f'{total:,}'
    assert cells['occupied cubes'][2:] == ['0.0%', cells['occupied cubes'][3], '100.0%', '29.6%']
    attend, cubes = vit(24, size, 1), 24 + 1 / 2
    assert float(cells['backbone'][5]) == pytest.approx(
        (attend + 2 * cubes * 17 * 16 * 16 * size) / 1e9, rel=1e-3)
    forward, training = (float(mib) * 2**20 for mib in re.findall(r': (\d+) MiB', done.stdout))
    assert 4 * total < forward < 4 * total + 40 * 2**20
    assert 4 * 4 * total < training < 5 * 4 * total + 60 * 2**20


@pytest.mark.parametrize(('arguments', 'message'), [
    (('--occupied', '2'), '--occupied: found 2.0, expected a share in [0, 1]'),
    (('--batch-size', '0'), '--batch-size: found 0, expected at least 1')])
def test_flops_tool_names_bad_input(monkeypatch, capsys, arguments, message):
    with as_module('tools/analysis/get_flops.py') as tool:
        pass
    monkeypatch.setattr(sys, 'argv', ['get_flops.py', 'x.py', *arguments])
    with pytest.raises(SystemExit):
        tool.parse_args()
    assert message in capsys.readouterr().err
