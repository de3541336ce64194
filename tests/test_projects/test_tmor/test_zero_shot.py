"""Zero-shot recognition of T-MOR: scores and losses against loops, splits against counting."""

import itertools
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmaction.structures import ActionDataSample
from mmengine.registry import init_default_scope

from mofm.annotations import LABEL_NAMES, AnnotationError, dump_annotations
from mofm.datasets import motion_collate
from mofm.registry import DATASETS, METRICS, MODELS
from mofm.structures import MotionFeatures
from mofm.utils.config import load_config
from projects.tmor.language.splits import (
    SplitTrainer,
    bilinear_scores,
    draw_splits,
    evaluate_splits,
    nearest_seen_class,
)
from projects.tmor.language.tables import FeatureTable
from projects.tmor.language.zero_shot import ZeroShotAccuracy, accuracies

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'projects/tmor/configs'
CLASSES = ['walk', 'run', 'sit', 'jump', 'wave']


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def features(pooled):
    pooled = torch.as_tensor(pooled, dtype=torch.float32)
    return MotionFeatures(pooled[:, None], pooled, torch.ones(len(pooled), 1, dtype=torch.bool))


@pytest.fixture
def table(tmp_path):
    path = tmp_path / 'classes.npz'
    FeatureTable(CLASSES, np.random.default_rng(0).normal(size=(5, 6))).save(path)
    return str(path)


def build(table, **options):
    torch.manual_seed(0)
    return MODELS.build(dict(type='ZeroShotHead', class_table=table, in_channels=4,
                             out_channels=3, **options))


def project(phi, x):
    """Compute two layers with ReLU between and L2 normalization, in float64."""
    (w0, b0), (w1, b1) = ([p.detach().double().numpy() for p in phi[i].parameters()]
                          for i in (0, 2))
    return unit(np.maximum(np.asarray(x, np.float64) @ w0.T + b0, 0) @ w1.T + b1)


@pytest.mark.parametrize('visual', [False, True])
def test_zero_shot_scores_are_cosines(table, tmp_path, visual):
    rng, order = np.random.default_rng(1), ['sit', 'walk', 'wave']
    videos, pooled = rng.normal(size=(2, 5)), rng.normal(size=(4, 4))  # two clips a sample
    FeatureTable(['b', 'a'], videos[::-1]).save(tmp_path / 'videos.npz')
    head = build(table, classes=order,
                 visual_table=str(tmp_path / 'videos.npz') if visual else None).eval()
    samples = []
    for name in 'ab':
        samples.append(ActionDataSample())
        samples[-1].set_metainfo(dict(frame_dir=name))
    with torch.no_grad():
        head.predict(features(pooled), samples)
    motion = project(head.motion, pooled)
    if visual:
        motion = unit((motion + np.repeat(project(
            head.visual, videos.astype(np.float16)), 2, 0)) / 2)
    rows = FeatureTable.load(table).lookup(order)
    cosine = (motion @ project(head.text, rows).T).reshape(2, 2, 3).mean(1)
    expected = np.exp(cosine / .07) / np.exp(cosine / .07).sum(1, keepdims=True)
    for sample, score in zip(samples, expected, strict=True):
        np.testing.assert_allclose(sample.pred_score, score, atol=1e-4)
        assert int(sample.pred_label) == score.argmax()
    if visual:
        samples[0].set_metainfo(dict(frame_dir='c'))
        with pytest.raises(AnnotationError, match=r'videos.npz: ids: found no row for 1 of 2'):
            head.predict(features(pooled), samples)


def test_zero_shot_loss_equals_formula_over_seen_classes(table):
    """Equations 6 to 8: the text of the class against those of the other seen classes."""
    pooled, labels = np.random.default_rng(2).normal(size=(6, 4)), [0, 2, 1, 1, 0, 2]
    head = build(table, num_seen=3)
    motion = project(head.motion, pooled)
    text = project(head.text, FeatureTable.load(table).features)
    total = 0
    for q, label in zip(motion, labels, strict=True):
        align = math.exp(q @ text[label] / .07)
        disc = sum(math.exp(q @ text[c] / .07) for c in range(3) if c != label)
        total -= math.log(align / (align + disc)) / len(labels)
    loss = head.loss(features(pooled), torch.tensor(labels))['loss_mt']
    assert float(loss) == pytest.approx(total, abs=1e-4)
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in head.parameters())
    with pytest.raises(ValueError, match=r'label: found 0...3, expected 0...2'):
        head.loss(features(pooled), torch.tensor([0, 1, 2, 3, 0, 0]))


