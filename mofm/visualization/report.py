"""Self-contained HTML report: figures, tables and animated skeletons."""
import base64
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np
from matplotlib.figure import Figure

from mofm.evaluation.measures import Reading
from mofm.utils.files import atomic_write

from .animation import animate_clip, save_animation

_TEMPLATE = Path(__file__).with_name('report.html')
_CSS_PIXELS = 96  # per inch
_MANY, _MOST = 30, 60  # classes of a confusion matrix: no counts in the cells, narrow cells


def format_count(number: float) -> str:
    """Format a count, or the mean of several with one decimal below 100."""
    whole = number >= 99.95 or abs(number - round(number)) < 1e-6
    return f'{number:.0f}' if whole else f'{number:.1f}'


class Bar(NamedTuple):
    """Cell of a table that shows a share and its interval as a bar, all in [0, 1]."""

    value: float
    low: float
    high: float


def _data_uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def _is_number(cell) -> bool:
    return re.fullmatch(r'[\d.e+-]+%?( \[[\d., -]+\])?|–|nan|', str(cell)) is not None


def _link(name: str) -> dict[str, str]:
    suffix = Path(name).suffix
    kind = 'video' if suffix == '.mp4' else 'image' if suffix in ('.gif', '.png') else 'other'
    return dict(name=name, url=quote(name), kind=kind)


class Report:
    """HTML report without network access or scripts; all texts are escaped.

    It needs no other files but those that ``files`` of a section name: names of files beside the
    report, of which videos and pictures are shown and others linked.

    Args:
        title (str): Heading.
        metrics (Sequence[Reading]): Metrics of the run.
        facts (Mapping[str, str]): Description of the run.
        config (str): The full config.
    """

    def __init__(self, title: str, metrics: Sequence[Reading], facts: Mapping[str, str],
                 config: str = ''):
        self._content = dict(title=title, metrics=metrics, facts=facts, config=config)
        self._sections = []

    def add(self, title: str, note: str = '', files: Sequence[str] = ()):
        """Add a section of text, and files."""
        self._sections.append(dict(title=title, note=note, files=[*map(_link, files)]))

    def add_figures(self, title: str, figures: Mapping[str, Figure], note: str = ''):
        """Add a section with figures.

        Args:
            title (str): Heading.
            figures (Mapping[str, Figure]): Caption -> figure.
            note (str): Text above the figures.
        """
        images = []
        for caption, figure in figures.items():
            buffer = BytesIO()
            figure.savefig(buffer)
            width, height = figure.get_size_inches() * _CSS_PIXELS
            images.append(dict(title=caption, image=_data_uri(buffer.getvalue(), 'png'),
                               width=round(width), height=round(height), wide=width > 3 * height))
        self._sections.append(dict(title=title, note=note, figures=images))

    def add_table(self, title: str, head: Sequence[str], rows: Iterable[Sequence], note: str = '',
                  files: Sequence[str] = ()):
        """Add a section with a table.

        Args:
            title (str): Heading.
            head (Sequence[str]): Names of the columns.
            rows (Iterable[Sequence]): Cells, some may be :class:`Bar`; columns of numbers are
                right-aligned.
            note (str): Text above the table.
            files (Sequence[str]): Files below the table.
        """
        rows = list(rows)
        numbers = [all(map(_is_number, column)) for column in zip(*rows, strict=True)]
        self._sections.append(dict(title=title, note=note, files=[*map(_link, files)],
                                   table=dict(head=head, rows=rows, numbers=numbers)))

    def add_confusion(self, title: str, matrix: np.ndarray, names: Sequence[str], note: str = ''):
        """Add a section with a confusion matrix, whose cells tell their classes and counts.

        Args:
            title (str): Heading.
            matrix (np.ndarray): (C, C) counts, true class by predicted class.
            names (Sequence[str]): C names.
            note (str): Text above the matrix.
        """
        share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1e-12)
        opacity = .1 + .9 * np.sqrt(share)  # rare confusions stay visible
        rows = []
        for i, name in enumerate(names):
            cells = [dict(predicted=names[j], count=format_count(matrix[i, j]),
                          share=f'{share[i, j]:.1%}', opacity=f'{opacity[i, j]:.2f}',
                          dark=opacity[i, j] > .7, right=i == j)
                     if matrix[i, j] else None for j in range(len(names))]
            rows.append((name, cells))
        self._sections.append(dict(title=title, note=note, confusion=dict(
            rows=rows, names=names,
            size='most' if len(names) > _MOST else 'many' if len(names) > _MANY else '')))

    def add_clips(self, title: str,
                  clips: Iterable[tuple[dict, str, Sequence[tuple[str, str]]]], note: str = ''):
        """Add a section with animated skeletons.

        Args:
            title (str): Heading.
            clips (Iterable[tuple]): Annotation with joints in COCO-17 order, name, and pairs of
                name and value for the caption.
            note (str): Text above the clips.
        """
        items = []
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / 'clip.gif'
            for annotation, name, facts in clips:
                save_animation(animate_clip(annotation, num=20), file, fps=10)
                items.append(dict(image=_data_uri(file.read_bytes(), 'gif'), name=name,
                                  facts=facts))
        self._sections.append(dict(title=title, note=note, clips=items))

    def save(self, path: str | PathLike):
        """Write the report."""
        from jinja2 import Environment

        template = Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding='utf-8'))
        over = dict.fromkeys(r.reference.over for r in self._content['metrics'] if r.interval)
        page = template.render(sections=self._sections, intervals=' or '.join(over),
                               **self._content)
        with atomic_write(path) as file:
            file.write(page.encode(errors='replace'))
