"""Task 'lift' with models of known output."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor, BaseModel

from mofm.apis import MotionInferencer, MotionStream
from mofm.cli import demo
from mofm.registry import MODELS, TRANSFORMS
from mofm.sources.mocap.bvh import forward_kinematics, parse_hierarchy
from mofm.structures import LAYOUTS, convert
from mofm.visualization.pose_3d import ClipPanel3D
from projects.motionbert.lifting import LiftResult

QUIET = dict(progress=False)
H36M = LAYOUTS['h36m17']


@TRANSFORMS.register_module(force=True)
class BoxOfAClip(BaseTransform):
    """Normalize by the bounding box of all joints; joints with score 0 are unchanged."""

    def transform(self, results):
        points = results['keypoint'].astype(np.float32)
        seen = points[results['keypoint_score'] > 0]
        center, scale = (seen.min(0) + seen.max(0)) / 2, float(np.ptp(seen, axis=0).max() / 2)
        score = results['keypoint_score'][..., None]
        keypoints = np.concatenate([(points - center) / scale, score], -1, dtype=np.float32)
        return dict(results, keypoints=keypoints.swapaxes(1, 2), norm_center=center,
                    norm_scale=scale)


@MODELS.register_module(force=True)
class JointsLast(BaseDataPreprocessor):

    def forward(self, data, training=False):
        return dict(inputs=data['inputs']['keypoints'].transpose(2, 3),
                    data_samples=data['data_samples'])


@MODELS.register_module(force=True)
class PlainLifter(BaseModel):
    """Lifter with x, y of the input and z = x + 2 y - 1 + frame, optionally root-relative."""

    def __init__(self, root_relative=False, backbone=None, fields=('pred_keypoints_3d', )):
        super().__init__(JointsLast())
        self.root_relative, self.fields = root_relative, fields
        self.weight = torch.nn.Parameter(torch.tensor(2.))
        self.sizes = []

    def forward(self, inputs, data_samples=None, mode='tensor'):
        xy = inputs[..., :2]
        frame = torch.arange(inputs.shape[2])[:, None]
        z = xy[..., 0] + self.weight * xy[..., 1] - 1 + frame
        pred = torch.cat([xy, z[..., None]], -1)
        if self.root_relative:
            pred = pred - pred[..., :1, :]
        self.sizes.append(tuple(inputs.shape[:3]))
        if mode == 'tensor':
            return pred
        for sample, joints in zip(data_samples, pred, strict=True):
            for field in self.fields:
                sample.set_field(joints, field)
        return data_samples


def lifter(max_frames=8, batch_size=32, meta=('norm_center', 'norm_scale'), **model):
    return MotionInferencer(Config(dict(
        model=dict(type='PlainLifter', backbone=dict(max_frames=max_frames), **model),
        test_dataloader=dict(dataset=dict(
            type='MotionDataset', to_layout='h36m17',
            pipeline=[dict(type='BoxOfAClip'), dict(type='PackMotionInputs', meta_keys=meta)])))),
        batch_size=batch_size, device='cpu')


def people(persons, frames, seed=0, joints=17):
    """Create keypoints (M, T, J, 3) of persons with different positions and sizes."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 200, (persons, frames, joints, 2))
    points *= rng.uniform(.5, 2, (persons, 1, 1, 1))
    points += rng.uniform(100, 1500, (persons, 1, 1, 2))
    return np.concatenate([points, rng.uniform(.1, 1, points.shape[:3])[..., None]], -1)


def expected_z(points, starts, size):
    """Lift one person in float64, averaged over windows."""
    total, count = np.zeros(points.shape[:2]), np.zeros((len(points), 1))
    for start in starts:
        window = points[start:start + size, :, :2]
        flat = window.reshape(-1, 2)
        center, scale = (flat.min(0) + flat.max(0)) / 2, np.ptp(flat, axis=0).max() / 2
        unit = (window - center) / scale
        z = unit[..., 0] + 2 * unit[..., 1] - 1 + np.arange(len(window))[:, None]
        total[start:start + size] += z * scale
        count[start:start + size] += 1
    return total / count