def test_zero_shot_head_loads_weights_of_text_stage(table, tmp_path):
    head, path = build(table), tmp_path / 'stage.pth'
    state = {f'heads.{name}': p + 1 for name, p in head.state_dict().items()}
    torch.save(dict(state_dict=dict(state, **{'backbone.w': torch.ones(1)})), path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='heads.')
    other = build(table, init_cfg=init_cfg)
    other.init_weights()
    torch.testing.assert_close(other.text[2].weight, head.text[2].weight + 1)
    torch.save({k: v for k, v in state.items() if 'motion' in k}, path)  # without text projection
    with pytest.raises(ValueError, match=r'text.0.weight: found nothing, expected \(6, 6\)'):
        build(table, init_cfg=init_cfg).init_weights()


def test_projections_may_be_narrower_than_the_features(table):
    def count(**kwargs):
        head = MODELS.build(dict(type='ZeroShotHead', class_table=table, in_channels=40,
                                 out_channels=3, **kwargs))
        return sum(p.numel() for p in head.motion.parameters())
    assert count() == 40 * 41 + 41 * 3
    assert count(hidden_channels=5) == 5 * 41 + 6 * 3


def test_zero_shot_head_names_wrong_classes(table):
    with pytest.raises(AnnotationError, match=r"no row for 1 of 2 samples, e.g. \['fly'\]"):
        build(table, classes=['walk', 'fly'])
    with pytest.raises(ValueError, match='num_seen: found 6, expected 0 to 5'):
        build(table, num_seen=6)


# ------------------------------------------------------------------------------------- metric
def test_zero_shot_accuracies_equal_hand_computation():
    """Two seen classes, three unseen ones; class 2 has three samples, class 4 none."""
    scores = np.array([[.9, 0, .1, 0, 0],   # 0, right
                       [.1, .5, .8, 0, 0],  # 1, predicted 2
                       [.5, 0, .9, 0, 0],   # 2, right
                       [.9, 0, .8, .1, 0],  # 2, predicted 0; right among the unseen
                       [0, 0, .1, .2, 0],   # 2, predicted 3
                       [0, 0, 0, .2, 0]])   # 3, right
    labels = np.array([0, 1, 2, 2, 2, 3])
    expected = dict(top1=3 / 6, mean_class=(1 + 0 + 1 / 3 + 1) / 4, unseen_top1=3 / 4,
                    unseen_mean_class=(2 / 3 + 1) / 2, seen=1 / 2, unseen=(1 / 3 + 1) / 2,
                    harmonic=2 * (1 / 2) * (2 / 3) / (1 / 2 + 2 / 3))
    metric = ZeroShotAccuracy(num_seen=2)
    metric.process({}, [dict(gt_label=torch.tensor([label]), pred_score=torch.tensor(row))
                        for label, row in zip(labels, scores, strict=True)])
    assert metric.compute_metrics(metric.results) == pytest.approx(expected)
    assert accuracies(scores, labels) == pytest.approx(dict(top1=.5, mean_class=7 / 12))
    assert accuracies(scores[:, ::-1], 4 - labels, 2)['harmonic'] < 1
    nothing = accuracies(np.eye(2)[[1, 0]], np.array([0, 1]), 1)
    assert nothing['seen'] == nothing['harmonic'] == 0
    with pytest.raises(ValueError, match='label: found 0...5, expected 0...4'):
        accuracies(scores, labels + [0, 0, 0, 0, 0, 2])
    with pytest.raises(ValueError, match='found 6 samples of unseen classes and 0 of seen'):
        accuracies(scores, np.full(6, 4), 2)


# ------------------------------------------------------------------------------------- splits
def test_zero_shot_splits_differ_and_cover_all():
    drawn = draw_splits(15, 10, 50, 0)
    assert len(set(drawn)) == 50 == len(set(drawn) - set(draw_splits(15, 10, 50, 1))) + len(
        set(drawn) & set(draw_splits(15, 10, 50, 1)))
    assert all(len(set(seen)) == 10 and list(seen) == sorted(seen) for seen in drawn)
    assert drawn == draw_splits(15, 10, 50, 0)
    everything = list(itertools.combinations(range(5), 3))
    assert draw_splits(5, 3, None) == everything == draw_splits(5, 3, 99)
    with pytest.raises(ValueError, match='num_seen: found 14, expected 1 to 13'):
        draw_splits(15, 14, 50)


