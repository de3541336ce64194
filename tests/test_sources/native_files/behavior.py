"""Tables of DeepLabCut and Lightning Pose, projects and analysis files of SLEAP."""

import io
import json
import pickle

import h5py
import numpy as np

from mofm.sources import SLEAP, Anipose, DeepLabCut, LightningPose

#: As people write them, and their places in COCO-17.
JOINTS = {'nose': 0, 'Lshoulder': 5, 'shoulder_right': 6, 'elbow.L': 7, 'RElbow': 8,
          'left wrist': 9, 'right_wrist': 10, 'hipL': 11, 'hipR': 12, 'left_knee': 13,
          'tail': None}
#: The same in COCO-17, (J,).
PLACES = [place for place in JOINTS.values() if place is not None]


def poses(persons=2, frames=4, seed=0, missing=True):
    """Values (T, P, J, 3) with a missing joint of the first person in frame 1."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(1, 400, (frames, persons, len(JOINTS), 3)).round(2)
    values[..., 2] = rng.uniform(.2, 1, values.shape[:-1]).round(2)
    if missing:
        values[1, 0, 1] = np.nan
    return values


def columns(persons, scorer='DLC_resnet50_walkJan1shuffle1_5000', joints=JOINTS,
            coords=('x', 'y', 'likelihood')):
    """Labels (4, K) of columns; persons may be ['']."""
    return [[scorer] * len(persons) * len(joints) * len(coords),
            *zip(*((person, joint, coord) for person in persons for joint in joints
                   for coord in coords), strict=True)]


def csv(values, persons=('',), index=None, **kwargs):
    """Bytes of a table in ``.csv``; index has several cells per row for images."""
    coords = kwargs.get('coords', ('x', 'y', 'likelihood'))
    index = index or [[str(i)] for i in range(len(values))]
    head = columns(list(persons), **kwargs)
    names = ['scorer', 'individuals', 'bodyparts', 'coords']
    pad = [''] * (len(index[0]) - 1)
    rows = [[name, *pad, *cells] for name, cells in zip(names, head, strict=True)
            if name != 'individuals' or tuple(persons) != ('',)]
    values = values[..., :len(coords)].reshape(len(values), -1)
    rows += [[*first, *('' if np.isnan(v) else repr(v) for v in row.tolist())]
             for first, row in zip(index, values, strict=True)]
    return '\n'.join(map(','.join, rows)).encode() + b'\n'


def pandas_h5(values, persons=('',), fixed=False, images=None, **kwargs):
    """Bytes of a table as pandas writes it with PyTables."""
    labels = [row for row in columns(list(persons), **kwargs) if any(row)]
    values = values.reshape(len(values), -1)
    out = io.BytesIO()
    with h5py.File(out, 'w') as file:
        group = file.create_group('df_with_missing')
        group.attrs['pandas_type'] = np.bytes_(b'frame' if fixed else b'frame_table')
        group.attrs['info'] = np.bytes_(pickle.dumps({1: dict(
            names=['scorer', 'individuals', 'bodyparts', 'coords'], type='MultiIndex')}, 0))
        if fixed:
            axes = dict(block0_items=labels)
            if images:
                axes['axis1'] = list(zip(*images, strict=True))
            else:
                group['axis1'] = np.arange(len(values))
            for axis, levels in axes.items():
                for i, level in enumerate(levels):
                    names, place = np.unique(np.array(level, 'S'), return_inverse=True)
                    group[f'{axis}_level{i}'] = names
                    group[f'{axis}_label{i}'] = place.astype('i1')
            group['block0_values'] = values
        else:
            rows = np.zeros(len(values), [('index', 'i8'), ('values_block_0', 'f8',
                                                            values.shape[1:])])
            rows['index'], rows['values_block_0'] = np.arange(len(values)), values
            table = group.create_dataset('table', data=rows, chunks=(len(rows), ))
            table.attrs['values_block_0_kind'] = np.bytes_(pickle.dumps(
                list(zip(*labels, strict=True)), 0))
    return out.getvalue()


def analysis(values, order=('track', 'xy', 'node', 'frame'), dims=True):
    """Bytes of an analysis file of SLEAP."""
    axes = ('frame', 'track', 'node', 'xy')
    out = io.BytesIO()
    with h5py.File(out, 'w') as file:
        data = file.create_dataset('tracks', compression='gzip', data=values[..., :2].transpose(
            [axes.index(axis) for axis in order]))
        file['point_scores'] = values[..., 2].transpose(
            [axes.index(axis) for axis in order if axis != 'xy'])
        file['track_occupancy'] = np.ones(values.shape[:2], 'u1')
        for name in ('instance_scores', 'tracking_scores'):
            file[name] = np.ones(values.shape[1::-1])
        file['node_names'] = np.array(list(JOINTS), 'S')
        file['track_names'] = np.array([f't{i}' for i in range(values.shape[1])], 'S')
        file['edge_inds'], file['edge_names'] = np.zeros((0, 2), int), np.zeros((0, 2), 'S9')
        file['video_path'], file['labels_path'], file['provenance'] = 'walk.mp4', '', '{}'
        file['video_ind'] = 0
        if dims:
            data.attrs['dims'] = json.dumps(order)
        elif order[0] == 'frame':
            file.attrs['transpose'] = False
    return out.getvalue()


def analysis_csv(values, tracks=('a', 'b')):
    """Bytes of an analysis table of SLEAP."""
    head = ['track', 'frame_idx', 'instance.score', *(
        f'{joint}.{part}' for joint in sorted(JOINTS) for part in ('score', 'x', 'y'))]
    lines = [','.join(head)]
    for t, persons in enumerate(values):
        for track, joints in zip(tracks, persons, strict=True):
            cells = [(score, x, y) for _, (x, y, score) in sorted(
                zip(JOINTS, joints.tolist(), strict=True))]
            lines.append(','.join([track, str(t), '0.9', *(
                '' if np.isnan(cell) else repr(cell) for part in cells for cell in part)]))
    return '\n'.join(lines).encode() + b'\n'


def project(values, version=1.4, numbers=None, by_hand=(), track=True, videos=1):
    """Bytes of a ``.slp``: person 0 of the frames ``by_hand`` also has a label by hand."""
    frames, persons, joints, _ = values.shape
    kept = [[('xy', (t, p), -1) for p in range(persons)] + [('hand', (t, 0), 0)] * (t in by_hand)
            for t in range(frames)]
    point = np.dtype([('x', 'f8'), ('y', 'f8'), ('visible', '?'), ('complete', '?')])
    predicted = np.zeros(frames * persons * joints, [*point.descr, ('score', 'f8')])
    for i, field in enumerate(('x', 'y', 'score')):
        predicted[field] = values[..., i].ravel()
    predicted['visible'] = True
    hand = np.zeros(len(by_hand) * joints, point)
    hand['visible'] = True
    rows, spans, hands = [], [], 0
    for t, items in enumerate(kept):
        spans.append((t, t * videos // frames, numbers[t] if numbers else t, len(rows),
                      len(rows) + len(items)))
        for kind, (_, p), origin in items:
            start = (hands if kind == 'hand' else t * persons + p) * joints
            if kind == 'hand':
                hand['x'][start:start + joints] = values[t, p, :, 0] + 50
                hand['y'][start:start + joints] = values[t, p, :, 1]
                origin, hands = len(rows) - persons, hands + 1
            rows.append((len(rows), kind != 'hand', t, 0, p if track else -1, origin, .9, start,
                         start + joints, 0))
    out = io.BytesIO()
    text = h5py.string_dtype()
    with h5py.File(out, 'w') as file:
        file['frames'] = np.array(spans, [
            ('frame_id', 'u8'), ('video', 'u4'), ('frame_idx', 'u8'), ('instance_id_start', 'u8'),
            ('instance_id_end', 'u8')])
        file['instances'] = np.array(rows, [
            ('instance_id', 'i8'), ('instance_type', 'u1'), ('frame_id', 'u8'),
            ('skeleton', 'u4'), ('track', 'i4'), ('from_predicted', 'i8'), ('score', 'f4'),
            ('point_id_start', 'u8'), ('point_id_end', 'u8'), ('tracking_score', 'f4')])
        file['points'], file['pred_points'] = hand, predicted
        file.create_dataset('tracks_json', data=['[0,"a"]', '[0,"b"]'], dtype=text)
        file.create_dataset('videos_json', dtype=text, data=[json.dumps(
            dict(filename=f'walk{i}.mp4', backend=dict(shape=[10, 480, 640, 3],
                                                       filename=f'C:/walk{i}.mp4')))
            for i in range(videos)])
        meta = file.create_group('metadata')
        meta.attrs['format_id'] = version
        order = list(range(len(JOINTS)))[::-1]  # the skeleton has another order than the nodes
        meta.attrs['json'] = np.bytes_(json.dumps(dict(
            skeletons=[dict(nodes=[dict(id=i) for i in order], links=[], directed=True,
                            graph=dict(name='body', num_edges_inserted=0))],
            nodes=[dict(name=joint) for joint in list(JOINTS)[::-1]])))
    return out.getvalue()


#: A person who stands, (J, 3) of COCO-17 in meters, z up and the person's left at x > 0.
BODY = np.array([
    (0, -.1, 1.65), (.03, -.08, 1.7), (-.03, -.08, 1.7), (.08, 0, 1.68), (-.08, 0, 1.68),
    (.2, 0, 1.45), (-.2, 0, 1.45), (.25, 0, 1.2), (-.25, 0, 1.2), (.25, -.1, .95),
    (-.25, -.1, .95), (.1, 0, .95), (-.1, 0, .95), (.1, -.03, .5), (-.1, -.03, .5),
    (.1, 0, .08), (-.1, 0, .08)])


def walk(frames=5, unit=.001):
    """Joints (T, J, 3) of :data:`JOINTS` of a person who moves along y, one is missing."""
    places = [place if place is not None else 11 for place in JOINTS.values()]
    joints = np.tile(BODY[places], (frames, 1, 1)) / unit
    joints[..., 1] += np.arange(frames)[:, None] * .02 / unit
    joints[1, 1] = np.nan
    return joints.round(4)


def anipose(joints, numbers=None):
    """Bytes of a table of Anipose."""
    head = [f'{name}_{what}' for name in JOINTS
            for what in ('x', 'y', 'z', 'error', 'ncams', 'score')]
    head += [f'M_{i}{j}' for i in range(3) for j in range(3)]
    head += ['center_0', 'center_1', 'center_2', 'fnum']
    lines = [','.join(head)]
    for t, row in enumerate(joints):
        cells = [cell for joint in row for cell in (*joint, 1.5, 2, .9)]
        cells = ['' if np.isnan(cell) else repr(float(cell)) for cell in cells]
        cells += ['1.0'] * 12 + [str(numbers[t] if numbers else t)]
        lines.append(','.join(cells))
    return '\n'.join(lines).encode() + b'\n'


_IMAGES = [('labeled-data', 'walk', f'img{i:03}.png') for i in (0, 5, 9, 12)]

SAMPLES = {
    'anipose': (Anipose, {'walk.csv': anipose(walk(), [0, 1, 2, 3, 5])}, {}),
    'anipose_dlc': (Anipose, {'walk_3D.csv': csv(walk()[:, None], coords=('x', 'y', 'z'))}, {}),
    'deeplabcut': (DeepLabCut, {
        'walkDLC_resnet50_walkJan1shuffle1_5000.csv': csv(poses(1)),
        'two.csv': csv(poses(2, seed=1), ('ind1', 'ind2')),
        'labeled/CollectedData_me.csv': csv(poses(1, seed=2), index=_IMAGES, coords=('x', 'y'))},
        {}),
    'deeplabcut_h5': (DeepLabCut, {
        'one.h5': pandas_h5(poses(1)), 'two.h5': pandas_h5(poses(2, seed=1), ('ind1', 'ind2')),
        'three.h5': pandas_h5(poses(1, seed=2), fixed=True, images=_IMAGES)}, {}),
    'lightning_pose': (LightningPose, {'walk.csv': csv(poses(1), scorer='heatmap_mhcrnn_tracker')},
                       {}),
    'sleap': (SLEAP, {'walk.slp': project(poses(), by_hand=[2])}, {}),
    'sleap_csv': (SLEAP, {'walk.csv': analysis_csv(poses())}, {}),
    'sleap_analysis': (SLEAP, {'walk.analysis.h5': analysis(poses())}, {}),
}
