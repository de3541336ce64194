"""Untrimmed recordings: windows, frame-level heads and losses, training."""

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import BaseDataElement
from torch import nn

from mofm.annotations import AnnotationError, dump_annotations
from mofm.registry import MODELS
from mofm.structures import MotionFeatures
from projects.tmor.localization import (
    FrameBCELoss,
    FrameCELoss,
    FrameHead,
    MotionDetector,
    SDTCNHead,
    UntrimmedDataset,
)

init_default_scope('mofm')


def recording(name, frames, persons=1, seed=0, **fields):
    """Return an annotation of random joints."""
    rng = np.random.default_rng(seed)
    return dict(
        frame_dir=name, label=0, img_shape=(480, 640), total_frames=frames,
        keypoint=rng.uniform(10, 400, (persons, frames, 17, 2)).astype(np.float32),
        keypoint_score=np.ones((persons, frames, 17), np.float32), **fields)


@pytest.fixture
def write(tmp_path):
    def write(*annotations, classes=('a', 'b', 'c'), **options):
        path = tmp_path / 'set.pkl'
        dump_annotations(dict(split={}, annotations=list(annotations),
                              metainfo=dict(classes=list(classes))), path)
        return UntrimmedDataset(str(path), **{**dict(window=8, stride=5, test_mode=True),
                                              **options})
    return write


# ------------------------------------------------------------------------------------------- data
@pytest.mark.parametrize('strict', [False, True])
def test_untrimmed_windows_and_targets_equal_loops(write, strict):
    """Loops over the frames of the video: gaps, overlapping actions, ends, padding."""
    inds = np.array([0, 1, 2, 3, 5, 6, 9, 10, 11, 12, 13, 14, 15, 18])
    segments = np.array([[0, 1, 4], [2, 3, 9], [0, 9, 9], [1, 14, 40]])
    dataset = write(recording('v', 14, 2, frame_inds=inds, segments=segments),
                    recording('short', 3, segments=np.array([[2, 0, 1]])), strict_ends=strict)
    ann, = [a for a in dataset.recordings if a['frame_dir'] == 'v']
    assert [dataset[i]['frame'] for i in range(len(dataset))] == [0, 5, 10, 15, 0]
    for i in range(4):
        sample = dataset[i]
        assert sample['num_frames'] == 19
        assert sample['total_frames'] == 8
        for s in range(8):
            frame = sample['frame'] + s
            assert sample['valid'][s] == (frame < 19)
            row, = np.flatnonzero(inds == frame) if frame in inds else [None]
            expected = np.zeros((2, 17, 2)) if row is None else ann['keypoint'][:, row]
            np.testing.assert_array_equal(sample['keypoint'][:, s], expected)
            assert sample['keypoint_score'][:, s].any() == (row is not None)
            active = {int(a) for a, first, last in segments if frame < 19 and (
                first < frame < last if strict else first <= frame <= last)}
            assert set(np.flatnonzero(sample['frame_targets'][s])) == active
    sample = dataset[4]
    assert sample['valid'].tolist() == [True] * 3 + [False] * 5
    assert sample['frame_targets'][:, 2].tolist() == [not strict] * 2 + [False] * 6
    np.testing.assert_array_equal(sample['segments'], [[2, 0, 1]])


def test_untrimmed_frame_labels_become_segments(write):
    label = np.array([[-1, 1, 1, -1, 1, 0, 0], [-1, -1, 1, 1, -1, -1, 0]])
    dataset = write(recording('v', 7, 2, frame_label=label))
    segments = {tuple(row) for row in dataset[0]['segments'].tolist()}
    assert segments == {(1, 1, 4), (0, 5, 6)}
    expected = [[(label[:, t] == k).any() for k in range(3)] for t in range(7)]
    np.testing.assert_array_equal(dataset[0]['frame_targets'][:7], expected)


def test_untrimmed_training_skips_windows_without_persons(write):
    ann = recording('v', 30, segments=np.array([[0, 0, 29]]))
    ann['keypoint_score'][:, 8:26] = 0
    kept = write(ann, stride=4, test_mode=False)
    assert [kept[i]['frame'] for i in range(len(kept))] == [0, 4, 20, 24]
    assert len(write(ann, stride=4)) == 7


