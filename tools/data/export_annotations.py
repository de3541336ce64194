"""Write annotations in the formats of other programs, or as tasks for people who correct poses.

python tools/data/export_annotations.py data/mine.pkl out/mine.csv --to csv
python tools/data/export_annotations.py data/mine.pkl out --to label_studio --images videos
python tools/data/export_annotations.py data/mine_3d.pkl out --to trc --layout kinect25 --fps 30

docs/exchange.md has a table of what each format keeps.
"""

from mofm.utils.tool import run_tool

import argparse
import json
from pathlib import Path

from rich.progress import track

from mofm.annotations import (
    AnnotationError,
    find_twice,
    load_annotations,
    open_arrow,
    summarize,
    validate,
)
from mofm.annotations.schema import MAX_FPS, file_error
from mofm.annotations.video_poses import Videos, image_name
from mofm.structures import LAYOUTS
from mofm.utils.files import atomic_write
from mofm.utils.names import file_stem
from mofm.writers import (
    LOCAL_FILES,
    write_alphapose,
    write_coco,
    write_cvat,
    write_label_studio,
    write_motion,
    write_table,
)

_SUFFIXES = dict(coco='.json', csv='.csv', parquet='.parquet')  # of a single file
_TASKS = ('cvat', 'label_studio')
# Fields of an annotation besides names and poses.
_LABELS = ('label', 'total_frames', 'track_id', 'fps', 'frame_inds', 'frame_label', 'segments')


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('input', type=Path, help='annotation file: .pkl, .arrow, .npz or .json')
    parser.add_argument('output', type=Path, help='file for coco, csv and parquet, else a folder')
    parser.add_argument('--to', required=True, choices=[
        'coco', 'alphapose', 'csv', 'parquet', 'bvh', 'trc', *_TASKS], help='format')
    parser.add_argument('--split', help='annotations of this split only')
    parser.add_argument('--layout', default='coco17', choices=sorted(LAYOUTS),
                        help='joints of the annotations [%(default)s]')
    parser.add_argument('--fps', type=float, help='frames per second for bvh and trc '
                        '[those of the annotations]')
    parser.add_argument('--images', type=Path, metavar='VIDEOS', help='folder of the videos, or '
                        'the video, for cvat and label_studio; frames are written to '
                        'OUTPUT/images')
    parser.add_argument('--url', default=LOCAL_FILES, help='for label_studio: in front of the '
                        'name of an image, VIDEO/frame_NUMBER.jpg [%(default)s]')
    args = parser.parse_args(argv)
    if args.images is not None and args.to not in _TASKS:
        parser.error(f'--images is for {" and ".join(_TASKS)}')
    if args.fps is not None and not 0 < args.fps < MAX_FPS:
        parser.error(f'--fps: found {args.fps}, expected above 0 and below {MAX_FPS}')
    if args.output.exists() and args.output.samefile(args.input):
        parser.error(f'output: found {args.output}, the input, expected another file')
    suffix = _SUFFIXES.get(args.to, '')
    if suffix and args.output.suffix != suffix:
        parser.error(f'output: found {args.output.name!r}, expected a {suffix} file for {args.to}')
    return args


class ValidAnnotations:
    """Valid annotations of a file; those of an ``.arrow`` file stay on the disk.

    Args:
        path (Path): Annotation file.
        joints (int): Joints of an annotation without a person.

    Attributes:
        problems (list[Problem]): Of the others.
        splits (dict[str, list[str]]): Names of the annotations of each split.
        classes (list[str]): Names of the labels.
    """

    def __init__(self, path: Path, joints: int):
        if path.suffix == '.arrow':
            self._data = open_arrow(path)
            ids, metainfo = self._data.ids(), self._data.metainfo
            self.splits = {name: [ids[row] for row in rows]
                           for name, rows in self._data.splits().items()}
        else:
            loaded = load_annotations(path)
            self._data, self.splits = loaded['annotations'], loaded['split']
            metainfo = loaded['metainfo']
        self.classes = list(metainfo.get('classes', []))
        self.problems, self._rows, names = [], [], []
        for row in range(len(self._data)):
            ann = self._data[row]
            shape = getattr(ann.get('keypoint'), 'shape', ()) if isinstance(ann, dict) else ()
            count, dims = shape[2:] if len(shape) == 4 else (joints, 2)
            problem = validate(ann, count, len(self.classes) or None, True, str(path), row,
                               3 if dims == 3 else 2)
            if problem is None:
                self._rows.append(row)
                if not {'clip', 'track_id'} & ann.keys():
                    names.append(ann['frame_dir'])
            else:
                self.problems.append(problem)
        if not self._rows:
            raise AnnotationError(self.problems[0])
        twice = find_twice(names)
        if twice:
            raise AnnotationError(f'{path}: frame_dir: found names of several clips: {twice}, '
                                  'expected unique names; the persons of one video share a clip '
                                  'or have track_id')

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict:
        return self._data[self._rows[index]]


