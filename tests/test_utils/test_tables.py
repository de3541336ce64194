"""CSV files without formulas."""

import csv
import io

import numpy as np
import pytest

from mofm.evaluation.metrics.score_table import ScoreTable, read_predictions
from mofm.utils.tables import write_csv


def written(path, *rows):
    write_csv(path, ['name', 'value'], rows)
    return list(csv.reader(io.StringIO(path.read_bytes().decode(), newline='')))[1:]


@pytest.mark.parametrize('name', [
    '=1+1', '+cmd|x', '-2+3', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '＝1+1', '－a', ' =1', '==',
    '=HYPERLINK("http://x","y")', '-', '+', '--1', '-1e', '-0x10'])
def test_write_csv_text_like_a_formula_gets_an_apostrophe(tmp_path, name):
    assert written(tmp_path / 'a' / 'a.csv', [name, 1]) == [["'" + name, '1']]


@pytest.mark.parametrize('cell', [
    -1, -1.5, '-1.5', '+2', '-1e-05', '-inf', 'nan', 'walk', 'a=b', 'ä,"b"\n', "'", '',
    np.float32(-2.5), np.int64(-3)])
def test_write_csv_numbers_and_other_text_stay(tmp_path, cell):
    assert written(tmp_path / 'a.csv', [cell, cell]) == [[str(cell), str(cell)]]


def test_write_csv_head_is_escaped(tmp_path):
    write_csv(tmp_path / 'a.csv', ['=a'], [])
    assert (tmp_path / 'a.csv').read_bytes() == b"'=a\r\n"


def test_write_csv_failure_keeps_the_old_file(tmp_path):
    path = tmp_path / 'a.csv'
    written(path, ['a', 1])
    before = path.read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_csv(path, ['a'], ([1 / i] for i in range(1, -1, -1)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_score_table_names_are_no_formulas(tmp_path):
    table = ScoreTable(tmp_path / 'a.csv')
    table.compute_metrics([['=1+1', 0, 1, '-0.5', '1.5']])
    assert (tmp_path / 'a.csv').read_text(encoding='utf-8').splitlines()[1] == "'=1+1,0,1,-0.5,1.5"
    assert [values.tolist() for values in read_predictions(tmp_path / 'a.csv')] == [[0], [1]]
