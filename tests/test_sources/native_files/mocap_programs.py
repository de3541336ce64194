"""Files of programs and data sets of motion capture: TRC, MVNX, FreeMoCap, AMASS and others."""

import atexit
import struct
import tempfile
from pathlib import Path

import numpy as np

from mofm.sources import (
    AMASS,
    C3D,
    MVNX,
    TRC,
    TRC2D,
    FreeMoCap,
    HumanML3D,
    MarkerTable,
    VideoPose2D,
    VideoPose3D,
)
from mofm.structures import LAYOUTS

from .mocap import npy, npz, person, walk

POSE2SIM = ['Hip', 'RHip', 'RKnee', 'RAnkle', 'RBigToe', 'LHip', 'LKnee', 'LAnkle', 'LBigToe',
            'Neck', 'Head', 'Nose', 'RShoulder', 'RElbow', 'RWrist', 'LShoulder', 'LElbow',
            'LWrist']
_WORDS = dict(hip='pelvis', head='head', nose='nose', neck='neck')
SEGMENTS = ['Pelvis', 'L5', 'L3', 'T12', 'T8', 'Neck', 'Head', *(
    f'{side}{part}' for side in ('Right', 'Left')
    for part in ('Shoulder', 'UpperArm', 'ForeArm', 'Hand')), *(
    f'{side}{part}' for side in ('Right', 'Left')
    for part in ('UpperLeg', 'LowerLeg', 'Foot', 'Toe'))]
_SEGMENT = dict(Shoulder='collar', UpperArm='shoulder', ForeArm='elbow', Hand='wrist',
                UpperLeg='hip', LowerLeg='knee', Foot='ankle', Toe='foot')
_H36M = LAYOUTS['h36m32'].joints


def z_up(joints):
    """Turn y up to z up."""
    return joints[..., [0, 2, 1]] * [1, -1, 1]


def by_name(frames=5):
    """(T, 3) of the joints of all layouts of a walk, by name."""
    joints = {}
    for layout in ('coco17', 'bandai22', 'smpl24'):
        joints.update(zip(LAYOUTS[layout].joints, walk(frames, layout).transpose(1, 0, 2),
                          strict=True))
    return joints


def markers(frames=5):
    """(T, J, 3) of :data:`POSE2SIM`."""
    joints = by_name(frames)

    def place(name):
        side = dict(R='right', L='left').get(name[0])
        part = dict(BigToe='foot').get(name[1:], name[1:].lower())
        return joints[_WORDS.get(name.lower()) or f'{side}_{part}']
    return np.stack([place(name) for name in POSE2SIM], 1)


def trc(values=None, units='m', names=POSE2SIM, rate='60', sub_header=True, blank=True):
    """Bytes of a TRC file as Pose2Sim and OpenSim write it."""
    values = markers() if values is None else values
    head = ['PathFileType\t4\t(X/Y/Z)\twalk.trc',
            'DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame'
            '\tOrigNumFrames',
            f'{rate}\t60\t{len(values)}\t{len(names)}\t{units}\t60\t1\t{len(values)}',
            'Frame#\tTime\t' + '\t\t\t'.join(names) + '\t\t']
    if sub_header:
        head.append('\t\t' + '\t'.join(f'{axis}{i + 1}' for i in range(len(names))
                                       for axis in 'XYZ'))
    rows = ['\t'.join([str(t + 1), f'{t / 60:.5f}', *(
        '' if np.isnan(v) and blank else f'{v:.6f}' for v in row.ravel())])
        for t, row in enumerate(values)]
    return '\n'.join([*head, *[''] * sub_header, *rows]).encode() + b'\n'


# Markers of Plug-in Gait: joints in COCO-17, moved to the front or back.
_MARKERS = dict(FHD=('nose', 0), BHD=('nose', -.2), SHO=('shoulder', 0), ELB=('elbow', 0),
                WRA=('wrist', .02), WRB=('wrist', -.02), ASI=('hip', .1), PSI=('hip', -.1),
                KNE=('knee', 0), ANK=('ankle', 0))
LABELS = [side + marker for side in 'LR' for marker in _MARKERS] + ['*110', 'Angle']