def test_zero_shot_baseline_is_nearest_to_the_nearest_seen_class():
    rng = np.random.default_rng(0)
    train, labels = rng.normal(size=(9, 4)), np.arange(9) % 3
    test, texts = rng.normal(size=(7, 4)), rng.normal(size=(5, 6))
    found = nearest_seen_class(train, labels, test, texts, 3)
    for x, scores in zip(test, found, strict=True):
        seen = max(range(3), key=lambda c: float(
            x @ unit(unit(train)[labels == c].mean(0)) / np.linalg.norm(x)))
        unseen = max((3, 4), key=lambda c: unit(texts[seen]) @ unit(texts[c]))
        assert scores.argmax() == seen  # the seen class itself
        assert 3 + scores[3:].argmax() == unseen


def test_bilinear_scores_equal_the_primal_formula():
    rng = np.random.default_rng(0)
    train, test, texts = rng.normal(size=(30, 5)), rng.normal(size=(4, 5)), rng.normal(size=(6, 7))
    labels = np.arange(30) % 4
    x = train / np.sqrt((train ** 2).sum(1).mean())
    t = unit(texts)
    seen = t[:4] - t[:4].mean(0)
    seen_scaled = seen * np.sqrt(4 / (seen ** 2).sum())
    y = np.eye(4)[labels] - .25
    y -= y.mean(0)
    v = np.linalg.solve(x.T @ x + .5 * np.eye(5), x.T @ y) @ np.linalg.solve(
        seen_scaled @ seen_scaled.T + .5 * np.eye(4), seen)
    query = test / np.sqrt((train ** 2).sum(1).mean())
    np.testing.assert_allclose(bilinear_scores(train, labels, test, texts, 4, ridge=.5),
                               query @ v @ unit(t - t[:4].mean(0)).T, atol=1e-5)


def test_zero_shot_finds_unseen_classes_by_texts(tmp_path):
    """Motions are a linear map of the texts, learned on some classes, tested on others."""
    rng = np.random.default_rng(0)
    names = [f'class{i}' for i in range(14)]
    hidden = unit(rng.normal(size=(14, 3)))
    FeatureTable(names, hidden @ rng.normal(size=(3, 16))).save(tmp_path / 'classes.npz')
    mix = rng.normal(size=(3, 16))

    def samples(count):
        labels = np.arange(count) % 14
        motion = hidden[labels] @ mix + rng.normal(0, .05, (count, 16))
        return motion.astype(np.float32), labels

    trainer = SplitTrainer(dict(class_table=str(tmp_path / 'classes.npz'), out_channels=8), names,
                           epochs=10, batch_size=20, lr=1e-2)
    train, test = samples(280), samples(70)
    splits = [tuple(range(10)), tuple(range(4, 14))]
    rows = evaluate_splits(splits, train, test, trainer)
    assert rows['chance']['unseen_mean_class'].tolist() == [.25, .25]
    learned = rows['phi_m, phi_t']
    assert learned['unseen_mean_class'].shape == (2, )
    assert learned['unseen_mean_class'].mean() > .6
    assert learned['seen'].mean() > .6
    assert rows['bilinear']['unseen_mean_class'].mean() > .6
    scale = 10. ** rng.integers(-2, 3, 16).astype(np.float32)  # features are standardized
    scaled = evaluate_splits(splits[:1], *((x * scale, y) for x, y in (train, test)), trainer)
    for name in ('nearest seen class', 'phi_m, phi_t', 'bilinear'):
        for metric, values in scaled[name].items():
            assert values[0] == pytest.approx(rows[name][metric][0], abs=.03)
    with pytest.raises(ValueError, match='test labels: found'):
        evaluate_splits(splits, train, (test[0][:13], test[1][:13]), trainer)