def test_untrimmed_reports_labels_outside_the_list(write, capsys):
    good = recording('good', 9, segments=np.array([[2, 0, 3]]))
    for field in (dict(segments=np.array([[0, 0, 1], [3, 2, 3]])),
                  dict(frame_label=np.array([0, 1, 2, 3, -1])),
                  dict(frame_label=np.array([0, 1, 2, -2, -1]))):
        with pytest.raises(AnnotationError, match=r'label: found .* expected 0 to 2, as num_cl'):
            write(good, recording('bad', 5, **field))
        dataset = write(good, recording('bad', 5, **field), skip_labels=True)
        problem, = dataset.problems
        assert dataset.skipped.endswith('skipped 1 of 2 recordings')
        assert {dataset[i]['frame_dir'] for i in range(len(dataset))} == {'good'}
        name, = field
        assert f"{name} of 'bad'" in str(problem)
        assert 'label' in problem.found
        with pytest.raises(AnnotationError, match=f"{name} of 'bad': found label"):
            write(good, recording('bad', 5, **field), on_error='raise')


def test_untrimmed_names_bad_data_and_options(write):
    with pytest.raises(AnnotationError, match='segments or frame_label'):
        write(recording('v', 9))
    with pytest.raises(AnnotationError, match='names of classes'):
        write(recording('v', 9, segments=np.array([[0, 0, 1]])), classes=())
    with pytest.raises(AnnotationError, match='none of 1 recordings has a window'):
        write(recording('v', 9, segments=np.array([[7, 0, 1]])), skip_labels=True)
    with pytest.raises(ValueError, match='window=8 and stride=9'):
        write(recording('v', 9, segments=np.array([[0, 0, 1]])), stride=9)
    with pytest.raises(ValueError, match=r'classes: found \[1\]'):
        UntrimmedDataset('none.pkl', classes=[1])


def test_untrimmed_utkinect_has_annotated_intervals(real_data, tmp_path):
    """UTKinect: the annotated intervals of the actions, by frame and by segment."""
    from mofm.sources import UTKinectUntrimmed
    source = UTKinectUntrimmed(real_data('utkinect.zip'))
    source.files = [f for f in source.files if 's01_e0' in f]
    annotations = [ann for ann, _ in source]
    dump_annotations(dict(split={}, annotations=annotations,
                          metainfo=dict(classes=list(source.classes))), tmp_path / 'u.pkl')
    dataset = UntrimmedDataset(str(tmp_path / 'u.pkl'), window=64)
    counts = np.zeros(10, int)
    for i in range(len(dataset)):
        counts += dataset[i]['frame_targets'].sum(0)
    label = np.concatenate([ann['frame_label'] for ann in annotations])
    np.testing.assert_array_equal(counts, np.bincount(label[label >= 0], minlength=10))
    assert len(dataset.recordings) == 2
    assert all(
        len(ann['segments']) == 10 for ann in dataset.recordings)


def test_untrimmed_tsu_equals_annotated_seconds(real_data, tmp_path):
    """A frame has the actions that start before and end after it, read from the JSON file."""
    from mofm.sources import TSU
    source = TSU(real_data('tsu_sample.zip'), strict=True)
    annotation, = [ann for ann, _ in source]
    dump_annotations(dict(split={}, annotations=[annotation],
                          metainfo=dict(classes=list(source.classes))), tmp_path / 't.pkl')
    dataset = UntrimmedDataset(str(tmp_path / 't.pkl'), strict_ends=True, test_mode=True)
    assert len(dataset) == 116
    assert dataset[115]['valid'].sum() == 34520 - 115 * 300
    expected = [set() for _ in range(51)]
    for label, start, end in source.videos[annotation['frame_dir']]['actions']:
        expected[label] |= set(range(start + 1, min(end, 34520)))
    counts = sum(dataset[i]['frame_targets'].sum(0) for i in range(116))
    assert counts.tolist() == [len(frames) for frames in expected]


# -------------------------------------------------------------------------------- heads and losses
def features(frames):
    return MotionFeatures(frames, frames.mean(1), torch.ones(frames.shape[:2], dtype=bool), frames)


def interpolated(x, length):
    """Interpolate (T, D) at the centers of ``length`` bins, in float64."""
    x = np.asarray(x, np.float64)
    out = np.zeros((length, x.shape[1]))
    for i in range(length):
        place = min(max((i + .5) * len(x) / length - .5, 0), len(x) - 1)
        low = int(place)
        high = min(low + 1, len(x) - 1)
        out[i] = x[low] + (place - low) * (x[high] - x[low])
    return out


