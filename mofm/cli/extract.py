"""Extract poses from videos and write one annotation file.

mofm extract videos --out data/mine.pkl
mofm extract walk.mp4 --out data/walk.pkl --whole-frame
mofm extract videos --out data/mine.pkl --ray
mofm extract --from alphapose alphapose-results.json --out data/mine.pkl
"""

import argparse
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from mofm.annotations import AnnotationError, summarize
from mofm.pose_estimation import (
    DETECTOR,
    MODEL,
    PersonDetector,
    Video,
    build_estimator,
    extract_video,
    extracted,
    find_videos,
    read_boxes,
    whole_frame,
)
from mofm.pose_estimation.options import add_estimator_options, add_pose_fps, estimator_name
from mofm.registry import SOURCES
from mofm.sources import Source3D
from mofm.sources.plugins import add_plugin_option, load_plugins, readers
from mofm.sources.prepare import prepare
from mofm.sources.recognition import resolve
from mofm.utils.locks import LockedError
from mofm.utils.ray_actors import WorkerEndedError, add_ray_option, run_on_ray

ERRORS = ImportError, OSError, TypeError, ValueError, WorkerEndedError
HINT = 'the same command resumes'


def shard(text):
    """Parse I/N as two integers."""
    match = re.fullmatch(r'(\d{1,6})/(\d{1,6})', text)
    if match is None or int(match[1]) >= int(match[2]):
        raise argparse.ArgumentTypeError(f'found {text!r}, expected I/N with I from 0 to N - 1')
    return int(match[1]), int(match[2])


def add_network_options(parser):
    """Add the options of the pose network and of the boxes of persons."""
    network = parser.add_argument_group('network')
    add_estimator_options(network)
    add_pose_fps(network, None)
    network.add_argument('--model', help='name of a 2D model of MMPose or config file; default: '
                         f'{MODEL}')
    network.add_argument('--checkpoint', help='weights of the pose network; a path, for mmpose '
                         'also a URL; default: the published or shipped ones')
    network.add_argument('--device', help='default: cuda, or cpu if there is none')
    network.add_argument('--batch-size', type=int, default=32,
                         help='persons, for mmpose; default: 32')
    network.add_argument('--shard', type=shard, default=(0, 1), metavar='I/N',
                         help='process every N-th video from the I-th on (0 to N - 1)')
    add_ray_option(network)
    boxes = parser.add_argument_group('boxes of persons').add_mutually_exclusive_group()
    boxes.add_argument('--det-model', default=DETECTOR,
                       help='name or config file of a model of MMDetection; default: %(default)s')
    boxes.add_argument('--whole-frame', action='store_true', help='one person fills the image')
    boxes.add_argument('--boxes', type=Path, help='JSON file {FRAME: [[x1, y1, x2, y2, score], '
                       '...]}, or a folder with NAME.json for each video')
    parser.add_argument('--det-checkpoint', help='path or URL; default: the published one')


def parse_args(argv=None):
    """Parse the options of the tool, and those of the reader of the poses."""
    words = sys.argv[1:] if argv is None else [*map(str, argv)]
    argv = load_plugins(words)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_plugin_option(first)
    sources = [name for name, one in readers().items() if not issubclass(one, Source3D)]
    first.add_argument('--from', dest='reader', choices=('auto', *sorted(sources)),
                       metavar='SOURCE', help='read poses of a 2D source of prepare.py instead of '
                       f'videos: auto, {", ".join(sorted(sources))}')
    given = first.parse_known_args(argv)[0].reader
    if given == 'auto':
        paths = [arg for arg in argv if Path(arg).exists()]
        if not paths:
            raise AnnotationError('--from auto: found no existing path, expected the poses')
        match = resolve(paths[0])
        print(f'{paths[0]}: recognized {match}')
        given = match.source
    reader = SOURCES.get(given or 'mmpose')
    second = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    reader.add_options(second.add_argument_group('from poses to annotations'))

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False,
                                     parents=[first, second])
    parser.add_argument('input', type=Path, help='video, image, or folder with videos or with '
                        'folders of images; with --from the poses of another program')
    parser.add_argument('--out', type=Path, required=True, help='annotation file: .pkl, .arrow, '
                        '.npz or .json; the poses go to OUT_poses next to it')
    if given is None:
        add_network_options(parser)
    args = parser.parse_args(argv, argparse.Namespace(words=words))
    return args, reader, vars(second.parse_known_args(argv)[0])


def boxes_file(boxes, name, several):
    """Find the file with the boxes of a video."""
    if not boxes.is_dir():
        if several:
            raise AnnotationError(f'{boxes}: found one file for several videos, expected a folder '
                                  'with NAME.json for each')
        return boxes
    for file in (boxes / f'{name}.json', (boxes / name).with_suffix('.json')):
        if file.is_file():
            return file
    raise AnnotationError(f'{boxes}: found no {name}.json, expected the boxes of this video')


def settings_of(args, name, video, several):
    """Return the settings that the poses of a video depend on, and its given boxes."""
    given, model, boxes = None, args.model or MODEL, f'mmdet {args.det_model}'
    if args.estimator != 'mmpose':
        model, boxes = args.estimator, args.estimator
    if args.whole_frame:
        boxes = 'whole frame'
    elif args.boxes:
        file = boxes_file(args.boxes, name, several)
        given = read_boxes(file)
        boxes = f'{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()[:8]}'
    model = ' '.join([model, *(f'{key}={value}' for key, value in args.estimator_options.items())])
    return dict(video=name, bytes=video.size, model=model, checkpoint=args.checkpoint,
                boxes=boxes, pose_fps=args.pose_fps), given


