"""Consistency of the benchmark's figures; times are not tested."""

import json
import re
import sys

import pytest
import torch
from mmengine.registry import init_default_scope

from mofm.apis.model import init_model
from mofm.datasets import SyntheticMotion, motion_collate
from mofm.utils.config import load_config
from tests.test_tools.tool_runner import ROOT, run

WIDTH, DEPTH, CUBES, VOCABULARY = 128, 4, 81, 512  # of the tiny configs


@pytest.fixture(scope='module')
def benchmarks():
    """Import from benchmarks/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / 'benchmarks'))
        yield


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """All sections at tiny size on procedural motion: JSON and Markdown."""
    out = tmp_path_factory.mktemp('results')
    done = run(sys.executable, ROOT / 'benchmarks/run.py', '--size', 'tiny', '--repeats', 1,
               '--batch', 2, '--out', out, MOFM_DATA=str(out))
    path, = out.glob('*.json')
    assert re.fullmatch(r'\d{4}-\d\d-\d\d_tiny_cpu', path.stem)
    text = path.with_suffix('.md').read_text()
    assert text in done.stdout
    return json.loads(path.read_text()), text


def rows_of(report, table, **columns):
    return [row for row in report[0]['tables'][table]
            if all(row[name] == value for name, value in columns.items())]


@pytest.mark.slow
def test_benchmark_report_has_every_table(report):
    """Both files have every table and the origin of the numbers."""
    content, text = report
    for field in ('machine', 'date', 'commit', 'command'):
        assert content[field] in text
    assert 'procedural motion' in content['clips']
    assert content['batch'] == 2
    assert re.findall('^## (.*)', text, re.M) == [
        'targets', 'stages', 'ceilings', 'equality', 'padding', 'rendering', 'embedding', 'head',
        'loader', 'transforms', 'training', 'inference']
    assert {row['model'] for row in rows_of(report, 'training')} == {
        'MoFM DT1, all', 'MoFM DT1, occupied', 'PoseC3D', 'ST-GCN'}
    for row in rows_of(report, 'stages'):
        share = f'{row["share"]:.1%}'
        assert re.search(rf'^\| {row["variant"]} \| {row["stage"]} \|.* {share} \|', text, re.M)


@pytest.mark.slow
@pytest.mark.parametrize('variant', ['all, fp32', 'occupied, fp32', 'reference, fp32'])
def test_benchmark_stages_add_up_to_the_step(report, variant):
    """Shares of the step; its FLOPs and its peak memory are those of the stages."""
    *parts, step = rows_of(report, 'stages', variant=variant)
    assert step['stage'] == 'step'
    inside = [row for row in parts if row['stage'] not in ('load', 'transform')]
    assert {row['stage'] for row in inside} >= {
        'copy', 'tokenize', 'embed', 'encode', 'head and loss', 'backward', 'optimizer'}
    assert sum(row['share'] for row in inside) == pytest.approx(1)
    assert all(row['min'] <= row['ms/sample'] <= row['max'] for row in parts)
    for column, total in (('GFLOP/sample', sum), ('peak MiB', max), ('ms/sample', sum)):
        assert total(row[column] or 0 for row in inside) == pytest.approx(step[column])


@pytest.mark.slow
def test_benchmark_stages_equal_formulas(report):
    """FLOPs of encoder, embedding and T-Head, and the bytes of AdamW."""
    def flops(variant, stage):
        return 1e9 * rows_of(report, 'stages', variant=variant, stage=stage)[0]['GFLOP/sample']

    # qkv, projection and MLP are 12 D^2 multiply-adds per token, attention 2 K D
    encoder = DEPTH * 2 * CUBES * (12 * WIDTH**2 + 2 * CUBES * WIDTH)
    assert flops('all, fp32', 'encode') == flops('reference, fp32', 'encode') == encoder
    assert flops('occupied, fp32', 'encode') < encoder
    assert flops('reference, fp32', 'embed') == 2 * CUBES * (17 * 16 * 4**2) * WIDTH
    assert flops('all, fp32', 'embed') == flops('occupied, fp32', 'embed') < flops(
        'reference, fp32', 'embed')
    assert flops('reference, fp32', 'head and loss') == 2 * CUBES * WIDTH * VOCABULARY
    masked = flops('all, fp32', 'head and loss') * 2 / (2 * WIDTH * VOCABULARY)  # of 2 clips
    assert masked == round(masked)
    assert 18 <= masked <= 40
    # weights: embedding, positions and mask token, blocks, norm, T-Head
    block = 12 * WIDTH**2 + 13 * WIDTH
    weights = ((17 * 16 * 16 + 1) * WIDTH + (96 + 1) * WIDTH + DEPTH * block + 2 * WIDTH
               + (WIDTH + 1) * VOCABULARY)
    row, = rows_of(report, 'stages', variant='reference, fp32', stage='optimizer')
    assert 2e6 * row['MB/sample'] == pytest.approx(28 * weights)


@pytest.mark.slow
def test_benchmark_variants_do_the_same_work(report):
    """The reference has the same loss, and dense embedding the same result."""
    row, = rows_of(report, 'equality')
    assert row['difference'] <= 1e-4
    assert row['share of tokens'] == 1
    assert all(row['largest difference'] <= 1e-5 for row in rows_of(report, 'embedding'))
    masked, indexed, every = rows_of(report, 'head')
    assert masked['positions'] == indexed['positions'] < every['positions'] == 32 * CUBES
    for row, logits in ((masked, 3 * masked['positions']), (every, 3 * every['positions']),
                        (indexed, every['positions'] + indexed['positions'])):
        # log-softmax, its gradient and that of the logits; the rest are tokens and weights
        rest = 4 * WIDTH * (2 * row['positions'] + 2 * 32 * CUBES + VOCABULARY)
        assert 0 <= row['peak MiB'] * 2**20 - 4 * VOCABULARY * logits < rest


@pytest.mark.slow
def test_benchmark_targets_are_ratios_of_the_tables(report):
    """Ratios are those of the tables."""
    ours, = rows_of(report, 'stages', variant='occupied, fp32', stage='step')
    reference, = rows_of(report, 'stages', variant='reference, fp32', stage='step')
    row, = [row for row in rows_of(report, 'targets')
            if row['work'] == 'pre-training step, occupied, fp32, against the reference']
    ratio = reference['ms/sample'] / ours['ms/sample']
    assert row['measured'].startswith(f'{ratio:.2f}x')
    assert row['met'] == (ratio >= 4)
    assert ours['reference / this'] == pytest.approx(ratio)
    for row in rows_of(report, 'rendering'):
        assert row['lowest'] <= row['mmaction2 / this'] <= row['highest']
    for row in rows_of(report, 'padding'):
        assert row['share of padding'] == pytest.approx(1 - row['tokens'] / row['longest clip'])
    peer, = rows_of(report, 'transforms', pipeline='PoseC3D')
    assert peer['MB/sample'] == pytest.approx(4 * 17 * 16 * 36**2 / 1e6)


def test_benchmark_reference_has_same_loss_and_gradients(benchmarks):
    """Same loss and same gradients as ours, from heat maps of the loader."""
    from peers import ReferencePretrainer
    init_default_scope('mofm')
    cfg = load_config(ROOT / 'configs/mofm/pretrain_tiny.py')
    cfg.model.tokenizer.init_cfg = None
    cfg.model.backbone.update(embed_dims=32, depth=2, num_heads=2, tokens='all')
    cfg.model.head.in_channels = 32
    torch.manual_seed(0)
    model = init_model(cfg, device='cpu').train()
    model.backbone.init_weights()
    pipeline = [dict(t) for t in cfg.val_dataloader.dataset.pipeline]
    pipeline[2].update(render='loader')
    clips = SyntheticMotion(2, pipeline=pipeline)
    batch = motion_collate([clips[0], clips[1]])
    reference = ReferencePretrainer(model, lr=1e-3)
    weights = [*model.backbone.parameters(), *model.head.parameters()]
    theirs = reference(*reference.copy(batch))
    expected = torch.autograd.grad(theirs, weights)
    del batch['inputs']['heatmap']
    loss = model(**model.data_preprocessor(batch, True), mode='loss')['loss_mask']
    assert loss.item() == pytest.approx(theirs.item(), abs=1e-4)
    for ours, peer in zip(torch.autograd.grad(loss, weights), expected, strict=True):
        torch.testing.assert_close(ours, peer, atol=1e-5, rtol=1e-3)


def test_benchmark_nested_stages_count_once(benchmarks):
    """A stage inside another counts for itself only; methods are restored."""
    from stages import Variant, run_stages

    class Model:
        def outer(self):
            spent.append(1)
            self.inner()
            spent.append(2)

        def inner(self):
            spent.append(10)

    spent, model = [], Model()

    def step():
        spent.append(100)
        model.outer()
        model.inner()

    def read():
        cost = sum(spent)
        spent.clear()
        return cost

    variant = Variant(step, [('inner', model, 'inner'), ('outer', model, 'outer')])
    assert run_stages(variant, read) == dict(inner=20, outer=3, other=100)
    assert run_stages(variant, read, max) == dict(inner=10, outer=2, other=100)
    assert 'inner' not in vars(model)
