"""Take poses that people corrected in CVAT or Label Studio back into an annotation file.

python tools/data/correct_annotations.py data/mine.pkl data/mine_corrected.pkl export.json
python tools/data/correct_annotations.py data/mine.pkl data/mine_corrected.pkl cvat/*.zip

The tasks are those of tools/data/export_annotations.py --to cvat or label_studio.
"""

from mofm.utils.tool import run_tool

import argparse
from pathlib import Path

from rich.progress import track

from mofm.annotations import AnnotationError, dump_annotations, load_annotations, validate
from mofm.annotations.corrections import Report, correct, read_corrections
from mofm.annotations.video_poses import Videos
from mofm.structures import LAYOUTS


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('input', help='annotation file of which the tasks were made')
    parser.add_argument('output', help='corrected annotation file: .pkl, .arrow, .npz or .json')
    parser.add_argument('corrected', nargs='+', type=Path,
                        help='exports: "JSON" of Label Studio, "COCO Keypoints 1.0" of CVAT')
    parser.add_argument('--layout', default='coco17', choices=sorted(LAYOUTS),
                        help='joints of the annotations [%(default)s]')
    parser.add_argument('--recording', metavar='NAME', help='of a CVAT task that was made of a '
                        'video [the only one, or that of the name of the export]')
    return parser.parse_args(argv)


def main(argv=None):
    """Read, correct, write and report."""
    args = parse_args(argv)
    data = load_annotations(args.input)
    joints = LAYOUTS[args.layout].num_joints

    def check(annotations):
        for index, ann in enumerate(annotations):
            problem = validate(ann, joints, None, True, args.input, index)
            if problem is not None:
                raise AnnotationError(problem)

    check(data['annotations'])
    videos, report = Videos(data['annotations'], args.layout), Report()
    poses: dict = {}
    for path in track(args.corrected, 'Reading exports'):
        found, report = read_corrections(path, videos, args.recording, report)
        for video, frames in found.items():
            both = sorted(frames.keys() & poses.get(video, {}).keys())
            if both:
                raise AnnotationError(f'{path}: found frame {both[0]} of {video!r} as in another '
                                      'export, expected every frame once')
            poses.setdefault(video, {}).update(frames)
    before = len(data['annotations'])
    data['annotations'] = correct(videos, poses, report)
    for ann in data['annotations'][before:]:  # in the splits of the others of the video
        others = {data['annotations'][row]['frame_dir'] for row in videos.rows[ann['clip']]}
        for names in data['split'].values():
            if others & set(names):
                names.append(ann['frame_dir'])
    check(data['annotations'])
    dump_annotations(data, args.output)
    print(report)
    print(f'{args.output}: {len(data["annotations"])} annotations')


if __name__ == '__main__':
    run_tool(main, AnnotationError)
