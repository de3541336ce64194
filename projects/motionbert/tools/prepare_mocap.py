"""Turn motion capture into the files that lifting is trained and tested on.

python projects/motionbert/tools/prepare_mocap.py bandai bandai_namco_15fps.npz data
python projects/motionbert/tools/prepare_mocap.py amass AMASS data/amass_clips.npz \
    --body-models body_models --regressor J_regressor_h36m_correct.npy
"""
import argparse
import pickle
import sys
import zlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mofm.annotations import AnnotationError, file_error, summarize
from mofm.keypoints import Camera, CameraRange
from mofm.structures import convert, get_layout
from mofm.utils.files import atomic_write

# As the cameras of Human3.6M: 1.15 image widths of focal length, 4 to 6 m away, at eye level.
CAMERAS = CameraRange(distance=(4, 6), height=(0, 1), yaw=(-180, 180), pitch=(-3, 3),
                      roll=(-3, 3), focal=(1.1, 1.2), img_shape=(1000, 1000))
_NEAR = 1  # meters between camera and the nearest joint, at least
_BACK = 1.2  # how much farther away the next camera stands if one did not see everything
_MM = 1000
LAYOUT, SIDES = get_layout('h36m17'), ('left', 'right')
_NOSE, _TOP = (.12, .08), .2  # meters
# What MotionBERT takes of AMASS.
_FPS, _LONGEST, _JOINTS, _BETAS, _DMPLS = 60, 2916, 52, 16, 8
_BATCH = 256  # frames
# From z up to x right, y down, z forward; of rows.
_TO_IMAGE = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
# Dataset 2 raises and waves hands, walks and runs; a dash is a run, bye and byebye are waves.
_SEEN = ('walk', 'run', 'dash', 'bye', 'byebye')


def place_camera(joints: np.ndarray, name: str, view: int, seed: int,
                 cameras: CameraRange = CAMERAS) -> Camera:
    """A camera that has all joints in its image; the name, view and seed decide which.

    Args:
        joints (np.ndarray): (T, J, 3) meters, y up.
        name (str): Of the recording.
        view (int): Number of the camera.
        seed (int): Non-negative.
        cameras (CameraRange): Where it may stand around the mean of all joints; farther away if
            it cannot see everything from there.

    Returns:
        Camera: The camera.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), view])
    target = joints.mean((0, 1))
    while True:
        camera = cameras.sample(rng, target)
        pixels, depth = camera.project(joints)
        inside = (pixels >= 0) & (pixels < camera.img_shape[::-1])
        if inside.all() and (depth > _NEAR).all():
            return camera
        cameras = replace(cameras, distance=tuple(_BACK * d for d in cameras.distance))


def see(joints: np.ndarray, camera: Camera) -> dict[str, np.ndarray]:
    """What Human3.6M's format holds of a recording seen by a camera.

    The labels in pixels are weak perspective about the root: with its pixel u_0, depth Z_0 and
    the focal length f, ``u_0 + (X - X_0) f / Z_0``, so that ``Z_0 / f`` scales them to meters in
    the axes of the camera exactly.

    Args:
        joints (np.ndarray): (T, 17, 3) meters, y up, the root first.
        camera (Camera): The camera.

    Returns:
        dict: ``joint_2d`` (T, 17, 2) px, ``confidence`` (T, 17), ``joint3d_image`` (T, 17, 3) px,
        ``2.5d_factor`` (T,) mm per px, ``joints_2.5d_image`` (T, 17, 3) mm.
    """
    pixels, depth = camera.project(joints)
    points = joints @ camera.rotation.T + camera.translation
    factor = depth[:, :1, None] / camera.focal  # (T, 1, 1) meters per pixel
    image = (points - points[:, :1]) / factor
    image[..., :2] += pixels[:, :1]
    arrays = {'joint_2d': pixels, 'confidence': np.ones(pixels.shape[:2]), 'joint3d_image': image,
              '2.5d_factor': _MM * factor[:, 0, 0], 'joints_2.5d_image': _MM * factor * image}
    return {field: array.astype(np.float32) for field, array in arrays.items()}


def split_of(name: str) -> str:
    """Split of a recording of Bandai-Namco: dataset 2 is trained on, dataset 1 tests.

    Args:
        name (str): ``dataset-<1 or 2>_<content>_<style>_<number>``.

    Returns:
        str: ``'train'``; ``'test'`` for contents of a kind that dataset 2 lacks; else
        ``'test_seen'``.
    """
    dataset, content = name.split('_')[:2]
    if dataset == 'dataset-2':
        return 'train'
    return 'test_seen' if content.split('-')[0] in _SEEN else 'test'


def add_head(joints: np.ndarray) -> np.ndarray:
    """Nose and top of the head, which the skeleton of Bandai-Namco lacks.

    Its head joint is at the base of the skull. The head is taken to look where the shoulders do.

    Args:
        joints (np.ndarray): (T, 17, 3) meters, nose and head at the base of the skull.

    Returns:
        np.ndarray: The same with the nose 12 cm before and 8 cm above it, the top 20 cm above.
    """
    neck, base = (joints[:, LAYOUT.joints.index(name)] for name in ('neck', 'head'))
    left, right = (joints[:, LAYOUT.joints.index(f'{side}_shoulder')] for side in SIDES)
    up = _unit(base - neck)
    forward = _unit(np.cross(left - right, up))  # right-handed axes: left is x, up is y
    joints = joints.copy()
    joints[:, LAYOUT.joints.index('nose')] = base + _NOSE[0] * forward + _NOSE[1] * up
    joints[:, LAYOUT.joints.index('head')] = base + _TOP * up
    return joints


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def read_bandai(path: Path) -> list[tuple[str, np.ndarray]]:
    """Names and joints (T, 17, 3) of the recordings of ``bandai_namco_15fps.npz``, meters, y up.

    Nose and head are those of :func:`add_head`. The root is the hips joint of the skeleton, 2 cm
    above the middle of the hip joints.

    Raises:
        AnnotationError: If the file is not as expected.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            xyz, length, names = file['xyz'], file['length'], file['name'].tolist()
        joints = add_head(convert(xyz.astype(np.float32), None, 'bandai22', 'h36m17')[0])
        if length.sum() != len(xyz) or len(names) != len(length):
            raise ValueError(f'{len(xyz)} frames, {len(names)} names, lengths of {length.sum()}')
        if not np.isfinite(joints).all():
            raise ValueError('joints that are not finite, or shoulders or head without a size')
        if any(len(name.split('_')) != 4 for name in names):
            raise ValueError('names that are not dataset_content_style_number')
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        raise AnnotationError(f'{path}: found {type(error).__name__}: {error}, expected the '
                              'arrays xyz (N, 22, 3), length (S,) and name (S,)') from None
    return list(zip(names, np.split(joints, np.cumsum(length)[:-1]), strict=True))


