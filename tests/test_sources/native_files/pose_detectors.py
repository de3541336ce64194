"""Valid files of pose detectors, written to the published layouts."""

import json
import pickle

import numpy as np

from mofm.sources.pose_programs.alphapose import AlphaPose
from mofm.sources.pose_programs.mmpose import MMPoseJSON
from mofm.sources.pose_programs.mmpose_3d import MMPose3D
from mofm.sources.pose_programs.openpose import OpenPose
from mofm.structures import LAYOUTS, convert

# Where AlphaPose takes the 18 joints of `cmu` and `open` from: COCO-17 and, last, the neck.
_CMU = [0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]


# A person who stands and faces the camera, COCO-17, in widths and heights of the person.
_STANDING = np.array([
    (.5, .08), (.56, .05), (.44, .05), (.62, .07), (.38, .07), (.75, .2), (.25, .2), (.9, .36),
    (.1, .36), (1, .5), (0, .5), (.65, .52), (.35, .52), (.68, .75), (.32, .75), (.7, .97),
    (.3, .97)])


def standing(joints):
    """(V, 2) in the layout that pose programs have for this number of joints."""
    layout = {layout.num_joints: layout for layout in map(LAYOUTS.get, (
        'coco17', 'coco18', 'body25', 'halpe26', 'wholebody133', 'halpe136'))}.get(joints)
    if layout is None:
        return np.linspace((0, 0), (1, 1), joints)
    points, known = convert(_STANDING, np.ones(17), 'coco17', layout.name)
    return np.where(known[:, None] > 0, points, (.5, 1))


def people(frames=6, persons=2, joints=17, seed=0):
    """Persons who walk to the right, far from each other: (T, M, V, 3) x, y, score."""
    rng = np.random.default_rng(seed)
    values = np.empty((frames, persons, joints, 3))
    values[..., :2] = standing(joints) * (60, 180) + rng.normal(0, 2, (persons, joints, 2))
    values[..., 0] += 250 * np.arange(persons)[:, None] + 4 * np.arange(frames)[:, None, None] + 20
    values[..., 1] += 50
    values[..., 2] = rng.uniform(.2, .95, values.shape[:3])
    return values.round(3)


def alphapose(values, idx=lambda frame, person: [0.], image='{}.jpg'.format):
    """The default format: a list of persons; ``idx`` may be None."""
    results = []
    for t, frame in enumerate(values):
        for m, pose in enumerate(frame):
            low, high = pose[:, :2].min(0), pose[:, :2].max(0)
            results.append(dict(
                image_id=image(t), category_id=1, keypoints=pose.ravel().tolist(),
                score=float(pose[:, 2].mean() + .9 + 1.25 * pose[:, 2].max()),
                box=[*low.tolist(), *(high - low).tolist()], idx=idx(t, m)))
            if results[-1]['idx'] is None:
                del results[-1]['idx']
    return results


def alphapose_cmu(values, form='cmu', image='{}.jpg'.format):
    """The formats ``cmu`` and ``open``: a dict of images, from COCO-17 and its neck."""
    neck = values[:, :, 5:7].mean(2, keepdims=True)
    joints = np.concatenate([values, neck], 2)[:, :, _CMU].reshape(*values.shape[:2], -1)
    outer, inner = dict(cmu=('bodies', 'joints'), open=('people', 'pose_keypoints_2d'))[form]
    return {image(t): {'version': 'AlphaPose v0.3', outer: [{inner: p.tolist()} for p in frame]}
            for t, frame in enumerate(joints)}


def openpose(values, video='walk', person_id=lambda frame, person: [-1]):
    """A file per frame."""
    hand = [0.] * 63
    return {f'{video}_{t:012d}_keypoints.json': dump(dict(version=1.3, people=[
        dict(person_id=person_id(t, m), pose_keypoints_2d=pose.ravel().tolist(),
             face_keypoints_2d=[], hand_left_keypoints_2d=hand, hand_right_keypoints_2d=hand,
             pose_keypoints_3d=[], face_keypoints_3d=[], hand_left_keypoints_3d=[],
             hand_right_keypoints_3d=[])
        for m, pose in enumerate(frame)])) for t, frame in enumerate(values)}


