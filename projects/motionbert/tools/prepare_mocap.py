"""Convert motion capture to the training and test files of lifting.

python projects/motionbert/tools/prepare_mocap.py bandai bandai_namco_15fps.npz data
python projects/motionbert/tools/prepare_mocap.py amass AMASS data/amass_clips.npz \
    --body-models body_models --joint-regressor J_regressor_h36m_correct.npy
"""

from mofm.utils.tool import run_tool

import argparse
import pickle
import zlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mofm.annotations import AnnotationError, summarize
from mofm.keypoints import Camera, CameraRange
from mofm.structures import convert, get_layout
from mofm.utils.checks import describe
from mofm.utils.files import atomic_write
from mofm.utils.untrusted import read_npz

# Like the cameras of Human3.6M: 1.15 image widths of focal length, 4 to 6 m away, at eye level.
CAMERAS = CameraRange(distance=(4, 6), height=(0, 1), yaw=(-180, 180), pitch=(-3, 3),
                      roll=(-3, 3), focal=(1.1, 1.2), img_shape=(1000, 1000))
_NEAR = 1  # meters, minimum depth of a joint
_BACK = 1.2  # factor of the distance until all joints are in the image
_MM = 1000
LAYOUT, SIDES = get_layout('h36m17'), ('left', 'right')
_NOSE, _TOP = (.12, .08), .2  # meters
_LONGEST = 2916  # frames of a clip of AMASS, as in MotionBERT
# From z up to x right, y down, z forward, for row vectors.
_TO_IMAGE = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
# Contents of dataset 1 that dataset 2 has too (raising and waving hands, walking, running).
_SEEN = ('walk', 'run', 'dash', 'bye', 'byebye')


def place_camera(joints: np.ndarray, name: str, view: int, seed: int,
                 cameras: CameraRange = CAMERAS) -> Camera:
    """Draw a camera with all joints in its image, given by name, view and seed.

    Args:
        joints (np.ndarray): (T, J, 3) meters, y up.
        name (str): Name of the recording.
        view (int): Index of the camera.
        seed (int): Non-negative seed.
        cameras (CameraRange): Range around the mean of all joints; the distance is increased
            until all joints are in the image.
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


def make_labels(joints: np.ndarray, camera: Camera) -> dict[str, np.ndarray]:
    """Compute the fields of Human3.6M's format for a recording and a camera.

    Labels in pixels are weak perspective about the root, ``u_0 + (X - X_0) f / Z_0`` with its
    pixel u_0, depth Z_0 and the focal length f, so ``Z_0 / f`` scales them to meters exactly.

    Args:
        joints (np.ndarray): (T, 17, 3) meters, y up, the root first.
        camera (Camera): Virtual camera.

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
    """Return the split of a Bandai-Namco recording: dataset 2 for training, 1 for tests.

    Args:
        name (str): ``dataset-<1 or 2>_<content>_<style>_<number>``.

    Returns:
        str: ``'train'``; ``'test_seen'`` for contents that dataset 2 has too, else ``'test'``.
    """
    dataset, content = name.split('_')[:2]
    if dataset == 'dataset-2':
        return 'train'
    return 'test_seen' if content.split('-')[0] in _SEEN else 'test'


