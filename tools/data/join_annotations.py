"""Join annotation files with class names into one, whose classes are those of all files.

python tools/data/join_annotations.py data/penn_action.pkl data/nw_ucla.pkl data/utkinect.pkl \
    --same walk=walk_around stand_up=standUp pick_up=pick_up_with_one_hand,pick_up_with_two_hands \
    --out data/everyday.pkl

Classes of one name are one class; the order is that of the files. Clips are named FILE/NAME, and a
split of the result has the clips of all files in their split of that name; FILE_SPLIT are those of
one file, e.g. to test on each.
"""

from mofm.utils.tool import run_tool

import argparse
from collections import Counter
from pathlib import Path

from mofm.annotations import AnnotationError, dump_annotations, file_error, load_annotations


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('files', nargs='+', type=Path, help='annotation files of one joint layout')
    parser.add_argument('--same', nargs='+', default=(), metavar='NAME=CLASS,CLASS',
                        help='classes that become one, called NAME')
    parser.add_argument('--out', type=Path, required=True, help='.pkl, .arrow, .npz or .json')
    return parser.parse_args(argv)


def new_names(same) -> dict[str, str]:
    """Return the new name of each class that is renamed."""
    names: dict[str, str] = {}
    for word in same:
        name, equals, classes = word.partition('=')
        if not (name and equals and classes):
            raise AnnotationError(f'--same: found {word!r}, expected NAME=CLASS,CLASS')
        for old in classes.split(','):
            if names.setdefault(old, name) != name:
                raise AnnotationError(f'--same: found {old!r} in {names[old]!r} and in {name!r}')
    return names


def join(files, same=()) -> dict:
    """Join annotation files.

    Args:
        files (Sequence[Path]): Files with class names, of one joint layout.
        same (Sequence[str]): 'NAME=CLASS,CLASS', classes that become one.

    Returns:
        dict: Annotations in the schema of :func:`mofm.annotations.load_annotations`.

    Raises:
        AnnotationError: If a file has no class names, another layout or the name of another file,
            if a label has no name, or if a class of ``same`` is in no file.
    """
    renamed = new_names(same)
    classes: dict[str, int] = {}
    known, layouts = set(), {}
    data: dict = dict(split={}, annotations=[], metainfo={})
    stems = Counter(path.stem for path in files)
    for path in files:
        if stems[path.stem] > 1:
            raise file_error(path, 'name', f'{stems[path.stem]} files of this name',
                             'a name of its own, as clips are named FILE/NAME')
        content = load_annotations(path)
        info = content.get('metainfo', {})
        names = list(info.get('classes', ()))
        if not names:
            raise file_error(path, 'metainfo.classes', 'none', 'the names of the labels in order')
        layouts[info.get('layout', 'coco17')] = path
        if len(layouts) > 1:
            raise file_error(path, 'metainfo.layout', info.get('layout', 'coco17'),
                             next(iter(layouts)))
        known.update(names)
        labels = [classes.setdefault(renamed.get(name, name), len(classes)) for name in names]
        for index, ann in enumerate(content['annotations']):
            if not 0 <= ann.get('label', -1) < len(names):
                raise file_error(path, 'label', ann.get('label'), f'0 to {len(names) - 1}', index)
            data['annotations'].append(dict(
                ann, frame_dir=f'{path.stem}/{ann["frame_dir"]}', label=labels[ann['label']]))
        for name, ids in content['split'].items():
            ids = [f'{path.stem}/{i}' for i in ids]
            data['split'].setdefault(name, []).extend(ids)
            data['split'][f'{path.stem}_{name}'] = ids
    if unknown := set(renamed) - known:
        raise AnnotationError(f'--same: found {", ".join(sorted(unknown))}, expected some of '
                              f'{", ".join(sorted(known))}')
    data['metainfo'] = dict(classes=list(classes), layout=next(iter(layouts)))
    return data


def main(argv=None):
    """Join the files and print the clips of each class."""
    args = parse_args(argv)
    data = join(args.files, args.same)
    dump_annotations(data, args.out)
    counts = Counter(ann['label'] for ann in data['annotations'])
    for label, name in enumerate(data['metainfo']['classes']):
        print(f'{name:24}{counts[label]:8}')
    print(f'{args.out}: {len(data["annotations"])} clips, splits '
          + ', '.join(f'{name} ({len(ids)})' for name, ids in data['split'].items()))


if __name__ == '__main__':
    run_tool(main, AnnotationError)
