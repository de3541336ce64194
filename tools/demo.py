"""Ask a trained model about recordings, and draw the answers.

python tools/demo.py walk.mp4 --config CONFIG --checkpoint CHECKPOINT --task anomaly --out demo
python tools/demo.py poses.json --config PUBLISHED_FOLDER --task action --out demo
python tools/demo.py data/mine.pkl --config FOLDER --gallery exemplars.npz --out demo
python tools/demo.py poses.json --config CONFIG --checkpoint CHECKPOINT --task lift --out demo
python tools/demo.py day.mp4 --config CONFIG --checkpoint CHECKPOINT --task detect --out demo
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
from mmengine.config import DictAction

from mofm.apis import MotionInferencer
from mofm.pose_estimation.pose_extractor import PersonDetector, PoseExtractor, whole_frame
from mofm.pose_estimation.video import IMAGES, VIDEOS, Video, find_videos
from mofm.visualization import (
    animate_clip,
    animate_clip_3d,
    draw_anomaly_curve,
    draw_clip_3d,
    draw_heat,
    draw_poses,
    draw_timeline,
    draw_tokenized_clip,
    save_animation,
    score_colors,
    write_video,
)

WHITE = np.array([[255, 255, 255]], np.uint8)
# Persons in a 3D picture, and frames per second and at most in all of an animation.
PERSONS, RATE, FRAMES = 3, 12, 240


def parse_args(argv=None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('input', nargs='+', help='video, poses, annotations, joint arrays, or a '
                        'folder of them')
    parser.add_argument('--config', required=True,
                        help='config file, or what tools/publish.py wrote: folder or hub id')
    parser.add_argument('--checkpoint', help='weights for a config file')
    parser.add_argument('--task', choices=['action', 'anomaly', 'one_shot', 'tokens', 'features',
                                           'reconstruct', 'lift', 'detect'],
                        help='default: what the model is for')
    parser.add_argument('--out', type=Path, required=True, help='folder of the results')
    parser.add_argument('--pictures', type=int, default=8, metavar='N',
                        help='draw the first N recordings [%(default)s]')
    windows = parser.add_argument_group('recordings')
    windows.add_argument('--window', type=int, help='frames of a window [the whole recording; '
                         'anomaly, lift, detect: as in the config]')
    windows.add_argument('--stride', type=int, help='frames between two windows')
    windows.add_argument('--fps', type=float, help='frame rate of the input; videos know theirs')
    windows.add_argument('--model-fps', type=float, help='frame rate of the training data')
    windows.add_argument('--layout', default='coco17', help='joints of the input [%(default)s]')
    windows.add_argument('--split', help='split of annotation files')
    windows.add_argument('--gallery', type=Path, help='exemplars for one_shot: what '
                         'inferencer.gallery.save() wrote')
    windows.add_argument('--top-k', type=int, default=5, help='classes to name [%(default)s]')
    network = parser.add_argument_group('machine and pose network')
    network.add_argument('--device', help='default: cuda, or cpu if there is none')
    network.add_argument('--batch-size', type=int, default=32, help='windows [%(default)s]')
    network.add_argument('--pose-model', help='2D model of MMPose for videos')
    network.add_argument('--pose-checkpoint', help='its weights, path or URL')
    network.add_argument('--whole-frame', action='store_true',
                         help='one person fills the image; no person detector is needed')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of a config file')
    return parser.parse_args(argv)


def load(args: argparse.Namespace) -> MotionInferencer:
    """The model, and its exemplars."""
    inferencer = MotionInferencer(args.config, args.checkpoint, args.device, args.batch_size,
                                  args.cfg_options)
    if args.gallery:
        inferencer.gallery.load(args.gallery)
    return inferencer


def pose_extractor(args: argparse.Namespace):
    """The network for videos, if it is not the default one."""
    if not (args.whole_frame or args.pose_model or args.pose_checkpoint):
        return None
    names = dict(model=args.pose_model, checkpoint=args.pose_checkpoint, device=args.device)
    boxes = whole_frame if args.whole_frame else PersonDetector(device=args.device)
    return PoseExtractor(**{k: v for k, v in names.items() if v}, boxes=boxes)


def videos(inputs: list) -> dict:
    """Videos among the inputs by the names that their results have."""
    found = {}
    for path in map(Path, inputs):
        if path.is_dir() and any(f.suffix.lower() in VIDEOS | IMAGES for f in path.rglob('*')) or (
                path.suffix.lower() in VIDEOS | IMAGES):
            found.update(find_videos(path))
    return found


def summary(result) -> str:
    """One line about a result."""
    if result.task in ('action', 'one_shot'):
        return ', '.join(f'{name} {score:.3f}' for name, score in result.top())
    if result.task == 'anomaly':
        frame = int(result.smoothed.argmin())
        return f'least normal: frame {frame} ({result.smoothed[frame]:.3f})'
    if result.task == 'detect':
        return ', '.join(f'{name} {first}-{last}' for name, first, last, _ in result.actions()) \
            or 'no action'
    if result.task == 'tokens':
        return f'{len(np.unique(result.tokens[result.occupied]))} different tokens'
    if result.task == 'lift':
        persons, frames, joints, _ = result.joints.shape
        return f'{persons} persons, {frames} frames, {joints} joints'
    return ' x '.join(map(str, (result.pooled if result.task == 'features'
                                else result.reconstruction).shape))


def draw(inferencer: MotionInferencer, result) -> dict:
    """Pictures of a result: figure or animation by the end of the file name."""
    clip = result.poses[0]
    if result.task in ('action', 'one_shot'):
        title = '\n'.join(f'{name} {score:.2f}' for name, score in result.top(2))
        return {'.gif': animate_clip(clip, title=title)}
    if result.task == 'lift':
        seen = np.isfinite(result.joints).all((2, 3)).sum(1)
        joints = result.joints[seen >= seen.max() / 2][:PERSONS]
        # as fast as the recording
        length = (result.frame[-1] - result.frame[0]) / (result.fps or 30)
        num = int(np.clip(length * RATE, 2, FRAMES))
        return {'.png': draw_clip_3d(joints, result.layout, clip),
                '.gif': animate_clip_3d(joints, result.layout, clip, num)}
    if result.task == 'anomaly':
        normal = np.zeros(len(result.score), bool)
        return {'.png': draw_anomaly_curve(result.score, result.smoothed, normal,
                                           thumbnails(result), result.name)}
    if result.task == 'detect':
        return {'.png': draw_timeline(result.scores, None, result.classes, result.name)}
    if result.task == 'reconstruct':
        return {'.png': draw_heat(result.heat[0], result.reconstruction[0])}
    if result.task == 'tokens':
        model = inferencer.model
        first, last = result.frames[0]
        inds = clip.get('frame_inds', np.arange(clip['total_frames']))
        rows = slice(*np.searchsorted(inds, (first, last + 1)))
        points = inferencer.pipeline(dict(
            clip, total_frames=len(inds[rows]), keypoint=clip['keypoint'][:, rows],
            keypoint_score=clip['keypoint_score'][:, rows]))['inputs']['keypoints']
        return {'.png': draw_tokenized_clip(
            points.numpy(), result.tokens[0], result.occupied[0], model.data_preprocessor.grid,
            getattr(model, 'tokenizer', model).vocab_size)}
    return {}


def thumbnails(result, num: int = 5) -> dict:
    """Key points of the least normal person, in the frames of the deepest minima."""
    out, smoothed = {}, result.smoothed.copy()
    for _ in range(num):
        frame = int(np.nanargmin(smoothed))
        smoothed[max(frame - len(smoothed) // 10, 0):frame + len(smoothed) // 10 + 1] = np.inf
        near = np.flatnonzero(np.abs(result.frame - frame) <= 10)
        if np.isinf(smoothed).all() or not len(near):
            break
        window = near[result.normality[near].argmin()]
        frame = int(result.frame[window])
        for number, (person, inds, points, _) in enumerate(tracks(result)):
            row = np.searchsorted(inds, frame)
            if person == result.person[window] and row < len(inds) and inds[row] == frame:
                out[frame] = points[row]
    return out


def tracks(result):
    """Person, frames (T,), key points (T, 17, 2) and scores (T, 17) of everybody."""
    for ann in result.poses:
        inds = ann.get('frame_inds', np.arange(ann['total_frames']))
        for row, (points,
                  score) in enumerate(zip(ann['keypoint'], ann['keypoint_score'], strict=True)):
            yield ann.get('track_id', row), inds, points, score


def overlay(result, video: Video, path: Path):
    """The video with its skeletons and scores."""
    video.open()
    low, high = (result.normality.min(), result.normality.max()) if result.task == 'anomaly' \
        else (0, 1)
    values = {}
    if result.task == 'anomaly':
        for person, score in result.per_person().items():
            known = np.flatnonzero(np.isfinite(score))
            values[person] = np.interp(np.arange(len(score)), known, score[known])

    actions = result.actions() if result.task == 'detect' else ()

    def title(frame):
        if result.task == 'anomaly':
            return f'normality {result.smoothed[min(frame, len(result.smoothed) - 1)]:.2f}'
        if result.task == 'detect':
            return ', '.join(name for name, first, last, _ in actions if first <= frame <= last)
        window = max(np.searchsorted(result.frames[:, 0], frame, 'right') - 1, 0)
        return '{} {:.2f}'.format(*result.top(1, window)[0])

    def frames():
        everybody = list(tracks(result))
        for frame, image in enumerate(video.frames()):
            here = [(person, points[row], score[row]) for person, inds, points, score in everybody
                    for row in [np.searchsorted(inds, frame)]
                    if row < len(inds) and inds[row] == frame and score[row].any()]
            if not here:
                yield draw_poses(image, np.zeros((0, 17, 2)), np.zeros((0, 17)), WHITE[:0],
                                 title=title(frame))
                continue
            persons, points, scores = zip(*here, strict=True)
            known = [values.get(p, [np.nan])[min(frame, len(values.get(p, [0])) - 1)]
                     for p in persons]
            texts = [
                f'{p}' if np.isnan(v) else f'{p}: {v:.2f}'
                for p, v in zip(persons, known, strict=True)
            ]
            yield draw_poses(image, np.stack(points), np.stack(scores),
                             score_colors(known, low, high), texts, title(frame))

    write_video(frames(), path, video.fps)


def main(argv=None):
    """Run."""
    args = parse_args(argv)
    inferencer = load(args)
    args.out.mkdir(parents=True, exist_ok=True)
    sources, used, written = videos(args.input), set(), []
    results = inferencer.iter(
        args.input, args.task, window=args.window, stride=args.stride, top_k=args.top_k,
        fps=args.fps, model_fps=args.model_fps, layout=args.layout, split=args.split,
        pose_extractor=pose_extractor(args))
    for number, result in enumerate(results):
        name = re.sub(r'[^\w.-]', '_', result.name).lstrip('.')[:100] or '_'
        while name.lower() in used:
            name += '_'
        used.add(name.lower())
        arrays = result.task in ('features', 'reconstruct')
        suffixes = ('.npz', ) if arrays else ('.json', '.bvh') if result.task == 'lift' \
            else ('.json', )
        for suffix in suffixes:
            written += result.save(args.out / f'{name}{suffix}')
        print(f'{result.name}: {summary(result)}')
        if number >= args.pictures:
            continue
        for suffix, picture in draw(inferencer, result).items():
            written.append(args.out / f'{name}{suffix}')
            save_animation(picture, written[-1], RATE) if suffix == '.gif' \
                else picture.savefig(written[-1])
        if result.name in sources and result.task in (
                'action', 'one_shot', 'anomaly', 'detect'):
            written.append(args.out / f'{name}.mp4')
            overlay(result, Video(sources[result.name]), written[-1])
    print(f'\n{len(written)} files:')
    for path in written[:30]:
        print(f'  {path}')
    if len(written) > 30:
        print(f'  ... and {len(written) - 30} more in {args.out}')


if __name__ == '__main__':
    try:
        main()
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f'error: {error}')