def test_frame_heads_have_published_parameters():
    def count(head):
        return sum(p.numel() for p in head.parameters())

    assert count(FrameHead(51)) == 13107
    assert count(FrameHead(157)) == 40349
    assert count(FrameHead(51, loss=dict(type='FrameCELoss'))) == 52 * 257
    assert count(SDTCNHead(51)) == 5405747


@pytest.mark.parametrize(('frames', 'length'), [(4, 15), (5, 5), (1, 6), (7, 3)])
def test_frame_head_equals_interpolated_linear_layer(frames, length):
    torch.manual_seed(0)
    head = FrameHead(3, in_channels=6)
    x = torch.randn(2, frames, 6)
    out = head(features(x), torch.ones(2, length, dtype=bool)).detach()
    weight, bias = (p.detach().double().numpy() for p in head.fc.parameters())
    for row, clip in zip(out, x, strict=True):
        np.testing.assert_allclose(row, interpolated(clip, length) @ weight.T + bias, atol=1e-5)


def test_frame_head_without_time_is_constant():
    head, pooled = FrameHead(3, in_channels=6), torch.randn(2, 6)
    out = head(MotionFeatures(pooled[:, None], pooled, torch.ones(2, 1, dtype=bool)),
               torch.ones(2, 9, dtype=bool))
    torch.testing.assert_close(out, head.fc(pooled)[:, None].expand(2, 9, 3))


def test_sd_tcn_head_equals_formula():
    """The formula, frame by frame: residual blocks that ignore the padding of their inputs."""
    torch.manual_seed(0)
    head = SDTCNHead(3, in_channels=4, hidden_channels=5).eval()
    x, valid = torch.randn(1, 9, 4), torch.ones(1, 20, dtype=bool)
    valid[:, 17:] = False
    out = head(features(x), valid)[0].detach()
    p = {k: v.detach().double().numpy() for k, v in head.named_parameters()}
    h = interpolated(x[0], 20) @ p['embed.weight'].T + p['embed.bias']
    for i in range(5):
        new = np.zeros_like(h)
        for t in range(17):
            y = p[f'blocks.{i}.conv.bias'].copy()
            for tap in range(3):
                at = t + (tap - 1) * 2**i
                if 0 <= at < 20:
                    y += p[f'blocks.{i}.conv.weight'][:, :, tap] @ h[at]
            new[t] = h[t] + p[f'blocks.{i}.mix.weight'][:, :, 0] @ np.maximum(y, 0) \
                + p[f'blocks.{i}.mix.bias']
        h = new
    np.testing.assert_allclose(out, h @ p['fc.weight'].T + p['fc.bias'], atol=1e-4)


def batch(outputs):
    rng = torch.Generator().manual_seed(1)
    valid = torch.tensor([[True] * 5, [True, True, False, False, False]])
    targets = torch.rand(2, 5, 3, generator=rng) < .4
    targets[0, 0], targets[0, 1] = False, torch.tensor([True, False, True])
    return torch.randn(2, 5, outputs, generator=rng) * 3, targets, valid


def test_frame_bce_loss_equals_formula():
    logits, targets, valid = batch(3)
    total = 0.
    for b, t in valid.nonzero().tolist():
        for k in range(3):
            p = 1 / (1 + np.exp(-float(logits[b, t, k])))
            total -= np.log(p if targets[b, t, k] else 1 - p)
    loss = FrameBCELoss()(logits, targets, valid)
    assert float(loss) == pytest.approx(total / 7, rel=1e-5)
    logits[~valid], targets[~valid] = 1e4, ~targets[~valid]  # padding counts for nothing
    assert FrameBCELoss()(logits, targets, valid) == loss


def test_frame_ce_loss_equals_formula():
    logits, targets, valid = batch(4)
    total = 0.
    for b, t in valid.nonzero().tolist():
        z = logits[b, t].double().numpy()
        log_p = z - np.log(np.exp(z).sum())
        active = np.flatnonzero(targets[b, t]) + 1
        total -= log_p[active].mean() if len(active) else log_p[0]
    criterion = FrameCELoss()
    assert float(criterion(logits, targets, valid)) == pytest.approx(total / 7, rel=1e-5)
    scores = criterion.scores(logits)
    assert scores.shape == (2, 5, 3)
    assert (scores.sum(-1) < 1).all()
    np.testing.assert_allclose(1 - scores.sum(-1), logits.softmax(-1)[..., 0], atol=1e-6)