def instances(frame, box=lambda values: [values], score=.98):
    """The persons (M, V, 3) of a frame as MMPose writes them."""
    return [dict(keypoints=pose[:, :2].tolist(), keypoint_scores=pose[:, 2].tolist(),
                 bbox=box([*pose[:, :2].min(0).tolist(), *pose[:, :2].max(0).tolist()]),
                 bbox_score=score) for pose in frame]


def mmpose_video(values, first=0, **kwargs):
    """Of the inferencer: a list of frames."""
    return [dict(frame_id=first + t, instances=instances(frame, **kwargs))
            for t, frame in enumerate(values)]


def mmpose_demo(values, first=1, **meta_info):
    """Of the demo."""
    return dict(meta_info=dict(dataset_name='coco', num_keypoints=17, **meta_info),
                instance_info=mmpose_video(values, first))


def poseflow(values, image='{}.jpg'.format):
    """PoseFlow's: a dict of lists of persons with IDs."""
    return {image(t): [dict(keypoints=pose.ravel().tolist(), scores=2.9, idx=m + 1)
                       for m, pose in enumerate(frame)] for t, frame in enumerate(values)}


def mmpose_old(frame):
    """The persons (M, V, 3) of a frame as MMPose 0.x has them."""
    return [dict(bbox=[*pose[:, :2].min(0).tolist(), *pose[:, :2].max(0).tolist(), .98],
                 keypoints=pose.tolist(), area=100., track_id=m) for m, pose in enumerate(frame)]


def standing_3d(frames=6, persons=1, layout='h36m17'):
    """Persons who face the camera and walk to its right, as MMPose writes them: (T, M, V, 3)."""
    camera = np.empty((frames, persons, 17, 3))
    camera[..., 0] = (_STANDING[:, 0] - .5) * .5 + np.arange(persons)[:, None]
    camera[..., 0] += .05 * np.arange(frames)[:, None, None]
    camera[..., 1] = 1.7 * _STANDING[:, 1]
    camera[..., 2] = 3
    camera[..., [0, 13, 14], 2] -= .1  # nose and knees
    joints = convert(camera, None, 'coco17', layout)[0]
    joints = joints[..., [0, 2, 1]] * [-1, 1, -1]
    return joints - [0, 0, joints[..., 2].min()]


def mmpose_demo_3d(joints, **meta_info):
    """Of the demo for 3D poses, with IDs."""
    return dict(meta_info=dict(dataset_name='h36m', **meta_info), instance_info=[
        dict(frame_id=t + 1, instances=[
            dict(keypoints=pose.tolist(), keypoint_scores=[.9] * len(pose), track_id=m + 4)
            for m, pose in enumerate(frame)]) for t, frame in enumerate(joints)])


def mmpose_dumped(values):
    """Results of a test with ``--dump``."""
    return [dict(img_path=f'/data/walk/{t}.jpg', pred_instances=dict(
        keypoints=frame[..., :2], keypoint_scores=frame[..., 2],
        bboxes=np.tile([1., 2, 300, 400], (len(frame), 1)), bbox_scores=np.full(len(frame), .7)))
        for t, frame in enumerate(values)]


def dump(data):
    return json.dumps(data).encode()


def _tracked(frame, person):
    return float(person + 1)


