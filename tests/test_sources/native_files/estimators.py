"""Valid files of MediaPipe, COCO, YOLO, Detectron2, PoseTrack and JTA."""

import io
import json

import numpy as np

from mofm.sources.data_sets.jta import JTA
from mofm.sources.data_sets.posetrack import PoseTrack
from mofm.sources.pose_programs.coco import COCO
from mofm.sources.pose_programs.detectron2 import Detectron2
from mofm.sources.pose_programs.mediapipe import MediaPipe, MediaPipeWorld
from mofm.sources.pose_programs.named_json import NamedJSON
from mofm.sources.pose_programs.yolo import YOLO
from mofm.structures import LAYOUTS, convert

from .pose_detectors import dump, people

SIZE = 400, 800  # height, width
NAMES = list(LAYOUTS['coco17'].joints)
POSETRACK = ['nose', 'head_bottom', 'head_top', 'left_ear', 'right_ear', *NAMES[5:]]
MEDIAPIPE = [
    'NOSE', 'LEFT_EYE_INNER', 'LEFT_EYE', 'LEFT_EYE_OUTER', 'RIGHT_EYE_INNER', 'RIGHT_EYE',
    'RIGHT_EYE_OUTER', 'LEFT_EAR', 'RIGHT_EAR', 'MOUTH_LEFT', 'MOUTH_RIGHT', 'LEFT_SHOULDER',
    'RIGHT_SHOULDER', 'LEFT_ELBOW', 'RIGHT_ELBOW', 'LEFT_WRIST', 'RIGHT_WRIST', 'LEFT_PINKY',
    'RIGHT_PINKY', 'LEFT_INDEX', 'RIGHT_INDEX', 'LEFT_THUMB', 'RIGHT_THUMB', 'LEFT_HIP',
    'RIGHT_HIP', 'LEFT_KNEE', 'RIGHT_KNEE', 'LEFT_ANKLE', 'RIGHT_ANKLE', 'LEFT_HEEL', 'RIGHT_HEEL',
    'LEFT_FOOT_INDEX', 'RIGHT_FOOT_INDEX']


def people_in(layout, frames=6, persons=2, seed=0):
    """Persons (T, M, V, 3) in a layout; joints that COCO-17 lacks are at the hips."""
    values = people(frames, persons, seed=seed)
    points, score = convert(values[..., :2], values[..., 2], 'coco17', layout)
    hips = values[..., [11], :]
    return np.where((score > 0)[..., None], np.concatenate([points, score[..., None]], -1),
                    hips).round(3)


def box(pose):
    """Left, top, width and height."""
    low, high = pose[:, :2].min(0), pose[:, :2].max(0)
    return [*low.tolist(), *(high - low).tolist()]


# ----------------------------------------------------------------------------------------- COCO
def coco_poses(values, first=0, tracked=True, visible=True):
    """Poses of annotations (T, M, V, 3), with visibility 2, or of results, with scores."""
    poses = []
    for t, frame in enumerate(values):
        for m, pose in enumerate(frame):
            joints = np.where([[True, True, not visible]], pose, 2)
            poses.append(dict(image_id=first + t, category_id=1, bbox=box(pose),
                              keypoints=joints.ravel().tolist()))
            if visible:
                poses[-1].update(id=first + 10 * t + m, iscrowd=0, num_keypoints=len(pose),
                                 area=100.)
            else:
                poses[-1].update(score=float(pose[:, 2].mean()))
            if tracked:
                poses[-1]['track_id'] = m + 5
    return poses


def coco_images(frames, first=0, name='walk/{:06d}.jpg'.format, **fields):
    return [dict(id=first + t, file_name=name(t), height=SIZE[0], width=SIZE[1], **fields)
            for t in range(frames)]