# ------------------------------------------------------------------------------------ configs
@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Annotations of all classes and tables of their texts and videos, by data set."""
    folder, rng, out = tmp_path_factory.mktemp('files'), np.random.default_rng(0), {}
    for name, splits in (('penn_action', ('train', 'test')),
                         ('smarthome', ('cs_test', 'cv_test'))):
        names = LABEL_NAMES[name]
        clips = [dict(
            frame_dir=f'clip{i}', label=i % len(names), img_shape=(480, 640), total_frames=20,
            keypoint=(300 + rng.normal(0, 30, (1, 20, 17, 2))).astype(np.float32),
            keypoint_score=np.ones((1, 20, 17), np.float32)) for i in range(2 * len(names))]
        ids = [clip['frame_dir'] for clip in clips]
        out[name] = str(folder / f'{name}.pkl')
        dump_annotations(dict(split=dict.fromkeys(splits, ids), annotations=clips,
                              metainfo=dict(classes=list(names))), out[name])
        for kind, rows in (('text', names), ('vis', ids)):
            out[f'{name}_{kind}'] = str(folder / f'{name}_{kind}.npz')
            FeatureTable(rows, rng.normal(size=(len(rows), 6))).save(out[f'{name}_{kind}'])
    return out


def overrides(name, files):
    """Return overrides with these files and random weights."""
    cfg = load_config(CONFIGS / f'{name}.py')
    data = 'penn_action' if 'penn' in name else 'smarthome'
    head = cfg.model.cls_head
    table = 'penn_parts' if name == 'zero_shot_penn_statistics' else data.split('_')[0]
    assert Path(head.class_table).stem == f'{table}_text'
    head.class_table = files[f'{data}_text']
    if 'visual_table' in head:
        head.visual_table = files[f'{data}_vis']
    cfg.model.backbone.init_cfg = head.init_cfg = None
    for kind in ('train', 'test'):
        if cfg[f'{kind}_dataloader']:
            dataset = cfg[f'{kind}_dataloader'].dataset
            dataset.ann_file = files[data]
            for transform in dataset.pipeline if 'UNIK' in cfg.model.backbone.type else ():
                if 'num_frames' in transform:
                    transform.num_frames = 16  # as the other models
    return cfg


@pytest.mark.parametrize('name', sorted(path.stem for path in CONFIGS.glob('zero_shot_*.py')))
def test_zero_shot_configs_learn_and_predict(name, files):
    init_default_scope('mofm')
    cfg = overrides(name, files)
    test = DATASETS.build(cfg.test_dataloader.dataset)
    names = cfg.model.cls_head.get(
        'classes', LABEL_NAMES['penn_action' if 'penn' in name else 'smarthome'])
    assert test.metainfo['classes'] == list(names)  # same labels in head and data
    model = MODELS.build(cfg.model)
    if cfg.train_dataloader:
        data = DATASETS.build(cfg.train_dataloader.dataset)
        assert len({data.get_cat_ids(i)[0] for i in range(len(data))}) == 10
        batch = model.data_preprocessor(motion_collate([data[i] for i in range(3)]), True)
        model.train()
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        loss.backward()
        assert loss.isfinite()
        assert model.cls_head.text[0].weight.grad.abs().sum() > 0
        assert all(p.grad is None for p in model.backbone.parameters())
    batch = model.eval().data_preprocessor(motion_collate([test[0], test[1]]))
    with torch.no_grad():
        samples = model(**batch, mode='predict')
    assert all(s.pred_score.shape == (len(names), ) and
               float(s.pred_score.sum()) == pytest.approx(1, abs=1e-4) for s in samples)
    assert METRICS.build(cfg.test_evaluator).num_seen == (10 if cfg.train_dataloader else 0)


def test_zero_shot_splits_tool_prints_its_table(files, tmp_path, capsys):
    config = overrides('zero_shot_penn_baseline', files)
    config.dump(tmp_path / 'config.py')
    main = runpy.run_path(str(ROOT / 'projects/tmor/tools/zero_shot_splits.py'))['main']
    main([str(tmp_path / 'config.py'), 'none', '--splits', '2', '--epochs', '1', '--out',
          str(tmp_path / 'out/splits.csv')])
    lines = capsys.readouterr().out.splitlines()
    assert '| chance | – | 20.0 ± 0.0 | – | – | – |' in lines
    rows = (tmp_path / 'out/splits.csv').read_text().splitlines()
    assert len(rows) == 7
    assert rows[0].endswith('unseen_mean_class,seen,unseen,harmonic')
    mean = np.mean([float(row.split(',')[3]) for row in rows[1:] if 'nearest' in row])
    row, = (line for line in lines if line.startswith('| nearest seen class |'))
    assert f'| {100 * mean:.1f} ±' in row


def test_zero_shot_class_names_come_from_texts(table):
    """Names of classes are those of the texts, also of classes without training data."""
    assert build(table).classes == tuple(CLASSES)
    assert build(table, classes=['jump', 'walk']).classes == ('jump', 'walk')