def bandai(args: argparse.Namespace):
    """Write ``bandai_h36m.pkl`` and ``bandai_clips.npz``."""
    splits: dict[str, list[dict]] = {}
    clips = []
    for name, joints in tqdm(read_bandai(args.input), 'Recordings', mininterval=1):
        split = split_of(name)
        if split == 'train':
            clips.append((name, joints * (1, -1, -1)))
        for view in range(args.views[split != 'train']):
            seen = see(joints, place_camera(joints, name, view, args.seed))
            seen.update(source=[f'{name}_ca_{view + 1:02}'] * len(joints),
                        camera_name=['virtual'] * len(joints),
                        action=[name.split('_')[1]] * len(joints))
            splits.setdefault(split, []).append(seen)
    data = {'cameras': {'virtual': CAMERAS.img_shape[::-1]}}
    for split, seen in splits.items():
        columns = {field: [s[field] for s in seen] for field in seen[0]}
        data[split] = {field: np.concatenate(column) if isinstance(column[0], np.ndarray) else
                       list(chain.from_iterable(column)) for field, column in columns.items()}
        print(f'{split}: {len(seen)} recordings and views, {len(data[split]["source"])} frames, '
              f'contents {", ".join(sorted(set(data[split]["action"])))}')
    args.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.output / 'bandai_h36m.pkl') as f:
        pickle.dump(data, f, protocol=4)
    write_clips(args.output / 'bandai_clips.npz', clips)