def flat(unit='px', frames=5):
    """(T, J, 3) of :data:`POSE2SIM` as Sports2D writes it: z is 0, y points down in pixels."""
    x, y = markers(frames)[..., :2].transpose(2, 0, 1)
    points = (900 + 200 * x, 500 - 200 * y) if unit == 'px' else (x, y)
    return np.stack([*points, 0 * x], -1)


def plug_in_gait(frames=5):
    """(T, J, 3) of :data:`LABELS` in millimeters, z up."""
    joints = by_name(frames)

    def place(label):
        part, front = _MARKERS.get(label[1:], ('nose', .3))
        side = '' if part == 'nose' else 'left_' if label[0] == 'L' else 'right_'
        width = (.07 if label[0] == 'L' else -.07) if part == 'nose' else 0
        return joints[side + part] + [width, 0, front]
    return 1000 * z_up(np.stack([place(label) for label in LABELS], 1))


def c3d(values=None, labels=LABELS, units='mm', rate=100., screen='+Z', residual=None, scale=-1.,
        processor=84, segments=None):
    """Bytes of a C3D file of the processor of Intel (84) or MIPS (86): markers, or segments.

    Args:
        values (np.ndarray): (T, J, 3).
        residual (np.ndarray): (T, J), -1 for markers that are not seen.
        scale (float): Of integers; negative for floats.
        segments (dict): Matrices (T, 4, 4) by name, as Theia3D writes them in place of markers.
    """
    if segments is not None:
        values, labels = np.zeros((len(next(iter(segments.values()))), 0, 3)), []
    values = plug_in_gait() if values is None else values
    residual = np.zeros(values.shape[:2]) if residual is None else residual
    end = '>' if processor == 86 else '<'

    def item(number, name, body):
        return struct.pack('bb', len(name), number) + name.encode() + struct.pack(
            end + 'h', len(body) + 2) + body

    def text(name, words, group=1):
        width = max(map(len, words), default=0)
        body = struct.pack('bBBB', -1, 2, width, len(words)) + b''.join(
            word.ljust(width).encode() for word in words) + b'\0'
        return item(group, name, body)

    def number(name, kind, value, group=1):
        size = dict(h=2, f=4)[kind]
        return item(group, name, struct.pack(f'{end}bB{kind}B', size, 0, value, 0))

    parameters = item(-1, 'POINT', b'\0') + number('USED', 'h', len(labels)) + number(
        'SCALE', 'f', scale) + number('RATE', 'f', rate) + number(
        'FRAMES', 'h', len(values)) + number('DATA_START', 'h', 0)
    parameters += text('LABELS', labels[:255])
    for i in range(255, len(labels), 255):
        parameters += text(f'LABELS{i // 255 + 1}', labels[i:i + 255])
    parameters += b''.join(text(name, [word]) for name, word in (
        ('UNITS', units), ('Y_SCREEN', screen)) if word)
    if segments is not None:
        matrices = np.stack([*segments.values()], 1)  # (T, R, 4, 4), by columns in the file
        matrices = matrices.swapaxes(2, 3).reshape(*matrices.shape[:2], 16)
        parameters += item(-3, 'ANALOG', b'\0') + number('USED', 'h', 0, 3) + number(
            'RATE', 'f', rate, 3) + item(-2, 'ROTATION', b'\0') + text('LABELS', [
                f'{name}_4X4' for name in segments], 2) + number('RATIO', 'h', 1, 2) + number(
                    'USED', 'h', len(segments), 2)
        parameters += number('DATA_START', 'h', (len(parameters) + 23 + 511) // 512 + 2, 2)
        values, residual = matrices, np.zeros(matrices.shape[:2])
    blocks = (len(parameters) + 6 + 511) // 512
    section = (struct.pack('BBBB', 1, 80, blocks, processor) + parameters).ljust(512 * blocks,
                                                                                 b'\0')
    header = struct.pack(f'{end}BBhhhhhfhhf', 2, 80, len(labels), 0, 1, len(values), 0, scale,
                         blocks + 2, 0, rate).ljust(512, b'\0')
    words = np.concatenate([values / (1 if scale < 0 else scale), residual[..., None]], -1)
    data = words.astype(end + ('f4' if scale < 0 else 'i2')).tobytes()
    return header + section + data + bytes(-len(data) % 512)


def nexus(values=None, labels=LABELS[:-2], subject='Anna', before='', missing=''):
    """Bytes of an export of Vicon Nexus, (T, J, 3) in millimeters after tables of ``before``."""
    values = plug_in_gait()[:, :-2] if values is None else values
    rows = [f'{t + 101},0,' + ','.join(missing if np.isnan(v) else f'{v:.6g}' for v in row.ravel())
            for t, row in enumerate(values)]
    return '\r\n'.join([
        *before.split('\n'), 'Trajectories', '100', ',,' + ',,,'.join(
            f'{subject}:{label}' for label in labels) + ',,', 'Frame,Sub Frame'
        + ',X,Y,Z' * len(labels), ',' + ',mm' * (3 * len(labels)), *rows, '', '']).encode()


def qualisys(values=None, labels=LABELS[:-2], times=False):
    """Bytes of a TSV file of Qualisys, with the columns Frame and Time or without."""
    values = plug_in_gait()[:, :-2] if values is None else values
    rows = [f'{t + 1}\t{t / 100}\t' * times + '\t'.join(f'{v:.3f}' for v in row.ravel())
            for t, row in enumerate(np.nan_to_num(values))]
    columns = 'Frame\tTime\t' + '\t'.join(f'{label} {a}' for label in labels for a in 'XYZ')
    return '\n'.join([
        f'NO_OF_FRAMES\t{len(values)}', f'NO_OF_MARKERS\t{len(labels)}', 'FREQUENCY\t100',
        'DATA_INCLUDED\t3D', 'MARKER_NAMES\t' + '\t'.join(labels), *[columns] * times,
        *rows]).encode() + b'\n'


def motive(frames=5):
    """Bytes of a CSV file of OptiTrack Motive: bones with quaternions, y up, in meters."""
    joints = by_name(frames)
    bones = dict(Hip='pelvis', Head='nose', **{
        side[0].upper() + bone: f'{side}_{joint}' for side in ('left', 'right')
        for bone, joint in dict(Shoulder='collar', UArm='shoulder', FArm='elbow', Hand='wrist',
                                Thigh='hip', Shin='knee', Foot='ankle').items()})
    head = [['', 'Type', *['Bone'] * 7 * len(bones)],
            ['', 'Name', *(f'Skeleton 001:{bone}' for bone in bones for _ in range(7))],
            ['', 'ID', *['A1'] * 7 * len(bones)],
            ['', '', *[*['Rotation'] * 4, *['Position'] * 3] * len(bones)],
            ['Frame', 'Time (Seconds)', *'XYZWXYZ' * len(bones)]]
    rows = [[str(t), f'{t / 120:.6f}', *(f'{v:.6f}' for joint in bones.values()
                                         for v in (0, 0, 0, 1, *joints[joint][t]))]
            for t in range(frames)]
    return '\n'.join([
        'Format Version,1.23,Take Name,Walk,Capture Frame Rate,240.0,Export Frame Rate,120.0,'
        'Rotation Type,Quaternion,Length Units,Meters', '',
        *map(','.join, [*head, *rows])]).encode() + b'\n'


def visual3d(frames=5):
    """Bytes of a text file of Visual3D: landmarks at the centers of joints, z up, in meters."""
    names = [f'{side}{joint}JC' for joint in 'SEWHKA' for side in 'LR']
    joints = z_up(walk(frames, 'coco17')[:, 5:])
    head = [[''] + ['walk.c3d'] * 36, [''] + [name for name in names for _ in 'XYZ'],
            [''] + ['LANDMARK'] * 36, [''] + ['ORIGINAL'] * 36, ['ITEM', *'XYZ' * 12]]
    rows = [[str(t + 1), *(f'{v:.6f}' for v in row.ravel())] for t, row in enumerate(joints)]
    return '\n'.join(map('\t'.join, [*head, *rows])).encode() + b'\n'


def theia(frames=5):
    """(T, 4, 4) of the segments of Theia3D in millimeters, z up, turned in any way."""
    rng, joints = np.random.default_rng(0), by_name(frames)
    origins = dict(worldbody=0 * joints['nose'], head=joints['nose'], **{
        f'{side[0]}_{segment}': joints[f'{side}_{joint}'] for side in ('left', 'right')
        for segment, joint in dict(uarm='shoulder', larm='elbow', hand='wrist', thigh='hip',
                                   shank='knee', foot='ankle').items()})
    out = {}
    for name, origin in origins.items():
        out[name] = np.concatenate([rng.normal(size=(frames, 4, 3)), np.ones((frames, 4, 1))], -1)
        out[name][:, :3, 3] = 1000 * z_up(origin)
    return out


def segments(frames=5):
    """(T, J, 3) of :data:`SEGMENTS`, z up."""
    joints = by_name(frames)

    def place(name):
        for side in ('Right', 'Left'):
            if name.startswith(side):
                return joints[f'{side.lower()}_{_SEGMENT[name.removeprefix(side)]}']
        return joints[dict(Pelvis='pelvis', Neck='neck', Head='head').get(name, 'spine')]
    return z_up(np.stack([place(name) for name in SEGMENTS], 1))


def mvnx(values=None, subjects=1, before='', rate='240'):
    """Bytes of an MVNX file of Xsens MVN."""
    values = segments() if values is None else values
    labels = ''.join(f'<segment label="{name}" id="{i + 1}"><points><point label="pX"><pos_b>0 0 0'
                     '</pos_b></point></points></segment>' for i, name in enumerate(SEGMENTS))

    def frame(row, kind):
        numbers = ' '.join(f'{v:.6f}' for v in row.ravel())
        return (f'<frame time="0" index="0" type="{kind}"><orientation>1 0 0 0</orientation>'
                f'<position>{numbers}</position></frame>')

    frames = frame(np.zeros_like(values[0]), 'tpose') + '\n'.join(
        frame(row, 'normal') for row in values)
    subject = (f'<subject label="Suit" frameRate="{rate}" segmentCount="23"><segments>{labels}'
               f'</segments><frames segmentCount="23">{frames}</frames></subject>')
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n{before}<mvnx version="4" xmlns="http://www.'
            f'xsens.com/mvn/mvnx">{subject * subjects}</mvnx>\n').encode()