# --------------------------------------------------------------------------------- coordinates
def test_lift_gives_pixels_of_single_persons_in_windows():
    """Checks that the last window ends with the recording and persons are normalized alone."""
    points = people(2, 20)
    result, = lifter()(points, layout='h36m17', **QUIET)
    assert isinstance(result, LiftResult)
    assert result.joints.dtype == np.float32
    assert result.joints.shape == (2, 20, 17, 3)
    assert result.layout == 'h36m17'
    assert result.frames.tolist() == [[0, 7], [8, 15], [12, 19]] * 2
    np.testing.assert_allclose(result.joints[..., :2], points[..., :2], atol=2e-3)
    for person, mine in enumerate(points):
        np.testing.assert_allclose(result.joints[person, ..., 2],
                                   expected_z(mine, (0, 8, 12), 8), rtol=1e-4, atol=.02)
    np.testing.assert_allclose(result.score, points[..., 2], rtol=1e-6)
    np.testing.assert_array_equal(result.frame, np.arange(20))


def test_lift_takes_window_and_stride():
    points = people(1, 20)
    model = lifter()
    result, = model(points, window=6, stride=5, layout='h36m17', **QUIET)
    assert result.frames[:, 0].tolist() == [0, 5, 10, 14]
    np.testing.assert_allclose(result.joints[0, ..., 2],
                               expected_z(points[0], (0, 5, 10, 14), 6), rtol=1e-4, atol=.02)
    with pytest.raises(ValueError, match='window: found 0'):
        model(points, window=0, layout='h36m17', **QUIET)


def test_lift_batches_clips_of_one_length():
    """Checks that clips of equal length are batched, without effect on results."""
    clips = [people(m, t, seed) for seed, (m, t) in enumerate([(1, 3), (3, 8), (1, 8), (2, 21),
                                                               (1, 1)])]
    model = lifter(batch_size=4)
    model.model.sizes.clear()
    found = model(clips, layout='h36m17', **QUIET)
    assert model.model.sizes == [(1, 1, 3), (3, 1, 8), (4, 1, 8), (3, 1, 8), (1, 1, 1)]
    alone = lifter(batch_size=1)
    for clip, result in zip(clips, found, strict=True):
        same, = alone(clip, layout='h36m17', **QUIET)
        np.testing.assert_allclose(result.joints, same.joints, atol=1e-4)
        assert result.joints.shape == clip.shape
        assert np.isfinite(result.joints).all()


def test_lift_pads_and_cuts_persons_of_a_batch():
    """Clips of :meth:`predict_clips` may have several persons."""
    clips = [dict(keypoint=p[..., :2], keypoint_score=p[..., 2], img_shape=(9, 9))
             for p in (people(1, 5), people(3, 5), people(2, 4))]
    model = lifter()
    model.model.sizes.clear()
    outputs = model.predict_clips(clips, 'lift')
    assert model.model.sizes == [(2, 3, 5), (1, 2, 4)]
    for clip, output in zip(clips, outputs, strict=True):
        np.testing.assert_allclose(output['joints'][..., :2], clip['keypoint'], atol=2e-3)


def test_lift_puts_root_relative_poses_at_the_input_root():
    points = people(2, 11)
    points[0, 3, 0] = 0  # no root: the other joints are used
    points[1, 4, 5] = 0  # other joints are irrelevant
    result, = lifter(root_relative=True)(points, layout='h36m17', **QUIET)
    seen = points[..., 2] > 0
    assert (result.score[~seen] == 0).all()
    np.testing.assert_allclose(result.joints[seen][:, :2], points[seen][:, :2], atol=5e-3)
    np.testing.assert_allclose(result.joints[..., 0, 2], 0, atol=1e-3)