def make_estimator(args):
    """Build the pose network and, unless boxes are given, the person detector."""
    options = dict(args.estimator_options)
    boxes = whole_frame if args.whole_frame or args.boxes else None
    if args.estimator == 'mmpose':
        options |= dict(model=args.model or MODEL, batch_size=args.batch_size)
        boxes = boxes or PersonDetector(args.det_model, args.det_checkpoint, args.device)
    elif args.model:
        options['model'] = args.model
    return build_estimator(args.estimator, args.checkpoint, args.device, boxes, **options)


@contextmanager
def task(progress, name, video):
    """Show a bar while the block runs; yields a function of the number of frames done."""
    bar = progress.add_task(name, total=None)
    try:
        yield lambda done: progress.update(bar, completed=done, total=max(
            video.expected_frames, done))
    finally:
        progress.remove_task(bar)


@dataclass
class Outcome:
    """What came of a video: whether an earlier run had extracted it, notes, and its problem."""

    resumed: bool = False
    notes: tuple[str, ...] = ()
    problem: Exception | None = None


class Extraction:
    """Extraction of videos, one after another, by a network that is built for the first of them.

    Args:
        args (argparse.Namespace): Options of the command.
        folder (Path): Folder of the pose files.
        strict (bool): Raise at the first invalid video instead of reporting it.
    """

    def __init__(self, args: argparse.Namespace, folder: Path, strict: bool):
        self.args, self.folder, self.strict = args, folder, strict
        self.videos = find_videos(args.input)
        self.estimator = None

    def __call__(self, name: str, show: Callable = lambda name, video: nullcontext(int)
                 ) -> Outcome:
        """Write the pose file of a video, if it is missing.

        Args:
            name (str): Key of ``videos``.
            show (Callable): Context for name and video that yields a function of the number of
                frames done.
        """
        output, outcome = self.folder / f'{name}.json', Outcome()
        try:
            video = Video(self.videos[name])
            settings, given = settings_of(self.args, name, video, len(self.videos) > 1)
            meta = extracted(output, settings)
            outcome.resumed = bool(meta)
            if not meta:
                self.estimator = self.estimator or make_estimator(self.args)
                with show(name, video) as update:
                    meta = extract_video(self.estimator, video, output, settings, given,
                                         self.args.pose_fps, update)
                outcome.notes += tuple(f'{video.path}: {text}' for text in video.remarks())
            if not meta['frames_with_persons']:
                outcome.notes += (f'{video.path}: no person in any of its {meta["num_frames"]} '
                                  'frames', )
        except (AnnotationError, LockedError) as error:
            if self.strict:
                raise
            outcome.problem = error
        return outcome

    def on_ray(self, names: list[str]) -> Iterator[Outcome]:
        """Extract videos on a Ray cluster; one that ends its processes is a problem, too."""
        plugins = partial(load_plugins, self.args.words)
        for name, outcome in run_on_ray(self, names, self.args.ray, plugins,
                                        gpu=self.args.device != 'cpu'):
            if isinstance(outcome, WorkerEndedError):
                outcome = Outcome(problem=AnnotationError(f'{self.videos[name]}: {outcome}'))
                if self.strict:
                    raise outcome.problem
            yield outcome


def extract_all(args, folder, strict):
    """Write the missing pose files of the shard.

    Returns:
        int: Videos of all shards without poses, including unreadable ones.
    """
    extraction = Extraction(args, folder, strict)
    index, shards = args.shard
    mine = list(extraction.videos)[index::shards]
    problems, notes, resumed = [], [], 0
    columns = ('{task.description}', BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        all_videos = progress.add_task('videos', total=len(mine))
        outcomes = (extraction(name, partial(task, progress)) for name in mine) \
            if args.ray is None else extraction.on_ray(mine)
        for outcome in outcomes:
            resumed += outcome.resumed
            notes += outcome.notes
            problems += [outcome.problem] if outcome.problem else []
            progress.advance(all_videos)
    missing = sum(not (folder / f'{name}.json').exists() for name in extraction.videos)
    print(f'{folder}: {len(mine) - len(problems)} of {len(mine)} videos, {resumed} of them from '
          f'an earlier run, {len(problems)} skipped')
    if problems + notes:
        print(summarize(problems + notes, limit=50))
    return missing


def assemble(source, out, workers):
    """Write the annotation file."""
    # no refresh thread, as processes fork
    with Progress(auto_refresh=False) as progress:
        task = progress.add_task('annotations', total=len(source.files))
        done = prepare(source, out, workers,
                       lambda files: progress.update(task, advance=files, refresh=True))
    print(f'{out}: {done.summary()}')
    if done.details():
        print(done.details())


def main(argv=None):
    """Run the network where poses are missing, then write the annotations."""
    args, reader, options = parse_args(argv)
    if args.reader:
        assemble(reader.from_options(args.input, **options), args.out, None)
        return
    args.estimator = estimator_name(args, bool(args.model or args.checkpoint),
                                    not (args.whole_frame or args.boxes))
    folder = args.out.with_name(f'{args.out.stem}_poses')
    missing = extract_all(args, folder, options['strict'])
    if missing and args.shard[1] > 1:
        print(f'{missing} videos without poses: run the other shards; then, or if these cannot be '
              f'read, run the same command without --shard to write {args.out}')
        return
    if not any(folder.rglob('*.json')):
        raise AnnotationError(f'{args.input}: none of the videos could be read')
    # no processes, as threads and the GPU of this one do not survive a fork
    assemble(reader.from_options(folder, **options), args.out, 0)