def mediapipe(frames=5, joints=33):
    """(T, J, 3) of MediaPipe in millimeters, z up."""
    coco = by_name(frames)
    layout = LAYOUTS['mediapipe33'].joints
    places = [coco.get(name, coco['nose']) for name in layout]
    places += [coco['left_wrist']] * (joints - len(places))
    return 1000 * z_up(np.stack(places, 1))


def freemocap_table(values=None, prefix=''):
    """Bytes of ``mediapipe_body_3d_xyz.csv``."""
    values = mediapipe() if values is None else values
    head = ','.join(f'{prefix}{joint}_{axis}' for joint in LAYOUTS['mediapipe33'].joints
                    for axis in 'xyz')
    rows = [','.join('' if np.isnan(v) else f'{v:.3f}' for v in row.ravel()) for row in values]
    return '\n'.join([head, *rows]).encode() + b'\n'


def videopose3d(data=None, key='positions_3d', **others):
    """Bytes of an archive of VideoPose3D: pickled dicts."""
    if data is None:
        data = {'S1': {'Walking 1': z_up(walk(layout='h36m32')).astype(np.float32)},
                'S9': {'Sitting': z_up(walk(3, 'h36m32')).astype(np.float32)}}
    return npz(**{key: np.array(data, dtype=object)},
               **{name: np.array(value, dtype=object) for name, value in others.items()})


