"""The script for a GPU runs on the CPU at tiny size."""

import json
import sys

import pytest

from tests.test_tools.tool_runner import ROOT, run


@pytest.mark.slow
def test_gpu_script_reports_every_row_and_survives_a_failure(tmp_path):
    """UNIK fails, as its batch norm needs more than a batch of -1 clips; all others are told."""
    done = run(sys.executable, ROOT / 'benchmarks/gpu.py', '--device', 'cpu', '--size', 'tiny',
               '--batch', 2, '--other-batch', -1, '--repeats', 1, '--steps', 1, '--workers', 0,
               '--iterations', 2, '--largest', 2, '--out', tmp_path, '--only', 'ceilings',
               'rendering', 'steps', 'curves', 'largest', MOFM_DATA=str(tmp_path))
    path, = tmp_path.glob('*.json')
    assert path.with_suffix('.md').read_text() in done.stdout
    tables = json.loads(path.read_text())['tables']
    rows = {row['work']: row for row in tables['steps']}
    failed = {work for work, row in rows.items() if row.get('error')}
    assert failed == {'UNIK, bf16', 'DSTformer, bf16'}
    assert all(row['TFLOP/s'] > 0 for work, row in rows.items() if work not in failed)
    ratio = rows['pretrain, all, bf16']['pre-training, reference / this']
    assert ratio == pytest.approx(rows['pretrain, all, bf16']['samples/s']
                                  / rows['pre-training, reference']['samples/s'])
    fp32, bf16 = tables['curves']
    assert fp32['steps'] == bf16['steps'] == 2
    assert 0 < bf16['mean relative difference'] < 0.02
    assert [row['batch'] for row in tables['largest']] == [2] * 4
    assert not any(row.get('error') for name in ('ceilings', 'rendering', 'curves', 'largest')
                   for row in tables[name])