def test_lift_frames_without_person_are_nan():
    """Windows begin with a person; frames without the person are NaN."""
    points = people(3, 30)
    points[0, :7] = points[0, 13:15] = points[0, 25:] = 0
    points[1] = 0
    result, = lifter(max_frames=10)(points, layout='h36m17', **QUIET)
    assert result.frames.tolist() == [[7, 16], [15, 24], [0, 9], [10, 19], [20, 29]]
    gone = np.ones((3, 30), bool)
    gone[0, 7:13] = gone[0, 15:25] = gone[2] = False
    np.testing.assert_array_equal(np.isnan(result.joints).all((2, 3)), gone)
    np.testing.assert_array_equal(np.isnan(result.joints).any((2, 3)), gone)
    assert (result.score[gone] == 0).all()


def test_lift_joints_without_evidence_are_unknown(tmp_path):
    """Checks all outputs about a person behind a desk, and a wrist that one window shows."""
    points = people(2, 20)
    legs, wrist = range(7), H36M.joints.index('left_wrist')  # pelvis to left ankle
    points[0, :, legs] = 0
    points[0, :10, wrist] = points[0, 11:, wrist] = 0
    model = lifter(root_relative=True)
    result, = model(points, window=8, stride=6, layout='h36m17', **QUIET)
    assert result.frames[:3].tolist() == [[0, 7], [6, 13], [12, 19]]
    known = np.ones((2, 20, 17), bool)
    known[0, :, legs] = known[0, :6, wrist] = known[0, 14:, wrist] = False
    np.testing.assert_array_equal(np.isfinite(result.joints), np.repeat(known[..., None], 3, -1))
    assert (result.score[~known] == 0).all()
    names = ', '.join(H36M.joints[:7])
    assert result.summary() == ('2 persons, 20 frames, 17 joints; '
                                f'no frame shows {names} of person 0')
    rows = {(row['person'], row['frame'], row['joint']) for row in result.rows()}
    assert rows == {(m, t, H36M.joints[j]) for m, t, j in np.argwhere(known).tolist()}
    assert len(result.rows()) == len(rows)
    first, second = (read_bvh_joints(path)[0] for path in result.save(tmp_path / 'a.bvh'))
    assert {*H36M.joints} - {*first} == {*H36M.joints[:7]}
    assert {*H36M.joints} <= {*second}
    np.testing.assert_allclose(first['spine'] * (1, -1, -1), result.joints[0, :, 7], atol=2e-3)
    assert result.to_dict()['joints'][0][3][0] == [None] * 3
    panel = ClipPanel3D(Figure().add_subplot(projection='3d'), result.joints, 'h36m17')
    drawn = np.isfinite(panel._bones).all((-1, -2))  # (M, T, E)
    np.testing.assert_array_equal(drawn, known[:, :, np.array(H36M.edges)].all(-1))
    assert [*model.task().draw(result)] == ['.png', '.gif']
    hidden, = lifter().predict_clips([dict(keypoint=points[:1, :6, :, :2], img_shape=(9, 9),
                                           keypoint_score=points[:1, :6, :, 2])], 'lift')
    assert np.isnan(hidden['joints'][:, :, [*legs, wrist]]).all()


def test_lift_box_ignores_missing_joints():
    """In annotations without scores, missing joints are at (0, 0)."""
    points = people(1, 6)[..., :2]
    points[0, 2, 9] = 0
    result, = lifter()(dict(keypoint=points), layout='h36m17', **QUIET)
    flat = points[points.any(-1)]
    scale = np.ptp(flat, axis=0).max() / 2
    unit = (points - (flat.min(0) + flat.max(0)) / 2) / scale
    expected = (unit[..., 0] + 2 * unit[..., 1] - 1 + np.arange(6)[:, None]) * scale
    np.testing.assert_allclose(result.joints[0, 0, :, 2], expected[0, 0], atol=.02)