def images(frames=5, layout='h36m17'):
    """(T, 17, 2) pixels in an image of 1000 x 1000."""
    joints = walk(frames, layout)[..., :2]
    return (500 + [300, -300] * (joints - [0, 1])).astype(np.float32)


def videopose2d(layout='h36m'):
    """Bytes of ``data_2d_h36m_gt.npz`` with four cameras."""
    title = dict(h36m='h36m17', coco='coco17')[layout]
    data = {'S1': {'Walking': [images(5, title) + i for i in range(4)]},
            'S11': {'Photo 1': [images(3, title)] * 4}}
    return videopose3d(data, 'positions_2d', metadata=dict(
        layout_name=layout, num_joints=17, keypoints_symmetry=[[4, 5, 6], [1, 2, 3]]))


def body_model(joints=52, vertices=60, betas=16, seed=0):
    """Arrays of a body model whose joints are those of the standing person."""
    rng = np.random.default_rng(seed)
    rest = np.concatenate([person('smpl22'), np.tile(person('smpl22')[20], (joints - 22, 1))])
    regressor = np.zeros((joints, vertices))
    regressor[np.arange(joints), np.arange(joints) % vertices] = 1
    template = rng.normal(size=(vertices, 3))
    template[:min(joints, vertices)] = rest[:vertices]
    layout = LAYOUTS['smpl22']
    parents = np.full(joints, 20)
    for parent, child in layout.edges:
        parents[child] = parent
    parents[0] = 2**32 - 1
    return dict(v_template=template, J_regressor=regressor,
                shapedirs=.003 * rng.normal(size=(vertices, 3, betas)),
                kintree_table=np.stack([parents, np.arange(joints)]).astype(np.uint32),
                posedirs=np.zeros((vertices, 3, 9 * (joints - 1))),
                weights=np.eye(joints)[np.arange(vertices) % joints])