class SMPLH:
    """SMPL+H with soft-tissue dynamics, as AMASS uses it (arXiv 1904.03278).

    Args:
        folder (Path): Of ``smplh/<gender>/model.npz`` and ``dmpls/<gender>/model.npz``.
        gender (str): ``'male'`` or ``'female'``.
        regressor (np.ndarray): (17, V) of the joints of Human3.6M from the vertices.
        device (str): Where it runs.

    Raises:
        AnnotationError: If a file is missing or not as expected.
    """

    def __init__(self, folder: Path, gender: str, regressor: np.ndarray, device: str):
        import torch

        try:
            from smplx.lbs import lbs
        except ImportError:
            raise AnnotationError('AMASS needs the package smplx; install it with pip install '
                                  'smplx==0.1.28, and mind its license') from None
        body = Arrays(folder / 'smplh' / gender / 'model.npz')
        count = regressor.shape[1]
        shapes = body.read('shapedirs', (count, 3, None))[..., :_BETAS]
        dynamics = Arrays(folder / 'dmpls' / gender / 'model.npz').read(
            'eigvec', (count, 3, None))[..., :_DMPLS]
        arrays = dict(
            v_template=body.read('v_template', (count, 3)),
            shapedirs=np.concatenate([shapes, dynamics], -1),
            posedirs=body.read('posedirs', (count, 3, 9 * (_JOINTS - 1))).reshape(
                3 * count, -1).T,
            J_regressor=body.read('J_regressor', (_JOINTS, count)),
            lbs_weights=body.read('weights', (count, _JOINTS)))
        self.arrays = {name: torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device)
                       for name, array in arrays.items()}
        parents = body.read('kintree_table', (2, _JOINTS))[0].astype(np.int64)
        parents[0] = -1
        if not (parents[1:] < np.arange(1, _JOINTS)).all() or (parents[1:] < 0).any():
            raise body.error('kintree_table', parents.tolist(), 'parents before their children')
        self.arrays['parents'] = torch.from_numpy(parents)
        self.regressor = torch.from_numpy(regressor.astype(np.float32)).to(device)
        self.device = device
        self._skin = lbs

    def joints(self, poses: np.ndarray, betas: np.ndarray, dmpls: np.ndarray,
               trans: np.ndarray) -> np.ndarray:
        """Joints of Human3.6M.

        Args:
            poses (np.ndarray): (T, 156) axis-angle of the 52 joints in radians.
            betas (np.ndarray): (16,) shape.
            dmpls (np.ndarray): (T, 8) soft-tissue dynamics.
            trans (np.ndarray): (T, 3) meters.

        Returns:
            np.ndarray: (T, 17, 3) float32 meters, in the axes of AMASS, z up.
        """
        import torch

        shape = np.concatenate([np.tile(betas, (len(poses), 1)), dmpls], 1)
        out = []
        for i in range(0, len(poses), _BATCH):
            shapes, pose, place = (torch.from_numpy(x[i:i + _BATCH].astype(np.float32)).to(
                self.device) for x in (shape, poses, trans))
            with torch.no_grad():
                vertices, _ = self._skin(shapes, pose, **self.arrays)
                out.append((self.regressor @ (vertices + place[:, None])).cpu().numpy())
        return np.concatenate(out)