def add_head(joints: np.ndarray) -> np.ndarray:
    """Add nose and top of the head, which the skeleton of Bandai-Namco lacks.

    Its head joint is at the base of the skull. The head is assumed to face as the shoulders do.

    Args:
        joints (np.ndarray): (T, 17, 3) meters, nose and head at the base of the skull.

    Returns:
        np.ndarray: (T, 17, 3), nose 12 cm before and 8 cm above the base, top 20 cm above.
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
    """Read names and joints (T, 17, 3) of ``bandai_namco_15fps.npz``, meters, y up.

    Nose and head are those of :func:`add_head`. The root is the hips joint, 2 cm above the center
    of the hip joints.

    Raises:
        AnnotationError: If the file is invalid.
    """
    try:
        file = read_npz(path)
        xyz, length, names = file['xyz'], file['length'], file['name'].tolist()
        joints = add_head(convert(xyz.astype(np.float32), None, 'bandai22', 'h36m17')[0])
        if length.sum() != len(xyz) or len(names) != len(length):
            raise ValueError(f'{len(xyz)} frames, {len(names)} names, lengths of {length.sum()}')
        if not np.isfinite(joints).all():
            raise ValueError('joints that are not finite, or shoulders or head of size 0')
        if any(len(name.split('_')) != 4 for name in names):
            raise ValueError('names other than dataset_content_style_number')
    except Exception as error:  # damaged bytes make the parser raise nearly anything
        raise AnnotationError(f'{path}: found {describe(error)}, expected the '
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
            labels = make_labels(joints, place_camera(joints, name, view, args.seed))
            labels.update(source=[f'{name}_ca_{view + 1:02}'] * len(joints),
                          camera_name=['virtual'] * len(joints),
                          action=[name.split('_')[1]] * len(joints))
            splits.setdefault(split, []).append(labels)
    data = {'cameras': {'virtual': CAMERAS.img_shape[::-1]}}
    for split, views in splits.items():
        columns = {field: [view[field] for view in views] for field in views[0]}
        data[split] = {field: np.concatenate(column) if isinstance(column[0], np.ndarray) else
                       list(chain.from_iterable(column)) for field, column in columns.items()}
        print(f'{split}: {len(views)} recordings and views, {len(data[split]["source"])} frames, '
              f'contents {", ".join(sorted(set(data[split]["action"])))}')
    args.output.mkdir(parents=True, exist_ok=True)
    with atomic_write(args.output / 'bandai_h36m.pkl') as f:
        pickle.dump(data, f, protocol=4)
    write_clips(args.output / 'bandai_clips.npz', clips)


def amass(args: argparse.Namespace):
    """Write a file of clips of at most 2916 frames."""
    import torch

    from projects.motionbert.mesh.amass import SMPLH, read_amass
    from projects.motionbert.mesh.smpl_files import read_joint_regressor

    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    regressor = read_joint_regressor(args.joint_regressor)
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


def write_clips(path: Path, clips: Iterable[tuple[str, np.ndarray]]):
    """Write the file of :class:`MotionCaptureDataset`.

    Args:
        path (Path): Output path, ``.npz``.
        clips (Iterable): Names and joints (T, 17, 3), meters, y down, z forward.
    """
    names, joints = zip(*clips, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as f:
        np.savez(f, keypoint_3d=np.concatenate(joints).astype(np.float32),
                 length=np.array([len(j) for j in joints]), name=np.array(names, str))
    print(f'{path}: {len(names)} recordings, {sum(map(len, joints))} frames')


def parse_args(argv=None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest='command', required=True)
    sub = commands.add_parser('bandai', help='recordings of Bandai-Namco Research, joints as .npz')
    sub.add_argument('input', type=Path, help='bandai_namco_15fps.npz')
    sub.add_argument('output', type=Path, help='folder of bandai_h36m.pkl and bandai_clips.npz')
    sub.add_argument('--views', type=int, nargs=2, default=(2, 4), metavar=('TRAIN', 'TEST'),
                     help='virtual cameras per recording')
    sub.add_argument('--seed', type=int, default=0, help='seed of the cameras')
    sub.set_defaults(function=bandai)
    sub = commands.add_parser('amass', help='recordings of AMASS (SMPL+H G)')
    sub.add_argument('input', type=Path, help='folder of .npz files')
    sub.add_argument('output', type=Path, help='.npz file')
    sub.add_argument('--body-models', type=Path, required=True, metavar='FOLDER',
                     help='folder of smplh/<gender>/model.npz and dmpls/<gender>/model.npz, '
                     'see https://github.com/nghorbani/human_body_prior')
    sub.add_argument('--joint-regressor', type=Path, required=True, metavar='FILE',
                     help='J_regressor_h36m_correct.npy')
    sub.add_argument('--device', help='default: cuda if available, else cpu')
    sub.set_defaults(function=amass)
    return parser.parse_args(argv)


def main(argv=None):
    """Run the chosen command."""
    args = parse_args(argv)
    args.function(args)


if __name__ == '__main__':
    run_tool(main, AnnotationError, ImportError)
