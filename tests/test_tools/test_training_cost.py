"""The tool that prints costs of training."""

import json

import pytest

from tests.test_tools.tool_runner import as_module, python


def test_training_cost_reads_achieved_speed(tmp_path):
    path = tmp_path / 'run.json'
    path.write_text(json.dumps(dict(tables=dict(stages=[
        {'stage': 'encode', 'GFLOP/s': 9e5}, {'stage': 'step', 'GFLOP/s': 2e5},
        {'stage': 'step', 'GFLOP/s': 4e5}]))))
    with as_module('tools/analysis/training_cost.py') as tool:
        pass
    assert tool.achieved('250') == 250
    assert tool.achieved(str(path)) == 400
    with pytest.raises(SystemExit, match='--tflops: found .*expected a number or a JSON'):
        tool.achieved(str(tmp_path / 'none.json'))


@pytest.mark.slow
def test_training_cost_prints_its_tables(config):
    """Hours are FLOPs over speed, money is hours times price; assumptions are printed."""
    done = python('analysis/training_cost.py', config, '--clips', 1e6, '--devices', 2,
                  '--tflops', 1e-3, '--price', 10, COLUMNS='120')
    cells = (line.strip('│').split('│') for line in done.stdout.splitlines() if line[:1] == '│')
    rows = {row[0].strip(): row[-1].strip().replace(',', '') for row in cells}
    hours = float(rows['FLOPs']) / 1e9 / 3600
    assert float(rows['FLOPs']) == pytest.approx(2e6 * 1e9 * float(rows['training step']), rel=.01)
    assert float(rows['device hours']) == pytest.approx(hours, rel=0.01)
    assert float(rows['price']) == pytest.approx(10 * hours, rel=0.01)
    assert 'assumed: 0.001 TFLOP/s' in done.stdout
    assert '10 per device hour' in done.stdout
    assert 'limit: arithmetic' in done.stdout