class Arrays:
    """The arrays of an ``.npz`` file, checked when they are read.

    Raises:
        AnnotationError: If the file cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            self.file = np.load(path, allow_pickle=False)
            self.names = self.file.files
        except Exception as error:  # damaged bytes make the parser raise nearly anything
            raise AnnotationError(f'{path}: cannot be read as .npz ({type(error).__name__}: '
                                  f'{error}); fetch it again') from None

    def error(self, field: str, found: object, expected: str) -> AnnotationError:
        """The error about a field."""
        return file_error(self.path, field, found, expected)

    def raw(self, field: str) -> np.ndarray:
        """An array of any kind but objects."""
        try:
            return self.file[field]
        except Exception as error:  # as above
            raise self.error(field, f'{type(error).__name__}: {error}',
                             f'an array, among {sorted(self.names)[:30]}') from None

    def read(self, field: str, shape: tuple[int | None, ...]) -> np.ndarray:
        """Finite numbers of a shape, with None for any length."""
        value = self.raw(field)
        if value.dtype.kind not in 'fiu' or value.ndim != len(shape) or any(
                want not in (None, have) for want, have in zip(shape, value.shape, strict=True)):
            raise self.error(field, f'{value.dtype} of shape {value.shape}',
                             f'numbers of shape {shape}')
        if not np.isfinite(value).all():
            raise self.error(field, 'NaN or infinite values', 'finite numbers')
        return value


def read_amass(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """Gender and parameters of a recording of AMASS, at about 60 frames per second.

    Raises:
        AnnotationError: If the file is not as expected.
    """
    file = Arrays(path)
    rate = 'mocap_framerate' if 'mocap_framerate' in file.names else 'mocap_frame_rate'
    fps = float(file.read(rate, ()))
    if fps <= 0:
        raise file.error(rate, fps, 'frames per second')
    step = max(1, round(fps / _FPS))
    poses = file.read('poses', (None, 3 * _JOINTS))
    if not len(poses):
        raise file.error('poses', 'no frames', 'at least one')
    gender = file.raw('gender').item()
    gender = gender.decode(errors='replace') if isinstance(gender, bytes) else str(gender)
    params = dict(
        poses=poses[::step], trans=file.read('trans', (len(poses), 3))[::step],
        dmpls=file.read('dmpls', (len(poses), _DMPLS))[::step],
        betas=file.read('betas', (_BETAS, )))
    return gender if gender in ('male', 'female') else 'female', params


def amass(args: argparse.Namespace):
    """Write a file of clips; recordings are cut at 2916 frames."""
    import torch

    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    regressor = load_regressor(args.regressor)
    files = sorted(f for f in args.input.rglob('*.npz') if f.name != 'shape.npz')
    models, clips, problems = {}, [], []
    for path in tqdm(files, 'Recordings', mininterval=1):
        try:
            gender, params = read_amass(path)
        except AnnotationError as error:
            problems.append(error)
            continue
        if gender not in models:
            models[gender] = SMPLH(args.body_models, gender, regressor, device)
        joints = models[gender].joints(**params) @ _TO_IMAGE
        name = path.relative_to(args.input).with_suffix('').as_posix()
        clips += [(f'{name}_{i}', joints[start:start + _LONGEST])
                  for i, start in enumerate(range(0, len(joints), _LONGEST))]
    print(f'{len(problems)} of {len(files)} files skipped')
    if problems:
        print(summarize(problems, limit=50))
    if not clips:
        raise AnnotationError(f'{args.input}: found no recording among {len(files)} .npz files, '
                              'expected those of AMASS (SMPL+H G)')
    write_clips(args.output, clips)


def load_regressor(path: Path) -> np.ndarray:
    """Regressor (17, V) of the joints of Human3.6M.

    Raises:
        AnnotationError: If the file is missing or not as expected.
    """
    try:
        value = np.load(path, allow_pickle=False)
        if value.dtype.kind != 'f' or value.ndim != 2 or len(value) != 17:
            raise ValueError(f'{value.dtype} of shape {value.shape}')
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        raise AnnotationError(f'{path}: found {type(error).__name__}: {error}, expected '
                              'J_regressor_h36m_correct.npy, numbers of shape (17, vertices), '
                              'from the AMASS data of MotionBERT') from None
    return value


def write_clips(path: Path, clips: Iterable[tuple[str, np.ndarray]]):
    """Write the file of :class:`MotionCaptureDataset`.

    Args:
        path (Path): ``.npz`` file.
        clips (Iterable): Names and joints (T, 17, 3), meters along the axes of an image.
    """
    names, joints = zip(*clips, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as f:
        np.savez(f, keypoint_3d=np.concatenate(joints).astype(np.float32),
                 length=np.array([len(j) for j in joints]), name=np.array(names, str))
    print(f'{path}: {len(names)} recordings, {sum(map(len, joints))} frames')


def parse_args(argv=None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    sub = commands.add_parser('bandai', help='recordings of Bandai-Namco Research, joints as .npz')
    sub.add_argument('input', type=Path, help='bandai_namco_15fps.npz')
    sub.add_argument('output', type=Path, help='folder of bandai_h36m.pkl and bandai_clips.npz')
    sub.add_argument('--views', type=int, nargs=2, default=(2, 4), metavar=('TRAIN', 'TEST'),
                     help='virtual cameras per recording')
    sub.add_argument('--seed', type=int, default=0, help='of the cameras')
    sub.set_defaults(function=bandai)
    sub = commands.add_parser('amass', help='recordings of AMASS, SMPL+H G, through its body')
    sub.add_argument('input', type=Path, help='folder of its .npz files')
    sub.add_argument('output', type=Path, help='.npz file')
    sub.add_argument('--body-models', type=Path, required=True, metavar='FOLDER',
                     help='of smplh/<gender>/model.npz and dmpls/<gender>/model.npz, see '
                     'https://github.com/nghorbani/human_body_prior')
    sub.add_argument('--regressor', type=Path, required=True, metavar='FILE',
                     help='J_regressor_h36m_correct.npy')
    sub.add_argument('--device', help='default: cuda, or cpu if there is none')
    sub.set_defaults(function=amass)
    return parser.parse_args(argv)


def main(argv=None):
    """Run the chosen command."""
    args = parse_args(argv)
    args.function(args)


if __name__ == '__main__':
    try:
        main()
    except AnnotationError as error:
        sys.exit(f'error: {error}')
