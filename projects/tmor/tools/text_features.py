"""Compute a feature table of texts with a frozen text encoder.

python projects/tmor/tools/text_features.py projects/tmor/descriptions/penn_action.json \
    data/penn_text.npz
python projects/tmor/tools/text_features.py captions.csv data/mine_txt.npz \
    --encoder viclip --encoder-options weights=ViClip-InternVid-10M-FLT.pth
python projects/tmor/tools/text_features.py tsu data/tsu_text.npz --template 'a person {}.'
python projects/tmor/tools/text_features.py projects/tmor/descriptions/penn_action.json \
    projects/tmor/descriptions/nw_ucla.json data/motion_txt.npz \
    --annotations data/penn_action.pkl data/nw_ucla.pkl  # one row per clip, the texts of its class
"""

from mofm.utils.tool import run_tool

import argparse
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from mmengine.config import DictAction
from tqdm import tqdm

from mofm.annotations import LABEL_NAMES, AnnotationError, load_annotations

_BLOCK = 20000  # ids between two saves


def parse_args(argv=None):
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('texts', nargs='+',
                        help='.json {id: text or texts} or .csv with the columns id and text, '
                        'with different ids; or a data set, to use its class names as prompts: '
                        f'{", ".join(sorted(LABEL_NAMES))}')
    parser.add_argument('out', type=Path, help='table, .npz')
    parser.add_argument('--template', nargs='+', metavar='TEXT',
                        help="prompts with '{}' for the text; several are averaged. Default: the "
                        "text itself; for class names 'a person {}.'")
    parser.add_argument('--each', action='store_true',
                        help='one row per text, ID#0, ID#1, ..., instead of their mean')
    parser.add_argument('--annotations', nargs='+', metavar='FILE',
                        help='one row per clip of these files, for the texts of its class')
    parser.add_argument('--encoder', default='minilm', metavar='NAME',
                        help='minilm, viclip, package.module:attribute or file.py:attribute; '
                        'default: %(default)s')
    parser.add_argument('--encoder-options', nargs='+', action=DictAction, default={},
                        metavar='KEY=VALUE', help='arguments of the encoder')
    return parser.parse_args(argv)


def text_table(out: Path, texts: dict, templates, encoder: str, options: dict):
    """Encode the missing texts, then write the table of texts by id."""
    from projects.tmor.language.encoders import load_encoder
    from projects.tmor.language.prompts import encode_groups
    from projects.tmor.language.tables import TableWriter

    digest = hashlib.sha256(json.dumps([texts, templates]).encode()).hexdigest()[:16]
    writer = TableWriter(out, dict(encoder=encoder, options=options, texts=digest))
    todo = [name for name in texts if name not in writer.done]
    call = load_encoder(encoder, **options) if todo else None
    with writer:
        for i in tqdm(range(0, len(todo), _BLOCK), 'texts', disable=len(todo) <= _BLOCK):
            names = todo[i:i + _BLOCK]
            writer.add(names, encode_groups(call, [texts[name] for name in names], templates))
    writer.finish(list(texts))
    print(f'{out}: {len(texts)} rows of {sum(map(len, texts.values()))} texts, '
          f'{len(texts) - len(todo)} rows reused')


def by_clip(path: str, texts: dict) -> dict:
    """Map the clips of an annotation file to the texts of their classes."""
    data = load_annotations(path)
    classes = data['metainfo'].get('classes', [])
    missing = [name for name in classes if name not in texts]
    if missing or not len(classes):
        raise AnnotationError(f'{path}: metainfo.classes: found {missing or "none"}, expected '
                              f'classes that have texts, e.g. {list(texts)[:3]}')
    return {ann['frame_dir']: texts[classes[ann['label']]] for ann in data['annotations']}


def _merge(paths: list, parts: Iterable) -> dict:
    """Merge the texts of several files."""
    texts = {}
    for path, part in zip(paths, parts, strict=True):
        twice = sorted(texts.keys() & part)
        if twice:
            raise AnnotationError(f'{path}: id: found {twice[:3]} again, expected ids that occur '
                                  'in no other file')
        texts |= part
    return texts


def main(argv=None):
    """Read the texts and encode them."""
    args = parse_args(argv)
    from projects.tmor.language.prompts import TEMPLATES, class_phrase, read_texts

    if args.texts[0] in LABEL_NAMES:
        texts = {name: [class_phrase(name)] for name in LABEL_NAMES[args.texts[0]]}
        templates = args.template or TEMPLATES
    else:
        texts = _merge(args.texts, map(read_texts, args.texts))
        templates = args.template or ('{}', )
    if args.each:
        texts = {f'{name}#{i}': [text] for name, group in texts.items()
                 for i, text in enumerate(group)}
    if args.annotations:
        texts = _merge(args.annotations, (by_clip(path, texts) for path in args.annotations))
    text_table(args.out, texts, templates, args.encoder, args.encoder_options)


if __name__ == '__main__':
    run_tool(main, ImportError, OSError, ValueError)