def test_lift_rows_are_at_the_rate_of_the_model():
    """Rows have the rate of the model and refer to input frames."""
    line = np.linspace(0, 40, 21)[None, :, None, None]
    points = np.concatenate([people(1, 1)[..., :2] + line, np.ones((1, 21, 17, 1))], -1)
    half, = lifter(99)(points, fps=60, model_fps=30, layout='h36m17', **QUIET)
    assert half.fps == 60
    assert half.frame.tolist() == list(range(0, 21, 2))
    np.testing.assert_allclose(half.joints[..., :2], points[:, ::2, :, :2], atol=2e-3)
    twice, = lifter(99)(points, fps=30, model_fps=60, layout='h36m17', **QUIET)
    assert twice.frame.tolist() == (np.arange(41) / 2).tolist()


# ---------------------------------------------------------------------------------- layouts
def whole_pixels(frames, joints):
    """Create a still person whose values and their means are exact in float16."""
    points = np.round(people(1, 1, joints=joints).repeat(frames, 1) / 4) * 2
    points[..., 2] = .5
    return points


def test_lift_converts_halpe_directly(tmp_path):
    """Head, neck and pelvis are those of the pose estimator, not means as in COCO-17."""
    points = whole_pixels(6, 26)
    path = tmp_path / 'walk.json'
    path.write_text(json.dumps([
        dict(image_id=f'{t}.jpg', category_id=1, idx=1, score=1., keypoints=row.ravel().tolist())
        for t, row in enumerate(points[0])]))
    result, = lifter()(path, **QUIET)
    joints = result.joints[0]
    for name, source in dict(head=17, neck=18, pelvis=19, nose=0, left_wrist=9).items():
        np.testing.assert_allclose(joints[:, H36M.joints.index(name), :2],
                                   points[0, :, source, :2], atol=2e-3)
    np.testing.assert_allclose(joints[:, 7, :2], points[0, :, 18:20, :2].mean(1), atol=2e-3)


def test_lift_converts_openpose_and_mmpose_directly(tmp_path):
    points = whole_pixels(4, 25)
    folder = tmp_path / 'walk'
    folder.mkdir()
    for t, row in enumerate(points[0]):
        (folder / f'walk_{t:012}_keypoints.json').write_text(json.dumps(dict(
            people=[dict(person_id=[-1], pose_keypoints_2d=row.ravel().tolist())])))
    result, = lifter()(folder, **QUIET)
    body, _ = convert(points[..., :2], None, 'body25', 'h36m17')
    np.testing.assert_allclose(result.joints[..., :2], body, atol=2e-3)
    np.testing.assert_array_equal(body[..., 8, :], points[..., 1, :2])  # the estimated neck
    halpe = whole_pixels(4, 26)
    path = tmp_path / 'mmpose.json'
    path.write_text(json.dumps([dict(frame_id=t, instances=[dict(
        keypoints=row[:, :2].tolist(), keypoint_scores=[.5] * 26)]) for t, row in
        enumerate(halpe[0])]))
    result, = lifter()(path, **QUIET)
    np.testing.assert_allclose(result.joints[..., 10, :2], halpe[..., 17, :2], atol=2e-3)


def test_lift_tracking_does_not_depend_on_layout(tmp_path):
    """Track IDs do not depend on the layout of the model."""
    rng = np.random.default_rng(0)
    pose = rng.uniform(0, 150, (3, 26, 2)) + np.array([[0, 0], [400, 0], [800, 300]])[:, None]
    content = []
    for t in range(12):
        for person in rng.permutation(3):
            row = np.concatenate([pose[person] + 3 * t, np.full((26, 1), .5)], 1)
            content.append(dict(image_id=f'{t}.jpg', category_id=1, score=1.,
                                keypoints=row.ravel().tolist()))
    path = tmp_path / 'walk.json'
    path.write_text(json.dumps(content))
    result, = lifter(99)(path, **QUIET)
    assert result.joints.shape == (3, 12, 17, 3)
    assert np.isfinite(result.joints).all()
    step = np.diff(result.joints[..., :2], axis=1)
    np.testing.assert_allclose(step, 3, atol=1.1)  # float16 pixels
    head = result.joints[:, 0, 10, :2]
    assert sorted(np.abs(pose[:, 17] - h).max(1).argmin() for h in head) == [0, 1, 2]


