"""Pose estimators on COCO images and videos: similarity to the annotation, speed, install size.

OMP_NUM_THREADS=1 python benchmarks/poses.py FOLDER mediapipe mediapipe:tiles=False
OMP_NUM_THREADS=1 python benchmarks/poses.py VIDEOS mediapipe --frames 100 --steps 2 4 8

FOLDER has ``test_coco.json`` with its images, or videos, or both. NAME:KEY=VALUE gives an option
of an estimator, ``checkpoint`` included; NAME@boxes gives it the annotated boxes.
"""

import argparse
import ast
import json
import time
from importlib.metadata import PackageNotFoundError, files, requires
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from common import machine
from packaging.requirements import Requirement

from mofm.keypoints.tracking import SIGMAS, oks
from mofm.pose_estimation import (
    PoseEstimator,
    Video,
    build_estimator,
    estimate_sampled,
    find_videos,
)
from mofm.visualization.overlay import draw_poses

LIBRARIES = dict(mediapipe=['mediapipe'], movenet=['ai-edge-litert'], ultralytics=['ultralytics'],
                 rtmpose=['rtmlib'], mmpose=['mmpose', 'mmdet', 'mmcv'])
COLORS = np.array([(80, 220, 80), (60, 60, 240), (240, 160, 40), (40, 220, 240), (220, 60, 220)])


def similarity(annotation: dict, keypoints: np.ndarray) -> float:
    """Compute the best object keypoint similarity of any pose (N, 17, 2), as COCO defines it."""
    truth = np.reshape(annotation['keypoints'], (17, 3)).astype(float)
    seen = truth[:, 2] > 0
    distance = ((keypoints - truth[:, :2])**2).sum(-1)
    value = np.exp(-distance / (2 * annotation['area'] * (2 * SIGMAS)**2))
    return value[:, seen].mean(1).max(initial=0)


def megabytes(names: list[str]) -> float:
    """Sum the files of packages and of what they require beyond PyTorch, NumPy and OpenCV."""
    names, done = list(names), {'numpy', 'torch', 'torchvision', 'opencv-python', 'matplotlib',
                                'opencv-contrib-python', 'scipy'}
    total = 0
    while names:
        name = names.pop()
        if name in done:
            continue
        done.add(name)
        try:
            total += sum(f.locate().stat().st_size for f in files(name) if f.locate().is_file())
            wanted = [Requirement(text) for text in requires(name) or ()]
        except PackageNotFoundError:
            continue
        names += [one.name for one in wanted
                  if one.marker is None or one.marker.evaluate(dict(extra=''))]
    return total / 2**20


class Replay(PoseEstimator):
    """Poses that are known, by frame."""

    def estimate(self, image, boxes=None):
        """See :meth:`PoseEstimator.estimate`."""
        return image['keypoints'], image['keypoint_scores']


def compare_steps(videos: list[list[dict]], steps: list[int]):
    """Print the similarity of interpolated poses to those that are estimated in the same frame."""
    print('\n| every n-th frame | median | mean | below 0.5 | persons in each video |\n'
          '|---|---|---|---|---|')
    for step in (1, *steps):
        values, persons = [], []
        for poses in videos:
            found = list(estimate_sampled(Replay(), poses, step))
            persons.append(np.mean([len(pose['keypoints']) for pose in found]))
            for number, (pose, other) in enumerate(zip(poses, found, strict=True)):
                if number % step and number < len(poses) - 1:
                    likeness = oks(pose['keypoints'], pose['keypoint_scores'],
                                   other['keypoints'], other['keypoint_scores'])
                    sure = pose['keypoint_scores'].mean(1) > .5
                    values += likeness.max(1, initial=0)[sure].tolist()
        text = f'{np.median(values):.3f} | {np.mean(values):.3f} | ' \
               f'{np.mean(np.array(values) < .5):.1%}' if values else ' |  | '
        print(f'| {step} | {text} | {", ".join(f"{count:.2f}" for count in persons)} |')


def draw(image: np.ndarray, poses: dict, path: Path):
    """Write a picture of the poses."""
    score = poses['keypoint_scores']
    colors = COLORS[np.arange(len(score)) % len(COLORS)]
    cv2.imwrite(str(path), draw_poses(image, poses['keypoints'], score * (score > .3), colors))


def main():
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('estimators', nargs='+', metavar='NAME[@boxes][:KEY=VALUE]')
    parser.add_argument('--frames', type=int, default=30, help='of each video [%(default)s]')
    parser.add_argument('--steps', type=int, nargs='+', default=[], help='also compare poses of '
                        'every n-th frame, interpolated')
    parser.add_argument('--out', type=Path, help='folder for pictures')
    args = parser.parse_args()
    coco = args.folder / 'test_coco.json'
    coco = json.loads(coco.read_text()) if coco.exists() else dict(images=[], annotations=[])
    videos = {name: path for name, path in find_videos(args.folder).items() if path.is_file()}
    print(machine(torch.device('cpu')))
    print(f'\n| estimator | OKS of every person | mean | persons in '
          f'{", ".join(videos)} | frames per CPU second | MB |\n|---|---|---|---|---|---|')
    for text in args.estimators:
        name, *options = text.split(':', 1)
        name, _, boxed = name.partition('@')
        estimator = build_estimator(name, **{
            key: value if key == 'checkpoint' else ast.literal_eval(value)
            for key, value in (option.split('=') for option in options)})
        values = []
        for info in coco['images']:
            if not (args.folder / info['file_name']).exists():
                continue
            image = cv2.imread(str(args.folder / info['file_name']))
            persons = [a for a in coco['annotations'] if a['image_id'] == info['id']]
            boxes = np.array([a['bbox'] for a in persons])
            boxes[:, 2:] += boxes[:, :2]
            poses, = estimator.extract([image], [boxes] if boxed else None)
            values.append([similarity(a, poses['keypoints']) for a in persons])
            if args.out:
                draw(image, poses, args.out / f'{text}_{info["file_name"]}.png')
        counts, spent, done, every = [], 0., 0, []
        for path in () if boxed else videos.values():
            video = Video(path)
            video.open()
            frames = list(islice(video.frames(), args.frames))
            start = time.process_time()
            poses = list(estimator.extract(frames))
            spent += time.process_time() - start
            done += len(frames)
            every.append(poses)
            counts.append(f'{np.mean([len(p["keypoints"]) for p in poses]):.1f}')
            if args.out:
                middle = len(frames) // 2
                draw(frames[middle], poses[middle], args.out / f'{text}_{path.stem}.png')
        each = '; '.join(' '.join(f'{v:.2f}' for v in image) for image in values)
        print(f'| `{text}` | {each} | {np.mean([np.mean(v) for v in values] or [np.nan]):.2f} | '
              f'{", ".join(counts)} | {f"{done / spent:.1f}" if spent else ""} | '
              f'{megabytes(LIBRARIES.get(name, [])):.0f} |', flush=True)
        if args.steps:
            compare_steps(every, args.steps)


if __name__ == '__main__':
    main()
