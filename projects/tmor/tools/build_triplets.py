"""Build triplets (skeleton, video, text) from videos or poses and captions.

python projects/tmor/tools/build_triplets.py videos captions.csv data/mine.pkl \
    --video-encoder viclip --video-encoder-options weights=ViClip-InternVid-10M-FLT.pth \
    --text-encoder viclip --text-encoder-options weights=ViClip-InternVid-10M-FLT.pth
python projects/tmor/tools/build_triplets.py poses captions.json data/mine.pkl --from alphapose
python projects/tmor/tools/build_triplets.py data/poses.pkl captions.csv data/mine.pkl \
    --videos videos --video-encoder mine.py:load

Writes OUT, an annotation file, with ``text`` in a .pkl and without it in an .arrow, and the
feature tables OUT_txt.npz and, with a video encoder, OUT_vis.npz, keyed by ``frame_dir``. Captions
are a .csv with the columns id (name of the clip or video) and text, or a .json {id: text}; the
first caption of an id is used. Clips without a caption, without a person, or with nearly the
caption of another video are skipped and counted.

Poses of videos are estimated by tools/data/extract_poses.py, which receives the options unknown
here (--whole-frame, --boxes, --checkpoint, --tracks, ...). After an interruption the same command
resumes; --shard I/N distributes poses and videos over processes, and the same command without it
completes the files.
"""

from mofm.utils.tool import run_tool

import argparse
import runpy
from collections import Counter
from pathlib import Path

from mmengine.config import DictAction

from mofm.annotations import AnnotationError, dump_annotations, load_annotations
from mofm.cli import extract

_VIDEO_FEATURES = Path(__file__).with_name('video_features.py')


def parse_args(argv=None):
    """Parse the command line; returns also the options of the pose estimation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument('input', type=Path,
                        help='folder of videos; poses, with --from; or annotation file')
    parser.add_argument('captions', type=Path, help='.csv or .json')
    parser.add_argument('out', type=Path, help='annotation file, .pkl or .arrow')
    parser.add_argument('--from', dest='reader', choices=('alphapose', 'mmpose', 'openpose'),
                        help='the input is poses of this program')
    parser.add_argument('--videos', type=Path,
                        help='folder of the videos; default: the input, if these are videos')
    text = parser.add_argument_group('text encoder')
    text.add_argument('--text-encoder', default='minilm', metavar='NAME',
                      help='see text_features.py; default: %(default)s')
    text.add_argument('--text-encoder-options', nargs='+', action=DictAction, default={},
                      metavar='KEY=VALUE', help='arguments of the encoder')
    text.add_argument('--max-similarity', type=float, default=0.95, metavar='COSINE',
                      help='skip captions more similar than this; default: %(default)s')
    text.add_argument('--keep-duplicates', action='store_true',
                      help='keep equal captions, e.g. names of classes')
    # by file, as importing the package would import PyTorch
    runpy.run_path(str(_VIDEO_FEATURES))['add_encoder'](parser, required=False)
    return parser.parse_known_args(argv)


def is_annotated(args) -> bool:
    """Tell whether the input is an annotation file."""
    return args.input.suffix in ('.pkl', '.arrow', '.npz')


def find_poses(args, options: list):
    """Read or estimate the poses of the input; None if shards are missing."""
    if is_annotated(args):
        return load_annotations(args.input)
    poses = args.out.with_name(f'{args.out.stem}_raw.pkl')
    before = poses.exists() and poses.stat().st_mtime_ns
    index, shards = args.shard
    which = ['--from', args.reader] if args.reader else ['--shard', f'{index}/{shards}']
    extract.main([str(args.input), '--out', str(poses), *which, *options])
    written = poses.exists() and poses.stat().st_mtime_ns != before
    return load_annotations(poses) if written else None


def main(argv=None):
    """Process poses, captions and videos, reusing existing results."""
    args, options = parse_args(argv)
    from projects.tmor.language.prompts import read_texts
    from projects.tmor.language.tables import FeatureTable, unit_rows
    from projects.tmor.language.triplets import join_captions, unique_captions
    from projects.tmor.tools.text_features import text_table

    if args.out.suffix not in ('.pkl', '.arrow'):
        raise AnnotationError(f'{args.out}: found suffix {args.out.suffix!r}, expected .pkl, '
                              'which keeps the text, or .arrow, which is read in parts')
    if is_annotated(args) and options:
        raise ValueError(f'found options {options}, expected none for the poses of {args.input}')
    captions = {name: texts[0] for name, texts in read_texts(args.captions).items()}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    data = find_poses(args, options)
    if data is None:
        return
    counts, total = Counter(), len(data['annotations'])
    annotations = join_captions(data['annotations'], captions, counts)
    if not annotations:
        raise AnnotationError(f'{args.captions}: found no caption of the {total} clips, e.g. of '
                              f'{data["annotations"][0].get("frame_dir")!r} ({dict(counts)}); it '
                              f'has e.g. {list(captions)[:3]}')
    table = args.out.with_name(f'{args.out.stem}_txt.npz')
    text_table(table, {ann['frame_dir']: [ann['text']] for ann in annotations}, ('{}', ),
               args.text_encoder, args.text_encoder_options)
    if not args.keep_duplicates:
        rows = FeatureTable.load(table).lookup([ann['frame_dir'] for ann in annotations])
        keep = unique_captions(annotations, unit_rows(rows), args.max_similarity, counts)
        annotations = [ann for ann, kept in zip(annotations, keep, strict=True) if kept]
    if args.video_encoder:
        videos = args.videos
        if videos is None and not args.reader and not is_annotated(args):
            videos = args.input
        if videos is None:
            raise ValueError('--videos: found none, expected the folder of the videos for '
                             '--video-encoder')
        annotations = add_videos(args, annotations, videos, counts)
        if annotations is None:
            return
    kept = {ann['frame_dir'] for ann in annotations}
    split = {name: [i for i in ids if i in kept] for name, ids in data['split'].items()}
    dump_annotations(dict(data, split=split, annotations=annotations), args.out)
    reasons = ''.join(f'\n  {count:7} {reason}' for reason, count in (+counts).most_common())
    print(f'{args.out}: {len(annotations)} of {total} clips' +
          (f'; skipped:{reasons}' if reasons else ''))


def add_videos(args, annotations: list, videos: Path, counts: Counter):
    """Write the table of the videos; return its annotations, None if shards are missing."""
    from projects.tmor.tools.video_features import clips_of, make_table

    clips, lost = clips_of(videos, annotations)
    counts['without a video'] += len(lost)
    if not clips:
        raise AnnotationError(f'{videos}: found no video of the {len(annotations)} clips, e.g. '
                              f'of {lost[0]!r}')
    missing = make_table(args.out.with_name(f'{args.out.stem}_vis.npz'), clips,
                         args.video_encoder, args.video_encoder_options, args)
    if missing and args.shard[1] > 1:
        return None
    counts['with a video that cannot be read'] += len(missing)
    skipped = {*lost, *missing}
    return [ann for ann in annotations if ann['frame_dir'] not in skipped]


if __name__ == '__main__':
    run_tool(main, ImportError, OSError, ValueError, hint='the same command resumes')