def test_lift_stream_gives_windows():
    points = people(1, 9)
    stream = MotionStream(lifter(4), (2000, 2000), 'lift', layout='h36m17')
    assert stream.window == 4
    found = [r for t in range(9)
             for r in stream.push(points[:, t, :, :2], points[:, t, :, 2], person=[5])]
    assert [r.frames for r in found] == [(t, t + 3) for t in range(6)]
    np.testing.assert_allclose(found[2].output['joints'][..., :2], points[:, 2:6, :, :2],
                               atol=2e-3)


# ----------------------------------------------------------------------------------- results
def moving(frames, seed=0):
    """Create a moving body (T, 17, 3) with constant bone lengths, in pixels, y down."""
    rng = np.random.default_rng(seed)
    joints = np.zeros((frames, 17, 3))
    joints[:, 0, :2] = 500 + np.cumsum(rng.normal(size=(frames, 2)), 0)
    for a, b in H36M.edges:
        bone = rng.normal(size=3) + np.cumsum(rng.normal(size=(frames, 3)), 0) / 10
        joints[:, b] = joints[:, a] + 50 * bone / np.linalg.norm(bone, axis=1, keepdims=True)
    return joints


def result_of(joints, frame=None, fps=25.):
    frame = np.arange(joints.shape[1]) if frame is None else frame
    return LiftResult('walk', np.array([[0, 4]]), fps, joints=joints.astype(np.float32),
                      score=np.isfinite(joints[..., 0]).astype(np.float32), layout='h36m17',
                      frame=frame.astype(float))


def read_bvh(path):
    joints, seconds = read_bvh_joints(path)
    return np.stack([joints[name] for name in H36M.joints], 1), seconds


def read_bvh_joints(path):
    head, tail = path.read_text().split('MOTION\n')
    _, time, *rows = tail.splitlines()
    skeleton = parse_hierarchy(head)
    joints = forward_kinematics(skeleton, np.loadtxt(rows, ndmin=2))
    return dict(zip(skeleton.names, joints.swapaxes(0, 1), strict=True)), float(time.split(':')[1])


def test_lift_result_is_saved_as_json_and_npz(tmp_path):
    joints = moving(12)[None]
    joints[:, 5] = np.nan
    result = result_of(joints)
    assert result.save(tmp_path / 'a.json') == [tmp_path / 'a.json']
    data = json.loads((tmp_path / 'a.json').read_text())
    assert data['task'] == 'lift'
    assert data['layout'] == 'h36m17'
    assert data['fps'] == 25
    assert data['joints'][0][5][3] == [None] * 3
    np.testing.assert_array_equal(np.array(data['joints'][0][4], np.float32), result.joints[0, 4])
    result.save(tmp_path / 'a.npz')
    with np.load(tmp_path / 'a.npz') as arrays:
        np.testing.assert_array_equal(arrays['joints'], result.joints)
        assert arrays['layout'] == 'h36m17'
    with pytest.raises(ValueError, match=r"found suffix '.fbx', expected .*'.npz' or '.bvh'"):
        result.save(tmp_path / 'a.fbx')


def test_lift_result_is_saved_as_bvh(tmp_path):
    """Checks pixels, y up, z towards the camera, and the rate of the input."""
    joints = moving(12)
    assert result_of(joints[None]).save(tmp_path / 'a.bvh') == [tmp_path / 'a.bvh']
    found, seconds = read_bvh(tmp_path / 'a.bvh')
    np.testing.assert_allclose(found * (1, -1, -1), joints, atol=2e-3)
    assert seconds == pytest.approx(1 / 25)
    result_of(joints[None], np.arange(12) / 2, None).save(tmp_path / 'b.bvh')
    assert read_bvh(tmp_path / 'b.bvh')[1] == pytest.approx(1 / 60, abs=1e-7)  # 30 if unknown