def coco(values, names=NAMES, **kwargs):
    """An annotation file of one video."""
    return dict(info={}, images=coco_images(len(values)), annotations=coco_poses(values, **kwargs),
                categories=[dict(id=1, name='person', supercategory='person', skeleton=[],
                                 keypoints=list(names))])


def wholebody(values, visible=True):
    """Annotations, or results, of COCO-WholeBody from (T, M, 133, 3)."""
    data = coco(values[..., :17, :]) if visible else coco_poses(values[..., :17, :], visible=False)
    poses, flat = data['annotations'] if visible else data, values.reshape(-1, 133, 3).copy()
    flat[..., 2] = 2 if visible else flat[..., 2]
    for pose, joints in zip(poses, flat, strict=True):
        for part, first, last in (('foot_kpts', 17, 23), ('face_kpts', 23, 91),
                                  ('lefthand_kpts', 91, 112), ('righthand_kpts', 112, 133)):
            pose[part] = joints[first:last].ravel().tolist()
    return data


# ----------------------------------------------------------------------------------------- YOLO
def yolo_line(pose, conf=None, track=None, dims=3, size=SIZE, kind=0):
    """A line of save_txt."""
    left, top, width, height = box(pose)
    wh = np.array(size[::-1])
    center = np.array([left + width / 2, top + height / 2, width, height]) / [*wh, *wh]
    joints = pose[:, :dims] / [*wh, 1][:dims]
    line = [kind, *center, *joints.ravel(), *([] if conf is None else [conf]),
            *([] if track is None else [track])]
    return ' '.join(f'{value:g}' for value in line)


def yolo(values, video='walk', first=1, tracked=False, conf=None, **kwargs):
    """A file per frame."""
    return {f'labels/{video}_{first + t}.txt': ''.join(
        yolo_line(pose, conf, m + 3 if tracked else None, **kwargs) + '\n'
        for m, pose in enumerate(frame)).encode() for t, frame in enumerate(values)}


def yolo_person(pose, track=None, scale=1.):
    """A person of to_json."""
    left, top, width, height = box(pose)
    out = {'name': 'person', 'class': 0, 'confidence': .91, 'box': {
        'x1': left / scale, 'y1': top / scale, 'x2': (left + width) / scale,
        'y2': (top + height) / scale}, 'keypoints': {
        'x': (pose[:, 0] / scale).tolist(), 'y': (pose[:, 1] / scale).tolist(),
        'visible': pose[:, 2].tolist()}}
    return out if track is None else dict(out, track_id=track)


# ------------------------------------------------------------------------------------ Detectron2
def detectron2(frame, **fields):
    """Instances.get_fields() of the persons (M, V, 3) of a frame, as JSON."""
    boxes = [[x, y, x + w, y + h] for x, y, w, h in map(box, frame)]
    return dict(pred_boxes=boxes, scores=[.9] * len(frame), pred_classes=[0] * len(frame),
                pred_keypoints=frame.tolist(), **fields)


# -------------------------------------------------------------------------------------- MediaPipe
def landmarks(pose, size=SIZE):
    """Landmarks of a person (33, 3) in sizes of the image, as dataclasses.asdict writes them."""
    return [dict(x=x / size[1], y=y / size[0], z=-.01 * i, visibility=v, presence=.9, name=None)
            for i, (x, y, v) in enumerate(pose.tolist())]


def world(frames=6, seed=0):
    """World landmarks (T, 33, 3): a person of 1.7 m who moves the arms."""
    pose = people_in('mediapipe33', frames, 1, seed)[:, 0, :, :2] * (1.7 / 180)
    pose = np.concatenate([pose, .03 * np.sin(np.arange(33))[None, :, None].repeat(frames, 0)], -1)
    pose[..., 2] -= .08 * (np.arange(33) < 11)
    return (pose - pose[:, 23:25].mean(1, keepdims=True)).round(4)