# ------------------------------------------------------------------------------------------ model
@MODELS.register_module()
class EveryFourthFrame(nn.Module):
    """Stand-in for a backbone: a temporal convolution of stride 4 over the joints."""

    def __init__(self, frozen=False):
        super().__init__()
        self.conv = nn.Conv1d(34, 16, 5, stride=4, padding=2).requires_grad_(not frozen)

    def forward(self, inputs):
        x = inputs[:, 0, ..., :2].flatten(2).transpose(1, 2)  # (B, V * 2, T)
        return features(self.conv(x).relu().transpose(1, 2))


def localizer(head=None, **backbone):
    return MODELS.build(dict(
        type='MotionDetector', backbone=dict(type='EveryFourthFrame', **backbone),
        head=dict(head or dict(type='FrameHead'), num_classes=3, in_channels=16)))


def windows(number=6, frames=20):
    """Return windows in which the position of the person determines the action."""
    rng = np.random.default_rng(0)
    targets = np.zeros((number, frames, 3), bool)
    targets[np.arange(number)[:, None], np.arange(frames), rng.integers(
        0, 3, (number, frames // 10)).repeat(10, 1)] = True
    place = targets @ np.array([-1., 0., 1.])
    inputs = rng.normal(0, .1, (number, 1, frames, 17, 2)) + place[:, None, :, None, None]
    samples = []
    for t in targets:
        sample = BaseDataElement(metainfo=dict(frame_targets=t, valid=np.ones(frames, bool)))
        samples.append(sample)
    return torch.tensor(inputs, dtype=torch.float32), samples, targets


@pytest.mark.parametrize('head', [dict(type='FrameHead'),
                                  dict(type='SDTCNHead', hidden_channels=16)])
def test_motion_detector_learns_actions_of_frames(head):
    torch.manual_seed(0)
    model, (inputs, samples, targets) = localizer(head), windows()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(inputs, samples, mode='loss')['loss_frame']
        loss.backward()
        optimizer.step()
    scores = torch.stack([s.frame_scores for s in model.eval()(inputs, samples, mode='predict')])
    assert scores.shape == targets.shape
    assert (scores.argmax(-1).numpy() == targets.argmax(-1)).mean() > .85


def test_motion_detector_joins_the_clips_of_a_window_in_time():
    """Windows of 40 frames as two clips of 20; the dilated head looks across their border."""
    torch.manual_seed(0)
    model = localizer(dict(type='SDTCNHead', hidden_channels=16)).eval()
    inputs, _, _ = windows(2, 40)
    samples = [BaseDataElement(metainfo=dict(valid=np.ones(40, bool))) for _ in range(2)]
    model(inputs.unflatten(2, (2, 20)).transpose(1, 2).flatten(0, 1), samples, mode='predict')
    parts = [model.backbone(inputs[:, :, part]).frames for part in (slice(0, 20), slice(20, 40))]
    joined = features(torch.cat(parts, 1))
    expected = model.head.criterion.scores(model.head(joined, torch.ones(2, 40, dtype=torch.bool)))
    for sample, scores in zip(samples, expected, strict=True):
        torch.testing.assert_close(sample.frame_scores, scores)


def test_motion_detector_probe_trains_the_head_only():
    model, (inputs, samples, _) = localizer(frozen=True), windows(2)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 17 * 3
    model(inputs, samples, mode='loss')['loss_frame'].backward()
    assert model.backbone.conv.weight.grad is None
    assert model.head.fc.weight.grad.any()
    assert isinstance(model(inputs), MotionFeatures)


def test_motion_detector_names_bad_classes_and_samples():
    model, (inputs, samples, _) = localizer(), windows(2)
    for sample in samples:
        sample.set_metainfo(dict(frame_targets=np.zeros((20, 4), bool)))
    with pytest.raises(ValueError, match='found 4 classes, expected num_classes=3'):
        model(inputs, samples, mode='loss')
    with pytest.raises(ValueError, match='without valid: expected windows of UntrimmedDataset'):
        model(inputs, [BaseDataElement(), BaseDataElement()], mode='predict')
    assert isinstance(model, MotionDetector)