def test_lift_bvh_fills_gaps_and_has_a_file_per_person(tmp_path):
    """Checks missing rows and frames."""
    joints = np.stack([moving(12, seed) for seed in range(3)])
    joints[0, [0, 1, 4, 5, 11]] = np.nan
    joints[1] = np.nan
    inds = np.r_[:8, 10:14]
    written = result_of(joints, inds).save(tmp_path / 'a.bvh')
    assert [path.name for path in written] == ['a+0.bvh', 'a+2.bvh']
    first, _ = read_bvh(written[0])
    root = first[:, 0] * (1, -1, -1)  # frames 2 to 12
    assert len(first) == 11
    np.testing.assert_allclose(root[:2], joints[0, 2:4, 0], atol=2e-3)
    np.testing.assert_allclose(root[2], joints[0, 3, 0] / 3 * 2 + joints[0, 6, 0] / 3, atol=2e-3)
    np.testing.assert_allclose(root[6], (2 * joints[0, 7, 0] + joints[0, 8, 0]) / 3, atol=2e-3)
    assert len(read_bvh(written[1])[0]) == 14


# ------------------------------------------------------------------------------------ models
def test_lift_is_the_only_task_of_a_lifter():
    model = lifter()
    assert model.tasks == ('lift', )
    assert model.layout is H36M
    with pytest.raises(ValueError, match="task: found 'action'.*lift only"):
        model.iter(people(1, 3), 'action')
    with pytest.raises(ValueError, match='PlainLifter: found a model without known output'):
        lifter(fields=())


def test_lift_names_bad_models():
    model = lifter(meta=())
    with pytest.raises(ValueError, match='norm_center and norm_scale: found none'):
        model(people(1, 3), layout='h36m17', **QUIET)
    model = lifter()
    model.model.weight.data.fill_(np.nan)
    with pytest.raises(ValueError, match='joints: found NaN'):
        model(people(1, 3), layout='h36m17', **QUIET)


def test_lift_names_bad_recordings():
    model = lifter()
    with pytest.raises(ValueError, match='17 of layout'):
        model(people(1, 3, joints=26), **QUIET)
    found = model([np.zeros((4, 17, 3)), people(1, 4)], **QUIET)
    assert len(found) == len(found.problems) == 1
    assert 'no person in 4 frames' in str(found.problems[0])
    feet = people(1, 4, joints=26)
    feet[..., :20, :] = 0  # joints unknown to the model
    with pytest.raises(ValueError, match="no person in 4 .* one visible joint of 'h36m17'"):
        model(feet, layout='halpe26', **QUIET)


def test_lift_demo_writes_data_pictures_and_bvh(tmp_path, capsys):
    """Checks data, pictures and BVH of every recording."""
    lifter().model.cfg.dump(tmp_path / 'lift.py')
    # files of the second person of 'run' and of 'run_1' are two
    np.savez(tmp_path / 'clips.npz', walk=people(1, 3), run=people(2, 3), run_1=people(1, 3))
    out = tmp_path / 'out'
    demo.main([str(tmp_path / 'clips.npz'), '--config', str(tmp_path / 'lift.py'),
               '--task', 'lift', '--layout', 'h36m17', '--out', str(out), '--device', 'cpu',
               '--pictures', '1'])
    lines = capsys.readouterr().out.splitlines()
    files = sorted(out.iterdir())
    assert [f.name for f in files] == [
        'clips_run+0.bvh', 'clips_run+1.bvh', 'clips_run_1.bvh', 'clips_walk.bvh',
        'clips_walk.gif', 'clips_walk.png', 'index.html', 'table.csv']
    assert sorted(Path(line.strip()) for line in lines if line.startswith('  ')) == files
    assert 'clips/run: 2 persons, 3 frames, 17 joints' in lines
    with open(out / 'table.csv', newline='') as file:
        rows = [row for row in csv.DictReader(file) if row['recording'] == 'clips/run']
    assert len(rows) == 2 * 3 * 17
    assert {row['person'] for row in rows} == {'0', '1'}
    assert [row['joint'] for row in rows[:17]] == list(H36M.joints)
    assert {row['frame'] for row in rows} == {'0.0', '1.0', '2.0'}
    assert np.isfinite([float(row[axis]) for row in rows for axis in 'xyz']).all()
