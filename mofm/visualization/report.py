"""Self-contained HTML report: figures, tables and animated skeletons."""
import base64
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from os import PathLike
from pathlib import Path

from matplotlib.figure import Figure

from mofm.utils.files import atomic_write

from .animation import animate_clip, save_animation

_TEMPLATE = Path(__file__).with_name('report.html')
_CSS_PIXELS = 96  # per inch


def _data_uri(content: bytes, kind: str) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(content).decode()}'


def _is_number(cell) -> bool:
    return re.fullmatch(r'[\d.e+-]+%?|–|nan', str(cell)) is not None


class Report:
    """HTML report without other files, network access or scripts; all texts are escaped.

    Args:
        title (str): Heading.
        metrics (Mapping[str, str]): Formatted metrics of the run.
        facts (Mapping[str, str]): Description of the run.
        config (str): The full config.
    """

    def __init__(self, title: str, metrics: Mapping[str, str], facts: Mapping[str, str],
                 config: str = ''):
        self._content = dict(title=title, metrics=metrics, facts=facts, config=config)
        self._sections = []

    def add(self, title: str, note: str = ''):
        """Add a section of text only."""
        self._sections.append(dict(title=title, note=note))

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

    def add_table(self, title: str, head: Sequence[str], rows: Iterable[Sequence], note: str = ''):
        """Add a section with a table.

        Args:
            title (str): Heading.
            head (Sequence[str]): Names of the columns.
            rows (Iterable[Sequence]): Cells; columns of numbers are right-aligned.
            note (str): Text above the table.
        """
        rows = list(rows)
        numbers = [all(map(_is_number, column)) for column in zip(*rows, strict=True)]
        self._sections.append(dict(title=title, note=note,
                                   table=dict(head=head, rows=rows, numbers=numbers)))

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
        from jinja2 import Environment  # comes with torch
        template = Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding='utf-8'))
        page = template.render(sections=self._sections, **self._content)
        with atomic_write(path) as file:
            file.write(page.encode(errors='replace'))