class ShownVideos(Videos):
    """Videos that show a bar of progress whenever they are read."""

    def __iter__(self):
        return iter(track(super().__iter__(), 'Reading videos', total=len(self)))


def write(args, videos: Videos) -> list[Path]:
    """Write the videos in the format of the command line."""
    if args.to in ('bvh', 'trc'):
        written, filled = write_motion(args.output, videos, f'.{args.to}', args.fps)
        if filled:
            print(f'{filled} missing joints were interpolated')
        return written
    if args.to == 'alphapose':
        return write_alphapose(args.output, videos)
    if args.to == 'cvat':
        return write_cvat(args.output, videos)
    if args.to == 'label_studio':
        return write_label_studio(args.output, videos, args.url)
    (write_coco if args.to == 'coco' else write_table)(args.output, videos)
    return [args.output]


def write_labels(args, annotations: ValidAnnotations, videos: Videos) -> list[Path]:
    """Write what other formats lose: all fields but poses as JSON, and lists for prepare.py."""
    stem = args.output.with_suffix('') if args.to in _SUFFIXES else args.output
    members = {name: set(ids) for name, ids in annotations.splits.items()}
    lines = {name: {} for name in members}
    by_file = args.to in ('alphapose', 'bvh', 'trc')  # recordings have the name of their file
    items = []
    for row in sorted(sum(videos.rows.values(), [])):
        ann = annotations[row]
        video = ann.get('clip', ann['frame_dir'])
        splits = [name for name, ids in members.items() if ann['frame_dir'] in ids]
        for name in splits:
            lines[name][videos.stems[video] if by_file else video] = ann['label']
        items.append(dict(
            frame_dir=ann['frame_dir'], clip=video, split=splits, img_shape=ann['img_shape'],
            **{field: ann[field] for field in _LABELS if field in ann}))
    written = [Path(f'{stem}_labels.json')]
    written[0].parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(written[0], 'w') as f:
        json.dump(dict(classes=annotations.classes, annotations=items), f,
                  default=lambda value: value.tolist())
    for name, labels in lines.items():
        written.append(Path(f'{stem}_{file_stem(name, {})}.txt'))
        with atomic_write(written[-1], 'w') as f:
            f.writelines(f'{video} {label}\n' for video, label in labels.items())
    return written


def write_images(folder: Path, path: Path, videos: Videos) -> int:
    """Write the frames of the videos as images, and return their number."""
    import cv2

    from mofm.pose_estimation.video import Video, find_videos

    files = find_videos(path)
    files.update({Path(name).with_suffix('').as_posix(): file for name, file in files.items()})
    count = 0
    for poses in videos:
        file = files.get(poses.name, files.get(Path(poses.name).with_suffix('').as_posix()))
        if file is None:
            print(f'no video of {poses.name!r} in {path}: its images are not written')
            continue
        video = Video(file)
        video.open()
        wanted = set(poses.frames.tolist())
        if (video.height, video.width) != poses.img_shape:
            print(f'{file}: images have {video.width} x {video.height} pixels, the poses of '
                  f'{poses.name!r} are for {poses.img_shape[1]} x {poses.img_shape[0]}')
        for frame, image in enumerate(video.frames()):
            if frame not in wanted:
                continue
            target = folder / image_name(poses.stem, frame)
            target.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(target) as f:
                f.write(cv2.imencode('.jpg', image)[1].tobytes())
            count += 1
            if frame >= poses.frames[-1]:
                break
    return count


def main(argv=None):
    """Export and report; the exit status is 1 if annotations are invalid."""
    args = parse_args(argv)
    annotations = ValidAnnotations(args.input, LAYOUTS[args.layout].num_joints)
    if args.split is not None and args.split not in annotations.splits:
        raise file_error(args.input, 'split', repr(args.split),
                         f'one of {sorted(annotations.splits)}')
    only = None if args.split is None else set(annotations.splits[args.split])
    videos = ShownVideos(annotations, args.layout, only)
    if not videos.rows:
        raise file_error(args.input, 'split', f'no valid annotation in {args.split!r}',
                         'at least one')
    written = write(args, videos) + write_labels(args, annotations, videos)
    if args.images is not None:
        print(f'{write_images(args.output / "images", args.images, videos)} images')
    count = sum(map(len, videos.rows.values()))
    print(f'{args.output}: {count} annotations of {len(videos)} videos in {len(written)} files')
    if annotations.problems:
        print(f'{len(annotations.problems)} annotations are invalid and left out')
        print(summarize(annotations.problems, limit=50))
    return int(bool(annotations.problems))


if __name__ == '__main__':
    run_tool(main, AnnotationError, hint='nothing is half written')