def mediapipe_csv(values, column='{}_{}'.format, names=MEDIAPIPE, frame=True):
    """A row per frame from (T, 33, 3); y, z and visibility of each landmark."""
    header = ['frame'] * frame + [column(name, axis) for name in names
                                  for axis in ('x', 'y', 'z', 'visibility')]
    rows = [','.join(header)]
    for t, pose in enumerate(values):
        cells = [f'{v:.5f}' for x, y, s in pose for v in (x / SIZE[1], y / SIZE[0], 0, s)]
        rows.append(','.join([str(t)] * frame + cells))
    return '\n'.join(rows).encode()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


# -------------------------------------------------------------------------------- data sets
def posetrack17(values):
    """PoseTrack 2017 from (T, M, 15, 3)."""
    return dict(annolist=[dict(
        image=[dict(name=f'images/bonn/000001/{t + 1:08d}.jpg')], imgnum=[t + 1], is_labeled=[1],
        annorect=[dict(track_id=[m + 2], x1=[1], y1=[1], x2=[5], y2=[9], annopoints=[dict(point=[
            dict(id=[j], x=[x], y=[y], is_visible=[1]) for j, (x, y, _) in enumerate(
                pose.tolist())])]) for m, pose in enumerate(frame)])
        for t, frame in enumerate(values)])


def posetrack18(values):
    """PoseTrack 2018 from (T, M, 17, 3)."""
    data = coco(values, POSETRACK)
    for t, image in enumerate(data['images']):
        image.update(file_name=f'images/val/000342_mpii_test/{t:06d}.jpg', vid_id='000342',
                     frame_id=10003420000 + t, nframes=len(values), is_labeled=True)
    return data


def jta(values, first=1):
    """Rows of JTA from (T, M, 22, 3)."""
    return [[first + t, m + 11, j, x, y, 1., 2., 9., 0, j % 2]
            for t, frame in enumerate(values) for m, pose in enumerate(frame)
            for j, (x, y, _) in enumerate(pose.tolist())]


_VALUES, _MP = people(), people_in('mediapipe33')
_SHAPE = dict(img_shape=SIZE)
_TWO = dict(coco(_VALUES), images=[*coco_images(3, 0, 'a/{:03d}.png'.format),
                                   *coco_images(3, 3, 'b/{:03d}.png'.format)])
_VIDEOS = dict(coco(_VALUES), videos=[dict(id=1, name='one.mp4'), dict(id=2, name='two')],
               images=[dict(image, video_id=1 + (i > 2), frame_id=i % 3)
                       for i, image in enumerate(coco_images(6))])
_FRAMES = [dict(frame=t, timestamp_ms=33 * t, pose_landmarks=[landmarks(p) for p in frame],
                pose_world_landmarks=[]) for t, frame in enumerate(_MP)]
_WORLD = [[dict(zip('xyz', point, strict=True), visibility=.9) for point in pose]
          for pose in world().tolist()]
