"""Compute a feature table of videos with a frozen encoder that has the interface of ViCLIP.

python projects/tmor/tools/video_features.py videos data/mine_vis.npz --annotations data/mine.pkl \
    --encoder viclip --encoder-options weights=ViClip-InternVid-10M-FLT.pth

Each row is the feature of the frames of an annotation, keyed by its ``frame_dir``; without
annotations that of a video, keyed by its name. After an interruption the same command resumes;
--shard I/N distributes the work over several processes.
"""

from mofm.utils.tool import run_tool

import argparse
import re
from pathlib import Path

import numpy as np
from mmengine.config import DictAction
from tqdm import tqdm

from mofm.annotations import AnnotationError, load_annotations, summarize


def shard(text: str) -> tuple:
    """Parse I/N as two integers."""
    match = re.fullmatch(r'(\d{1,6})/(\d{1,6})', text)
    if match is None or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f'found {text!r}, expected I/N with I from 0 to N - 1')
    return int(match[1]), int(match[2])


def add_encoder(parser: argparse.ArgumentParser, required: bool = True):
    """Add the options of the video encoder."""
    group = parser.add_argument_group('video encoder')
    prefix = '' if required else 'video-'
    group.add_argument(f'--{prefix}encoder', required=required, metavar='NAME',
                       help='viclip; or package.module:attribute or file.py:attribute, a class or '
                       'function that returns an object with encode_vision(x, test=True), '
                       'x (B, T, 3, H, W)')
    group.add_argument(f'--{prefix}encoder-options', nargs='+', action=DictAction, default={},
                       metavar='KEY=VALUE', help='arguments of the encoder')
    group.add_argument('--num-frames', type=int, default=8, help='T; default: %(default)s')
    group.add_argument('--size', type=int, default=224, help='H and W; default: %(default)s')
    group.add_argument('--clips', type=int, default=8, help='B; default: %(default)s')
    group.add_argument('--shard', type=shard, default=(0, 1), metavar='I/N',
                       help='encode every N-th clip, starting at the I-th (0 to N - 1)')


def clips_of(videos: Path, annotations=None) -> tuple:
    """Return id, file and frames of every clip, and the ids of annotations without a video."""
    from mofm.pose_estimation.video import find_videos
    from projects.tmor.language.encoders import by_name, video_of

    if annotations is None:
        return [(name, file, None) for name, file in find_videos(videos).items()], []
    names, clips, lost = by_name(videos), [], []
    for ann in annotations:
        file = video_of(names, ann.get('clip', ''), ann['frame_dir'])
        frames = ann.get('frame_inds')
        if file is None:
            lost.append(ann['frame_dir'])
        else:
            frames = np.arange(ann['total_frames']) if frames is None else np.asarray(frames)
            clips.append((ann['frame_dir'], file, frames))
    return clips, lost


def make_table(out: Path, clips: list, encoder: str, options: dict, args) -> list:
    """Encode the missing clips of the shard, then write the table.

    A shard writes the table only if it is complete.

    Returns:
        list[str]: Clips without features.
    """
    from projects.tmor.language.encoders import encode_videos, load_encoder
    from projects.tmor.language.tables import TableWriter

    writer = TableWriter(out, dict(encoder=encoder, options=options, num_frames=args.num_frames,
                                   size=args.size))
    index, shards = args.shard
    todo = [clip for clip in clips[index::shards] if clip[0] not in writer.done]
    problems = []
    if todo:
        with tqdm(total=len(todo), desc='clips') as bar, writer:
            for names, rows in encode_videos(
                    load_encoder(encoder, **options), todo, problems, args.clips, args.num_frames,
                    args.size, lambda done: bar.update(done - bar.n)):
                writer.add(names, rows)
    missing = writer.finish([name for name, *_ in clips], last=shards == 1)
    print(f'{out}: {len(clips) - len(missing)} of {len(clips)} rows, {len(problems)} unreadable '
          'clips')
    if problems:
        print(summarize(problems))
    if missing and shards > 1:
        print('run the other shards; then, or if clips are unreadable, the same command without '
              f'--shard writes {out}')
    return missing


def main(argv=None):
    """Encode the missing clips, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('videos', type=Path, help='folder with videos or folders of images')
    parser.add_argument('out', type=Path, help='table, .npz')
    parser.add_argument('--annotations', type=Path, help='annotation file')
    add_encoder(parser)
    args = parser.parse_args(argv)
    annotations = args.annotations and load_annotations(args.annotations)['annotations']
    clips, lost = clips_of(args.videos, annotations)
    if lost:
        print(f'{len(lost)} annotations without a video in {args.videos}, e.g. {lost[:3]}')
    if not clips:
        raise AnnotationError(f'{args.videos}: found no video of {args.annotations}')
    make_table(args.out, clips, args.encoder, args.encoder_options, args)


if __name__ == '__main__':
    run_tool(main, ImportError, OSError, ValueError, hint='the same command resumes')
