"""Comparison of ratios of two results files."""

import json
import sys

import pytest

from tests.test_tools.tool_runner import ROOT, run


def write(path, step, share=0.8, **fields):
    rows = [dict(variant='occupied', stage='step', batch=8, **{
        'ms/sample': 10 * step, 'reference / this': step, 'of matmul': share})]
    path.write_text(json.dumps(dict(size='base', device='cpu', tables=dict(stages=rows)) | fields))
    return path


@pytest.mark.parametrize(('step', 'share', 'fell'), [
    (3.5, 0.7, []), (3.3, 0.8, ['reference / this']), (5., 0.6, ['of matmul'])])
def test_check_prints_ratios_that_fell_by_more_than_15_percent(tmp_path, step, share, fell):
    """4 to 3.5 is 12.5 %, to 3.3 it is 17.5 %; times are not compared."""
    old = write(tmp_path / 'old.json', 4.)
    new = write(tmp_path / 'new.json', step, share)
    done = run(sys.executable, ROOT / 'benchmarks/check.py', new, '--stored', old,
               check=False)
    assert done.returncode == bool(fell)
    assert '2 ratios compared' in done.stdout
    assert [line.split('|')[1].split(', ')[-1].strip() for line in done.stdout.splitlines()
            if line.startswith('| stages')] == fell


def test_check_of_a_file_without_tables_names_file_and_field(tmp_path):
    path = tmp_path / 'new.json'
    path.write_text('{"size": "base"}')
    done = run(sys.executable, ROOT / 'benchmarks/check.py', path, check=False)
    assert done.returncode == 1
    assert f'{path}: found no device, tables, expected a results file' in done.stderr