SAMPLES = dict(
    named_json=(NamedJSON, {'walk.json': dump([[dict(score=.9, keypoints=[
        dict(name=name, x=x, y=y, score=score)
        for name, (x, y, score) in zip(NAMES, pose, strict=True)]) for pose in frame]
        for frame in _VALUES.tolist()])}, {}),
    named_json_frames=(NamedJSON, {f'walk/{t:03d}.json': dump(dict(joints={
        name: point for name, point in zip(NAMES, frame[0], strict=True)}))
        for t, frame in enumerate(_VALUES.tolist())}, {}),
    coco=(COCO, {'walk.json': dump(coco(_VALUES))}, {}),
    coco_folders=(COCO, {'all.json': dump(_TWO)}, dict(tracks=True)),
    coco_videos=(COCO, {'all.json': dump(_VIDEOS)}, {}),
    coco_results=(COCO, {'walk.json': dump(coco_poses(_VALUES, visible=False))}, {}),
    coco_untracked=(COCO, {'walk.json': dump(coco_poses(_VALUES, 0, False, False))}, {}),
    coco_wholebody=(
        COCO, {'walk.json': dump(wholebody(people_in('wholebody133', 3, 1)))}, {}),
    coco_crowdpose=(COCO, {'walk.json': dump(coco(people_in('crowdpose14'), [
        *NAMES[5:], 'top_head', 'neck']))}, {}),
    yolo=(YOLO, yolo(_VALUES), _SHAPE),
    yolo_tracked=(YOLO, yolo(_VALUES, tracked=True, conf=.87), dict(_SHAPE, tracks=True)),
    yolo_xy=(YOLO, yolo(_VALUES, dims=2), _SHAPE),
    yolo_json=(YOLO, {'walk.json': dump([[yolo_person(p, m) for m, p in enumerate(frame)]
                                         for frame in _VALUES])}, {}),
    yolo_json_frames=(
        YOLO, {f'walk/{t:04d}.json': dump([yolo_person(p) for p in frame])
               for t, frame in enumerate(_VALUES)}, {}),
    yolo_lines=(YOLO, {'walk.jsonl': b'\n'.join(dump([yolo_person(p) for p in frame])
                                               for frame in _VALUES)}, {}),
    detectron2=(Detectron2, {'walk.json': dump([
        dict(image_id=t, instances=detectron2(frame, image_size=list(SIZE)))
        for t, frame in enumerate(_VALUES)])}, {}),
    detectron2_frames=(
        Detectron2, {f'walk/{t:03d}.json': dump(detectron2(frame))
                     for t, frame in enumerate(_VALUES)}, {}),
    detectron2_results=(Detectron2, {'walk.json': dump([
        dict(image_id=t, instances=coco_poses(frame[None], t, False, False))
        for t, frame in enumerate(_VALUES)])}, {}),
    mediapipe=(MediaPipe, {'walk.json': dump(_FRAMES)}, _SHAPE),
    mediapipe_frames=(MediaPipe, {f'walk/frame{t:04d}.json': dump(dict(
        pose_landmarks=dict(landmark=landmarks(frame[0])))) for t, frame in enumerate(_MP)},
        _SHAPE),
    mediapipe_lists=(MediaPipe, {'walk.json': dump(dict(fps=25, width=SIZE[1], height=SIZE[0],
        frames=[[[*p.values()][:4] for p in landmarks(frame[0])] for frame in _MP]))}, {}),
    mediapipe_csv=(MediaPipe, {'walk.csv': mediapipe_csv(_MP[:, 0])}, _SHAPE),
    mediapipe_csv_numbers=(MediaPipe, {'walk.csv': mediapipe_csv(
        _MP[:, 0], '{1[0]}{0}'.format, range(33), False)}, _SHAPE),
    mediapipe_csv_long=(MediaPipe, {'walk.csv': '\n'.join(['frame;landmark;x;y;visibility', *(
        f'{t};{name.lower()};{x};{y};{v}' for t, pose in enumerate(_MP[:, 0])
        for name, (x, y, v) in zip(MEDIAPIPE, pose.tolist(), strict=True))]).encode()}, {}),
    mediapipe_npy=(MediaPipe, {'walk.npy': npy(_MP[:, 0])}, {}),
    mediapipe_world=(MediaPipeWorld, {'walk.json': dump(dict(
        fps=30, frames=[dict(pose_world_landmarks=pose) for pose in _WORLD]))}, {}),
    mediapipe_world_npy=(MediaPipeWorld, {'walk.npy': npy(world())}, dict(views=2)),
    posetrack17=(PoseTrack, {'000001.json': dump(posetrack17(people_in('posetrack15')))}, {}),
    posetrack18=(PoseTrack, {'000342_mpii_test.json': dump(posetrack18(people_in('posetrack17')))},
                 dict(to_layout='h36m17')),
    jta=(JTA, {'annotations/train/seq_0.json': json.dumps(jta(people_in('jta22', 3))).encode()},
         {}))