_VALUES = people()
_OWN = dict(video='walk.mp4', width=800, height=400, num_frames=6, fps=25., frame_offset=0)
SAMPLES = dict(
    alphapose=(AlphaPose, {'walk/alphapose-results.json': dump(alphapose(_VALUES))}, {}),
    alphapose_tracked=(
        AlphaPose, {'walk.json': dump(alphapose(_VALUES, _tracked))}, dict(tracks=True)),
    alphapose_flow=(AlphaPose, {'walk.json': dump(alphapose(_VALUES, lambda t, m: m + 1))}, {}),
    alphapose_nested=(AlphaPose, {'walk.json': dump(alphapose(
        _VALUES, lambda t, m: [[0.], [0.]] if t % 2 else [0.], 'cam 1/{}.png'.format))}, {}),
    alphapose_eval=(
        AlphaPose, {'walk.json': dump(alphapose(_VALUES, lambda t, m: None, int))}, {}),
    alphapose_halpe26=(
        AlphaPose, {'walk.json': dump(alphapose(people(joints=26)))}, dict(img_shape=(400, 800))),
    alphapose_halpe136=(AlphaPose, {'walk.json': dump(alphapose(people(joints=136)))}, {}),
    alphapose_cmu=(AlphaPose, {'walk.json': dump(alphapose_cmu(_VALUES))}, {}),
    alphapose_open=(AlphaPose, {'walk.json': dump(alphapose_cmu(_VALUES, 'open'))}, {}),
    alphapose_separate=(
        AlphaPose, {f'walk/sep-json/{image[:-4]}.json': dump(item)
                    for image, item in alphapose_cmu(_VALUES).items()}, {}),
    alphapose_poseflow=(
        AlphaPose, {'walk/alphapose-results-forvis-tracked.json': dump(poseflow(_VALUES))}, {}),
    alphapose_images=(
        AlphaPose, {f'cam1_{6 * t:04}.json': dump(alphapose(frame[None], _tracked))
                    for t, frame in enumerate(_VALUES)}, {}),
    openpose_rtmlib=(
        OpenPose, {name.replace('_keypoints', ''): content
                   for name, content in openpose(people(joints=26)).items()}, {}),
    openpose_unit=(OpenPose, openpose(people(joints=25) / (800, 400, 1)),
                   dict(img_shape=(400, 800))),
    openpose=(OpenPose, openpose(people(joints=25)), {}),
    openpose_coco=(OpenPose, openpose(people(joints=18)), dict(tracks=True)),
    openpose_tracked=(
        OpenPose, openpose(people(joints=25), person_id=lambda t, m: [m]), dict(tracks=True)),
    mmpose=(MMPoseJSON, {'walk.json': dump(mmpose_video(_VALUES))}, {}),
    mmpose_old=(MMPoseJSON, {'walk.json': dump([mmpose_old(frame) for frame in _VALUES])}, {}),
    mmpose_test=(MMPoseJSON, {'walk.json': dump([dict(
        preds=frame.tolist(), boxes=[[90, 90, .5, 1.2, 9, .9]] * 2, image_paths=[f'a/{t}.jpg'] * 2)
        for t, frame in enumerate(_VALUES)])}, {}),
    mmpose_dump=(MMPoseJSON, {'walk.pkl': pickle.dumps(mmpose_dumped(_VALUES))}, {}),
    mmpose_3d=(MMPose3D, {'results_walk.json': dump(mmpose_demo_3d(standing_3d(persons=2)))}, {}),
    mmpose_3d_old=(MMPose3D, {'walk.json': dump([[
        dict(person, keypoints_3d=pose.tolist())
        for person, pose in zip(mmpose_old(_VALUES[0]), frame, strict=True)]
        for frame in standing_3d(persons=2)])}, {}),
    mmpose_images=(
        MMPoseJSON, {f'walk/{t:06d}.json': dump(instances(frame))
                     for t, frame in enumerate(_VALUES)}, {}),
    mmpose_demo=(MMPoseJSON, {'results_walk.json': dump(mmpose_demo(_VALUES))}, {}),
    mmpose_own=(MMPoseJSON, {'walk.json': dump(mmpose_demo(_VALUES, 0, **_OWN))},
                dict(tracks=True)),
    mmpose_layout=(MMPoseJSON, {'walk.json': dump(mmpose_video(_VALUES))},
                   dict(layout='h36m17')))
