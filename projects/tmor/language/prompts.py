"""Texts of classes: phrases from their names, prompts, descriptions.

T-MOR uses "textual descriptions of actions as proxies" (arXiv 2606.21607, Sec. III-C), as CLIP
does (arXiv 2103.00020, Sec. 3.1.4): several texts per class, whose normalized features are
averaged.
"""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mofm.annotations import AnnotationError, file_error
from mofm.utils.checks import describe, show
from mofm.utils.untrusted import parse_json

from .encoders import encode_texts
from .tables import unit_rows

#: Templates of a prompt; ``{}`` is the phrase.
TEMPLATES = ('a person {}.',)
# Compounds in the class names of Toyota Smarthome.
_COMPOUNDS = dict(
    attable='at table', boilwater='boil water', cleandishes='clean dishes', cleanup='clean up',
    cutbread='cut bread', frombottle='from bottle', fromcan='from can', fromcup='from cup',
    fromglass='from glass', fromkettle='from kettle', getup='get up',
    insertteabag='insert tea bag', laydown='lay down', makecoffee='make coffee',
    maketea='make tea', pourgrains='pour grains', pourwater='pour water', readbook='read book',
    sitdown='sit down', takepills='take pills', uselaptop='use laptop', usestove='use stove',
    usetablet='use tablet', usetelephone='use telephone', watchtv='watch TV')


def class_phrase(name: str) -> str:
    """Convert the name of a class to words.

    ``'Cook.Cleandishes'`` becomes ``'cook: clean dishes'``, ``'waveHands'`` and
    ``'wave_hands'`` become ``'wave hands'``.
    """
    text = name.strip().replace('.', ': ')
    text = re.sub(r'(?<=[a-z])(?=[A-Z][a-z])', ' ', text)  # but not within TV
    words = re.sub(r'[_\s]+', ' ', text).strip().split(' ')
    words = [word if word.isupper() and len(word) > 1 else word.lower() for word in words]
    return ' '.join(_COMPOUNDS.get(w.rstrip(':').lower(), w.rstrip(':')) + ':' * w.endswith(':')
                    for w in words)


def read_texts(path: str | Path) -> dict[str, list[str]]:
    """Read texts by id, e.g. captions of samples or descriptions of classes.

    Args:
        path (str or Path): ``.json`` with ``{id: text or [text, ...]}``, or ``.csv`` with the
            columns ``id`` and ``text``, where an id may have several lines.

    Returns:
        dict[str, list[str]]: Texts in the order of the file, without ids that have none.

    Raises:
        AnnotationError: If the file is missing or of another structure.
    """
    path = Path(path)
    readers = {'.json': _read_json, '.csv': _read_csv}
    if path.suffix not in readers:
        raise file_error(path, 'suffix', repr(path.suffix), "'.json' or '.csv'")
    try:
        table = readers[path.suffix](path)
    except AnnotationError:
        raise
    except Exception as problem:  # damaged or hostile text
        raise file_error(path, 'file', describe(problem),
                         f'a readable {path.suffix} file') from None
    if not isinstance(table, dict):
        raise file_error(path, 'file', type(table).__name__, '{id: text or [text, ...]}')
    out = {}
    for name, texts in table.items():
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(name, str) or not isinstance(texts, list) or not all(
                isinstance(text, str) for text in texts):
            raise file_error(path, f'texts of {show(name)}', show(texts),
                             'a text or a list of texts')
        texts = [' '.join(text.split()) for text in texts]
        if any(texts):
            out[name] = [text for text in texts if text]
    if not out:
        raise file_error(path, 'file', 'no text', 'at least one')
    return out


def _read_json(path):
    return parse_json(path.read_text(encoding='utf-8'))


def _read_csv(path):
    table = {}
    with path.open(newline='', encoding='utf-8-sig') as file:
        rows = csv.DictReader(file)
        if not {'id', 'text'} <= set(rows.fieldnames or ()):
            raise file_error(path, 'columns', rows.fieldnames, "'id' and 'text' in the first line")
        for row in rows:
            table.setdefault(row['id'], []).append(row['text'] or '')
    return table


def encode_groups(encoder, groups: Sequence[Sequence[str]], templates: Sequence[str] = ('{}',),
                  batch_size: int = 256) -> np.ndarray:
    """Compute one feature per group of texts, the mean of their normalized features.

    Args:
        encoder: See :mod:`projects.tmor.language.encoders`.
        groups (Sequence[Sequence[str]]): N groups of at least one text.
        templates (Sequence[str]): Prompts for each text. Defaults to the text itself.
        batch_size (int): Texts per call. Defaults to 256.

    Returns:
        np.ndarray: (N, D) float32 unit vectors.

    Raises:
        ValueError: If a template has no ``{}``.
    """
    for template in templates:
        if template.count('{}') != 1:
            raise ValueError(f"templates: found {template!r}, expected one '{{}}' in each")
    prompts = [[template.replace('{}', text) for text in group for template in templates]
               for group in groups]
    features = encode_texts(encoder, [prompt for group in prompts for prompt in group],
                            batch_size)
    starts = np.cumsum([0, *map(len, prompts)])[:-1]
    return unit_rows(np.add.reduceat(features, starts, axis=0))
