"""The quickstart runs over an earlier one, and its report equals its logs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mofm.utils.locks import hold_lock

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ('overview.png', 'pose.png', 'heat.png', 'tokens.png', 'curves.png', 'confusion.png')


def quickstart(folder, *args):
    """Run it as a user does, from another folder."""
    return subprocess.run(
        [sys.executable, ROOT / 'tools/quickstart.py', *args], cwd=folder, text=True,
        capture_output=True, env=dict(os.environ, OMP_NUM_THREADS='1'))


def logged(out, stage):
    """What MMEngine wrote about the held-out clips: the last value of every metric."""
    values = {}
    pattern = '*/2*.json' if stage == 'test' else '*/vis_data/scalars.json'
    file, = (out / 'work_dirs' / stage).glob(pattern)
    for line in file.read_text().splitlines():
        values.update(json.loads(line))
    return values


@pytest.mark.slow
def test_quickstart_trains_and_writes_its_table(tmp_path):
    out = tmp_path / 'quickstart'
    (out / 'work_dirs/dt1/earlier/vis_data').mkdir(parents=True)
    (out / 'confusion.png').write_bytes(b'old')
    (out / '.mofm_quickstart').touch()  # all of it is of an earlier quickstart
    done = quickstart(tmp_path, '--smoke')
    assert done.returncode == 0, done.stderr
    minutes, = re.findall(r'([\d.]+) CPU minutes of at most 8', done.stdout)
    assert float(minutes) > 0
    assert len(list((out / 'work_dirs/dt1').glob('*/vis_data'))) == 1
    for name in ('report.md', *PICTURES):
        assert f'quickstart/{name}' in done.stdout
        assert (out / name).stat().st_size > 1000
    for stage in ('k-means guide', 'dVED', 'masked pre-training', 'fine-tuning', 'from scratch',
                  'test'):
        assert stage in done.stderr  # its bar
    assert 'INFO' not in done.stdout + done.stderr

    report = (out / 'report.md').read_text(encoding='utf-8')
    rows = {cells[0].strip(): [c.strip() for c in cells[1:]] for cells in
            (line.strip('|').split('|') for line in report.splitlines() if line[:1] == '|')}
    for stage, title in (('kmeans', 'k-means'), ('dved', 'dVED')):
        log = logged(out, stage)
        assert rows[title] == [
            f'{log["tokenizer/smooth_l1"]:.5f}', f'{log["tokenizer/iou"]:.3f}',
            str(log['tokenizer/tokens_used']), f'{log["tokenizer/perplexity"]:.1f}']
        assert rows['blank output'][0] == f'{log["tokenizer/blank_smooth_l1"]:.5f}'
    log = logged(out, 'pretrain')
    assert rows['MoFM'] == [f'{log["masked/acc"]:.4f}']
    assert rows['always the most frequent token'] == [f'{log["masked/majority_acc"]:.4f}']
    tuned, = rows['fine-tuned from the pre-training']
    assert tuned == f'{logged(out, "test")["acc/top1"]:.4f}'
    scratch = logged(out, 'scratch')
    assert rows['from scratch, the same epochs'] == [f'{scratch["acc/top1"]:.4f}']
    assert scratch['loss_cls'] != logged(out, 'dt1')['loss_cls']
    assert rows['chance'] == [f'{1 / 15:.4f}']

    # a command of the report prints the figure of the report
    command = re.search('^python (tools/test.py .*)$', report, re.M)[1].split()
    again = subprocess.run([sys.executable, *(ROOT / word if word.startswith(('tools', 'configs'))
                                              else word for word in command)],
                           cwd=tmp_path, text=True, capture_output=True)
    assert f'acc/top1: {tuned}' in again.stdout, again.stderr


def test_quickstart_keeps_other_files(tmp_path):
    (tmp_path / 'thesis.md').write_text('five years')
    done = quickstart(tmp_path, '--out', '.')
    assert done.returncode == 1
    assert 'found other files than those of a quickstart' in done.stderr
    assert os.listdir(tmp_path) == ['thesis.md']


def test_quickstart_help_needs_no_installation(tmp_path):
    done = subprocess.run(['bash', ROOT / 'tools/quickstart.sh', '--help'], cwd=tmp_path,
                          text=True, capture_output=True, env=dict(PATH=os.environ['PATH']))
    assert done.returncode == 0
    assert '--out FOLDER' in done.stdout


def test_second_quickstart_at_the_same_time_is_refused(tmp_path):
    """It would delete what the first one writes."""
    (tmp_path / 'quickstart/work_dirs').mkdir(parents=True)
    with hold_lock(tmp_path / 'quickstart/.mofm_quickstart'):
        done = quickstart(tmp_path, '--smoke')
    assert done.returncode == 1
    assert f'.mofm_quickstart: held by process {os.getpid()} on' in done.stderr
    assert (tmp_path / 'quickstart/work_dirs').exists()
