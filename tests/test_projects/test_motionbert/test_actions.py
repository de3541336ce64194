"""Action recognition of MotionBERT: transforms and heads against reference loops."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmaction.structures import ActionDataSample
from mmengine.optim import build_optim_wrapper

import projects.motionbert  # noqa: F401
from mofm.apis import Gallery, MotionInferencer
from mofm.datasets import SyntheticMotion
from mofm.registry import MODELS, TRANSFORMS
from mofm.structures import MotionFeatures
from mofm.utils.config import load_config
from projects.motionbert.actions.heads import pool

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / 'projects/motionbert/configs'
RNG = np.random.default_rng
# Joints of COCO for each joint of Human3.6M (several: their mean), from the released code.
COCO_OF_H36M = [(11, 12), 12, 14, 16, 11, 13, 15, (11, 12, 5, 6), (5, 6), 0, (1, 2), 5, 7, 9, 6,
                8, 10]


def clip(persons=2, frames=7, seed=0):
    """Create an annotation of random walks without missing joints."""
    rng = RNG(seed)
    steps = rng.normal(0, 3, (persons, frames, 17, 2)).cumsum(1)
    return dict(
        keypoint=(rng.uniform(100, 400, (persons, 1, 17, 2)) + steps).astype(np.float32),
        keypoint_score=rng.uniform(0.1, 1, (persons, frames, 17)).astype(np.float32),
        img_shape=(480, 640), total_frames=frames, frame_dir='clip', sample_idx=3)


def apply(name, results, **kwargs):
    return TRANSFORMS.build(dict(type=name, **kwargs))(dict(results))


# ------------------------------------------------------------------------------- resampling
@settings(max_examples=50)
@given(st.integers(1, 400), st.integers(1, 300))
def test_action_resampling_is_floor_of_even_positions(total, n):
    ann = clip(1, total)
    out = apply('ResampleFrames', ann, num_frames=n)
    exact = [i * total // n for i in range(n)]
    # linspace may round below a whole number
    assert all(e - f in (0, 1) and (e == f or i * total % n == 0)
               for i, (e, f) in enumerate(zip(exact, out['frame_inds'], strict=True)))
    np.testing.assert_array_equal(out['keypoint'], ann['keypoint'][:, out['frame_inds']])


@settings(max_examples=50)
@given(st.integers(1, 400), st.integers(1, 300), st.integers(0, 50))
def test_action_random_resampling_stays_near_even_positions(total, n, number):
    ann = dict(clip(1, total), sample_idx=number)
    frames = apply('ResampleFrames', ann, num_frames=n, random=True)['frame_inds']
    assert frames.shape == (n, )
    assert frames.min() >= 0
    assert frames.max() < total
    assert (np.diff(frames) >= 0).all()
    for i, frame in enumerate(frames):
        low, high = i * total // n, -(-(i + (total >= n)) * total // n)
        assert min(low, total - 1) - (i * total % n == 0) <= frame <= max(high, low)


def test_action_resampling_fixes_frames_of_a_recording():
    ann = clip(1, 50)
    build = dict(type='ResampleFrames', num_frames=9, random=True)
    first, other = (TRANSFORMS.build(build) for _ in range(2))
    frames = first(dict(ann))['frame_inds']
    np.random.seed(1)
    first(dict(ann, sample_idx=4))
    np.testing.assert_array_equal(first(dict(ann))['frame_inds'], frames)
    np.testing.assert_array_equal(other(dict(ann))['frame_inds'], frames)  # another worker
    assert (first(dict(ann, sample_idx=4))['frame_inds'] != frames).any()
    changing = TRANSFORMS.build(dict(build, resample_every_epoch=True))
    assert len({tuple(changing(dict(ann))['frame_inds']) for _ in range(5)}) > 1


# ----------------------------------------------------------------------------------- persons
def track(keypoint):
    """Return the frames with swapped persons, by the rule."""
    x = keypoint.astype(np.float64)
    out, swapped = [False], False
    for t in range(1, x.shape[1]):
        d0, d1 = (sum(math.dist(x[0, t, v], x[m, t - 1, v]) for v in range(17)) for m in (0, 1))
        swapped ^= d0 > d1
        out.append(swapped)
    return np.array(out)


@pytest.mark.parametrize('fix', [False, True])
@settings(max_examples=40)
@given(seed=st.integers(0, 1000), flips=st.lists(st.booleans(), min_size=12, max_size=12))
def test_action_tracking_equals_published_rule(fix, seed, flips):
    ann = clip(3, 12, seed)
    ann['keypoint'][1] += 300
    truth = {k: ann[k].copy() for k in ('keypoint', 'keypoint_score')}
    flips = np.flatnonzero(flips)
    ann['keypoint'][:2, flips] = ann['keypoint'][1::-1, flips]
    swapped = track(ann['keypoint'])
    out = apply('PersonTracking', ann, fix_conf_order=fix)
    for t, swap in enumerate(swapped):
        order = [1, 0, 2] if swap else [0, 1, 2]
        np.testing.assert_array_equal(out['keypoint'][:, t], ann['keypoint'][order, t])
        np.testing.assert_array_equal(out['keypoint_score'][:, t],
                                      ann['keypoint_score'][order if fix else [0, 1, 2], t])
    # persons far apart are identified in any order
    first = int(0 in flips)
    np.testing.assert_array_equal(out['keypoint'][first], truth['keypoint'][0])


@pytest.mark.parametrize('persons', [0, 1, 2, 3])
def test_action_persons_are_cut_and_filled(persons):
    ann = clip(persons)
    out = apply('PadPersons', ann)
    n = min(persons, 2)
    for key in ('keypoint', 'keypoint_score'):
        assert out[key].shape == (2, *ann[key].shape[1:])
        np.testing.assert_array_equal(out[key][:n], ann[key][:n])
        assert not out[key][n:].any()


# ------------------------------------------------------------------------------ coordinates
@pytest.mark.parametrize('shape', [(480, 640), (640, 480)])
def test_action_normalization_has_longer_side_as_unit(shape):
    ann = dict(clip(), img_shape=shape)
    out = apply('NormalizeByLongSide', ann)
    np.testing.assert_allclose(out['keypoint'], ann['keypoint'] / 640 * 2 - 1, atol=1e-6)


@pytest.mark.parametrize('fix', [False, True])
def test_action_joints_of_h36m_equal_published_means(fix):
    ann = clip()
    out = apply('CocoToH36M', ann, fix_conf_order=fix)
    for j, source in enumerate(COCO_OF_H36M):
        source = np.atleast_1d(source)
        np.testing.assert_allclose(
            out['keypoint'][:, :, j], ann['keypoint'].astype(float)[:, :, source].mean(2),
            rtol=1e-6)
        score = ann['keypoint_score'][:, :, source].min(2) if fix \
            else ann['keypoint_score'][:, :, j]
        np.testing.assert_array_equal(out['keypoint_score'][:, :, j], score)


@settings(max_examples=20)
@given(st.integers(1, 9), st.integers(0, 1000))
def test_action_random_move_is_one_affine_map_per_frame(frames, seed):
    ann = clip(2, frames)
    ann['keypoint'] = ann['keypoint'] / 320 - 1
    np.random.seed(seed)
    out = apply('RandomMove', ann, angle=20., scale=(0.8, 1.3), shift=0.2)['keypoint']
    np.random.seed(seed)
    ends = np.random.uniform((-20, 0.8, -0.2, -0.2), (20, 1.3, 0.2, 0.2), (2, 4))
    for t in range(frames):
        u = t / max(frames - 1, 1)
        a, s, dx, dy = (1 - u) * ends[0] + u * ends[1]
        a = math.radians(a)
        for m in range(2):
            for x, y, got in zip(*ann['keypoint'][m, t].astype(float).T, out[m, t], strict=True):
                expected = (s * (math.cos(a) * x - math.sin(a) * y) + dx,
                            s * (math.sin(a) * x + math.cos(a) * y) + dy)
                np.testing.assert_allclose(got, expected, atol=1e-5)


# --------------------------------------------------------------------------------- pipeline
def pipeline(num_frames=5, train=False, fix=False):
    steps = [dict(type='PersonTracking', fix_conf_order=fix),
             dict(type='ResampleFrames', num_frames=num_frames, random=train),
             dict(type='NormalizeByLongSide'), dict(type='CocoToH36M', fix_conf_order=fix),
             dict(type='PadPersons')]
    steps += [dict(type='RandomMove')] * train
    steps += [dict(type='CropScale', scale_range=(1, 3) if train else (2, 2)),
              dict(type='PackLiftingInputs')]
    return steps


def run(ann, **kwargs):
    ann = dict(ann)
    for step in pipeline(**kwargs):
        ann = TRANSFORMS.build(step)(ann)
    return ann


def published(ann, n):
    """Prepare a test clip (M, J, F, 3) in float64 by the steps of the released code."""
    h, w = ann['img_shape']
    cam = ann['keypoint'].astype(float) / max(h, w) * 2 - 1
    if len(cam) > 1:
        swapped = track(ann['keypoint'])
        cam = np.stack([np.where(swapped[:, None, None], cam[1 - m], cam[m]) for m in (0, 1)])
    joints = np.stack([cam[:, :, np.atleast_1d(j)].mean(2) for j in COCO_OF_H36M], 2)
    motion = np.concatenate([joints, ann['keypoint_score'][:2, :, :, None]], -1)
    motion = motion[:, [math.floor(t) for t in np.linspace(0, cam.shape[1], n, endpoint=False)]]
    if len(motion) == 1:
        motion = np.concatenate([motion, 0 * motion])
    seen = motion[motion[..., 2] != 0]
    low, high = seen[:, :2].min(0), seen[:, :2].max(0)
    scale = max(high - low) * 2
    corner = (low + high - scale) / 2
    motion[..., :2] = 2 * ((motion[..., :2] - corner) / scale - 0.5)
    return motion.clip(-1, 1).transpose(0, 2, 1, 3)


@pytest.mark.parametrize('persons', [1, 2])
@pytest.mark.parametrize('frames', [3, 12])
def test_action_test_clip_equals_released_pipeline(persons, frames):
    """Includes scores in the order of COCO and a padded person off the origin."""
    ann = clip(persons, frames)
    ann['keypoint'][:, frames // 2:] = ann['keypoint'][::-1, frames // 2:]
    ann['keypoint_score'][0, 1, 3:5] = ann['keypoint'][0, 1, 3:5] = 0
    points = run(ann)['inputs']['keypoints'].double().numpy()
    np.testing.assert_allclose(points, published(ann, 5), atol=1e-5)
    assert persons == 2 or abs(points[1, ..., :2]).min() > 0.1


@pytest.mark.parametrize(('persons', 'frames'), [(0, 1), (1, 1), (1, 40), (2, 3), (5, 8)])
@pytest.mark.parametrize('train', [False, True])
def test_action_pipeline_takes_any_clip(persons, frames, train):
    ann = clip(persons, frames)
    if persons:
        ann['keypoint'][0, 0, 3] = np.nan
        ann['keypoint_score'][0, 0, 4] = 0
    out = run(ann, train=train, fix=True)
    points = out['inputs']['keypoints']
    assert points.shape == (2, 17, 5, 3)
    assert points.dtype == torch.float32
    assert points.isfinite().all()
    assert points.abs().max() <= 1
    assert points[:, ..., 2].any() == (persons > 0)
    assert 'gt_label' not in out['data_samples']


def test_action_missing_joints_have_no_confidence():
    ann = clip(1, 4)
    ann['keypoint_score'][0, :, 7] = 0  # left elbow
    ann['keypoint'][0, 2, 12] = np.nan  # right hip
    points = run(ann, num_frames=4, fix=True)['inputs']['keypoints'][0, ..., 2]  # (J, F)
    gone = torch.zeros(17, 4, dtype=bool)
    gone[12] = True
    gone[[0, 1, 7], 2] = True  # pelvis and spine are derived joints
    assert torch.equal(points == 0, gone)


@pytest.mark.parametrize(('kwargs', 'message'), [
    (dict(type='ResampleFrames', num_frames=0), 'num_frames: found 0'),
    (dict(type='ResampleFrames', seed=-1), 'seed: found -1'),
    (dict(type='PadPersons', num_persons=0), 'num_persons: found 0'),
    (dict(type='RandomMove', scale=(0, 1)), 'scale: found'),
    (dict(type='RandomMove', angle=-1), 'angle: found')])
def test_action_transforms_name_bad_parameters(kwargs, message):
    with pytest.raises(ValueError, match=f'{kwargs["type"]}: {message}'):
        TRANSFORMS.build(kwargs)


def test_action_resampling_refuses_recording_without_frames():
    with pytest.raises(ValueError, match="keypoint of 'clip': found .*at least one frame"):
        apply('ResampleFrames', clip(1, 0))


# ------------------------------------------------------------------------------------ heads
def features(batch=3, persons=2, frames=4, joints=17, width=6, seed=0):
    torch.manual_seed(seed)
    tokens = torch.randn(batch, persons * frames * joints, width)
    return MotionFeatures(tokens, tokens.mean(1), torch.ones(tokens.shape[:2], dtype=bool))


def pooled(x, b, persons=2, frames=4, joints=17, width=6):
    """Average (m, t, j)-ordered tokens over T, then M, term by term."""
    tokens = x.tokens[b].double().tolist()
    return torch.tensor([
        sum(sum(tokens[(m * frames + t) * joints + j][c] for t in range(frames)) / frames
            for m in range(persons)) / persons
        for j in range(joints) for c in range(width)], dtype=torch.float64)


def test_action_head_scores_equal_formula():
    torch.manual_seed(1)
    head = MODELS.build(dict(type='MotionBERTClsHead', num_classes=4, in_channels=6,
                             hidden_channels=8)).eval()
    for name, value in dict(weight=1.3, bias=0.2, running_mean=0.1, running_var=0.5).items():
        torch.nn.init.normal_(getattr(head.bn, name), value, 0.01)
    x, state = features(), {k: v.double() for k, v in head.state_dict().items()}
    scores = head(x)
    for b in range(3):
        h = state['fc1.weight'] @ pooled(x, b) + state['fc1.bias']
        h = (h - state['bn.running_mean']) / (state['bn.running_var'] + 1e-5).sqrt()
        h = (h * state['bn.weight'] + state['bn.bias']).clamp(min=0)
        expected = state['fc2.weight'] @ h + state['fc2.bias']
        torch.testing.assert_close(scores[b].double(), expected, rtol=1e-5, atol=1e-6)
    losses = head.train().loss(x, torch.tensor([0, 3, 1]))
    losses['loss_cls'].backward()
    assert head.fc1.weight.grad.abs().sum() > 0
    sample, = head.eval().predict(features(2), [ActionDataSample()])  # two clips of a sample
    torch.testing.assert_close(sample.pred_score, head(features(2)).softmax(1).mean(0))


def test_action_embedding_head_equals_formula():
    torch.manual_seed(1)
    head = MODELS.build(dict(type='MotionBERTOneShotHead', in_channels=6,
                             out_channels=7)).eval()
    x = features()
    for b, got in enumerate(head(x)):
        expected = head.fc1.weight.double() @ pooled(x, b) + head.fc1.bias.double()
        torch.testing.assert_close(got.double(), expected / expected.norm(), rtol=1e-5, atol=1e-6)
    itself = MODELS.build(dict(type='MotionBERTOneShotHead', in_channels=6,
                               out_channels=None)).eval()
    assert not list(itself.parameters())
    torch.testing.assert_close(itself(x)[1].double(), pooled(x, 1) / pooled(x, 1).norm(),
                               rtol=1e-5, atol=1e-6)
    standardized = MODELS.build(dict(type='MotionBERTOneShotHead', in_channels=6, dropout=0.,
                                     out_channels=None, probe_norm=True)).train()
    batch = torch.stack([pooled(x, b) for b in range(len(x.tokens))])
    expected = (batch - batch.mean(0)) / (batch.var(0, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(standardized(x).double(),
                               torch.nn.functional.normalize(expected, dim=1),
                               rtol=1e-4, atol=1e-5)


def test_action_head_drops_every_token():
    """Checks the variance x^2 p / (1 - p) / (M * T) of the mean over M * T tokens."""
    torch.manual_seed(0)
    tokens = torch.ones(1, 400 * 17, 300)
    out = pool(tokens, torch.nn.Dropout(0.5))
    assert out.mean() == pytest.approx(1, abs=0.01)
    assert out.var() == pytest.approx(1 / 400, rel=0.1)


def test_action_models_have_published_sizes_and_names():
    """The NTU-60 model has 60,421,193 parameters, including the 3D output layer."""
    with torch.device('meta'):
        model = MODELS.build(dict(
            type='MotionRecognizer', backbone=dict(type='DSTformerBackbone'),
            cls_head=dict(type='MotionBERTClsHead', num_classes=60)))
        one_shot = MODELS.build(dict(type='MotionBERTOneShotHead'))
    assert sum(p.numel() for p in model.parameters()) == 60_421_193
    assert model.cls_head.dropout.p == 0.5
    assert one_shot.dropout.p == 0.1
    assert {k: tuple(v.shape) for k, v in model.cls_head.state_dict().items()} == {
        'fc1.weight': (2048, 8704), 'fc1.bias': (2048, ), 'bn.weight': (2048, ),
        'bn.bias': (2048, ), 'bn.running_mean': (2048, ), 'bn.running_var': (2048, ),
        'bn.num_batches_tracked': (), 'fc2.weight': (60, 2048), 'fc2.bias': (60, )}
    assert {k: tuple(v.shape) for k, v in one_shot.state_dict().items()} == {
        'fc1.weight': (2048, 8704), 'fc1.bias': (2048, )}


# ---------------------------------------------------------------------------------- configs
@pytest.mark.parametrize(('name', 'rates'), [
    ('action_ntu60_xsub', (1e-4, 1e-3)), ('action_ntu60_xview_scratch', (1e-4, 1e-4)),
    ('oneshot_ntu120', (1e-4, 1e-3))])
def test_action_configs_have_rates_of_backbone_and_head(name, rates):
    cfg = load_config(CONFIGS / f'{name}.py')
    cfg.model.backbone.update(embed_dims=8, depth=1, init_cfg=None)
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    rate = {id(p): group['lr'] for group in groups for p in group['params']}
    for part, expected in zip((model.backbone, model.cls_head), rates, strict=True):
        assert all(rate[id(p)] == pytest.approx(expected)
                   for p in part.parameters() if p.requires_grad)


@pytest.mark.parametrize('name', ['penn', 'ucla'])
def test_motionbert_one_shot_protocols_equal_mofm(name):
    ours = load_config(CONFIGS / f'oneshot_{name}_tiny.py')
    theirs = load_config(ROOT / f'configs/dt2_{name}_tiny.py')
    assert ours.test_evaluator == theirs.test_evaluator
    assert ours.train_dataloader.sampler == theirs.train_dataloader.sampler
    for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        protocol = [{k: cfg[loader].dataset.get(k) for k in ('ann_file', 'split', 'classes')}
                    for cfg in (ours, theirs)]
        assert protocol[0] == protocol[1]


# --------------------------------------------------------------------------------- inference
def inferencer(name, **options):
    options['model.backbone.init_cfg'] = None
    return MotionInferencer(CONFIGS / f'{name}.py', device='cpu', cfg_options=options)


@pytest.fixture
def motion():
    dataset = SyntheticMotion(3, seed=3, actions=('walk', 'wave', 'squat'))
    return [dataset.get_data_info(i) for i in range(3)]


@pytest.mark.parametrize('name', ['action_penn_tiny', 'action_ntu60_xsub_lite'])
def test_motionbert_inferencer_names_actions(name, motion):
    tiny = dict(depth=1, embed_dims=8, rep_dims=8)
    model = inferencer(name, **{f'model.backbone.{k}': v for k, v in tiny.items()},
                       **{'model.cls_head.in_channels': 8})
    assert model.tasks == ('action', 'features')
    arrays = [np.concatenate([a['keypoint'], a['keypoint_score'][..., None]], -1) for a in motion]
    pair = np.concatenate([arrays[0][:, :20], arrays[1][:, :20]])  # (2, 20, 17, 3)
    result, = model(pair, img_shape=motion[0]['img_shape'], window=10, progress=False)
    assert result.scores.shape == (3, 60 if 'ntu' in name else 15)
    for array, found in zip(arrays, model(motion, progress=False), strict=True):
        result, = model(array, img_shape=motion[0]['img_shape'], progress=False)
        np.testing.assert_allclose(result.scores, found.scores, atol=1e-6)
    features, = model(motion[0], task='features', progress=False)
    persons, frames = (2, 243) if 'ntu' in name else (1, 16)
    assert features.tokens.shape == (1, persons * frames * 17, features.pooled.shape[1])
    np.testing.assert_allclose(features.tokens.mean(1), features.pooled, atol=1e-5)


def test_motionbert_inferencer_finds_the_exemplar(motion):
    model = inferencer('oneshot_penn_tiny')
    gallery = Gallery(model)
    for ann in motion:
        gallery.add(ann['frame_dir'], ann)
    for ann, result in zip(motion, model(motion, task='one_shot', gallery=gallery,
                                         progress=False), strict=True):
        (name, score), = result.top(1)
        assert name == ann['frame_dir']
        assert score == pytest.approx(1, abs=1e-5)
