"""CSV files that spreadsheets open as text and numbers only."""

import csv
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from .files import atomic_write

#: Columns of boxes in tables of poses.
BOX_COLUMNS = ('box_x1', 'box_y1', 'box_x2', 'box_y2')
# Beginnings of a formula, in their usual and full widths, and characters that may hide them.
_FORMULA = tuple('=+-@\t\r\n＝＋－＠')


def safe_cell(cell: object) -> object:
    """Put an apostrophe before text that a spreadsheet would run as a formula."""
    if not isinstance(cell, str) or not cell.lstrip(' ').startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def plain_cell(cell: str) -> str:
    """Remove the apostrophe of :func:`safe_cell`."""
    return cell[1:] if cell[:1] == "'" and safe_cell(cell[1:]) == cell else cell


def write_arrow(path: str | PathLike, table):
    """Write a ``pyarrow.Table`` atomically.

    Args:
        path (str or Path): A ``.csv`` file, see :func:`write_csv`, or a ``.parquet`` file.
        table (pyarrow.Table): The table.

    Raises:
        ValueError: If the suffix is another one.
    """
    path = Path(path)
    if path.suffix == '.csv':
        write_csv(path, table.column_names,
                  zip(*(column.to_pylist() for column in table.columns), strict=True))
    elif path.suffix == '.parquet':
        from pyarrow.parquet import write_table  # heavy

        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            write_table(table, file)
    else:
        raise ValueError(f'{path}: found suffix {path.suffix!r}, expected .csv or .parquet')


def write_csv(path: str | PathLike, head: Sequence[str], rows: Iterable[Sequence]):
    """Write a table atomically, in UTF-8.

    Text that begins with ``=``, ``+``, ``-``, ``@``, a tab or a line break would be a formula in
    a spreadsheet, unless it is a number; it gets an apostrophe in front.

    Args:
        path (str or Path): The file; its folder is created.
        head (Sequence[str]): Names of the columns.
        rows (Iterable[Sequence]): Cells.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, 'w', newline='') as file:
        csv.writer(file).writerows([safe_cell(cell) for cell in row] for row in (head, *rows))