def amass(frames=5, values=156, seed=0, **changes):
    """Bytes of a recording of AMASS: small turns of a body that stands, z up."""
    rng = np.random.default_rng(seed)
    poses = .1 * rng.normal(size=(frames, values))
    poses[:, :3] = [np.pi / 2, 0, 0]  # y up to z up
    arrays = dict(poses=poses, trans=.02 * np.arange(frames)[:, None] * [1., 0, 0],
                  betas=rng.normal(size=16), gender=np.array('male'),
                  mocap_framerate=np.array(120.), dmpls=np.zeros((frames, 8)))
    arrays.update(changes)
    return npz(**{key: value for key, value in arrays.items() if value is not None})


#: Folder with the synthetic body models.
_FOLDER = tempfile.TemporaryDirectory(prefix='body_models_')
atexit.register(_FOLDER.cleanup)
MODELS = Path(_FOLDER.name)
for _kind, _joints in (('smplh', 52), ('smplx', 55)):
    (MODELS / _kind / 'male').mkdir(parents=True)
    (MODELS / _kind / 'male/model.npz').write_bytes(npz(**body_model(_joints)))

SAMPLES = {
    'c3d': (C3D, {'walk.c3d': c3d()}, {}),
    'c3d_theia': (C3D, {'walk.c3d': c3d(segments=theia())}, {}),
    'c3d_integers': (C3D, {'walk.c3d': c3d(scale=.1)}, {}),
    'trc': (TRC, {'walk.trc': trc()}, {}),
    'trc_blank': (TRC, {'walk.trc': trc(np.where(np.arange(18)[:, None] == 3, np.nan, markers()),
                                        sub_header=False)}, {}),
    'trc_2d': (TRC2D, {'walk_px_person00.trc': trc(flat(), 'px')}, {}),
    'marker_table_nexus': (MarkerTable, {'walk.csv': nexus()}, {}),
    'marker_table_qualisys': (MarkerTable, {'walk.tsv': qualisys()}, {}),
    'marker_table_motive': (MarkerTable, {'walk.csv': motive()}, {}),
    'marker_table_visual3d': (MarkerTable, {'walk.txt': visual3d()}, {}),
    'mvnx': (MVNX, {'walk.mvnx': mvnx()}, {}),
    'mvnx_two': (MVNX, {'two.mvnx': mvnx(subjects=2)}, {}),
    'freemocap': (FreeMoCap, {'rec/output_data/mediapipe_body_3d_xyz.csv': freemocap_table()}, {}),
    'freemocap_npy': (FreeMoCap, {'rec/mediaPipeSkel_3d_body_hands_face.npy': npy(
        mediapipe(joints=553))}, {}),
    'humanml3d': (HumanML3D, {'new_joints/000000.npy': npy(walk(layout='smpl22').astype('f4')),
                              'train.txt': b'000000\n'}, {}),
    'videopose3d': (VideoPose3D, {'data_3d_h36m.npz': videopose3d()}, {}),
    'videopose3d_2d': (VideoPose2D, {'data_2d_h36m_gt.npz': videopose2d()}, {}),
    'amass': (AMASS, {'KIT/1/walk_poses.npz': amass()}, dict(body_models=MODELS)),
    'amass_smplx': (AMASS, {'KIT/1/walk_stageii.npz': amass(values=165)},
                    dict(body_models=MODELS)),
}
