"""Ctrl-C, SIGTERM and closed pipes in every tool: one line, the exit code, nothing left."""


import os
import signal
import subprocess
import sys

import pytest

from mofm.utils.locks import hold_output
from tests.test_tools.interrupted import interrupt
from tests.test_tools.tool_runner import ROOT, environment, run

TOOLS = sorted(str(path.relative_to(ROOT)) for pattern in (
    'mofm/__main__.py', 'tools/*.py', 'tools/*/*.py', 'projects/*/tools/*.py')
    for path in ROOT.glob(pattern) if '__main__' in path.read_text())
CONFIG = 'config.py file.pth'
#: Arguments; others than these take a config. The tool pauses when it opens a file of the folder
#: that ``files`` makes, or one that is named after a bar.
ARGUMENTS = {
    'mofm/__main__.py': 'train config.py --work-dir out',
    'tools/convert_checkpoint.py': 'projects.motionbert file.pth out.pth',
    'tools/data/extract_poses.py': '--from mmpose poses --out out.pkl',
    'tools/data/inspect_annotations.py': 'file.pkl',
    'tools/data/join_annotations.py': 'file.pkl --out out.pkl',
    'tools/data/one_shot.py': 'file.pkl out.pkl',
    'tools/data/write_manifest.py': 'out.json file.pkl',
    'tools/data/export_annotations.py': 'file.pkl out --to cvat',
    'tools/data/correct_annotations.py': 'file.pkl out.pkl export.json',
    'tools/data/prepare.py': 'mmpose poses out.pkl',
    'tools/demo.py': 'file.pkl --config config.py --checkpoint file.pth --out out',
    'tools/export_onnx.py': 'config.py file.pth --out out.onnx',
    'tools/publish.py': 'config.py file.pth --out out',
    'tools/quickstart.py': '--smoke --out out | kmeans_synthetic.py',
    'tools/train.py': 'config.py --work-dir out',
    'tools/analysis/ablation_v2_tiny.py': '--seeds 0 --out out | train.log',
    'tools/analysis/browse_dataset.py': 'config.py',
    'tools/analysis/compare.py': 'config.py',
    'tools/analysis/get_flops.py': 'config.py',
    'tools/analysis/learning_curves.py': 'run | scalars.json',
    'tools/analysis/training_cost.py': 'config.py',
    'tools/print_config.py': 'config.py',
    'projects/motionbert/tools/lifting_baselines.py': 'file.pkl',
    'projects/motionbert/tools/prepare_2d.py': 'posetrack18 poses out.pkl',
    'projects/motionbert/tools/prepare_mocap.py': 'bandai file.npz out',
    'projects/tmor/tools/build_triplets.py': 'file.pkl captions.csv out.pkl --text-encoder x:y',
    'projects/tmor/tools/nearest_neighbor.py': 'config.py',
    'projects/tmor/tools/text_features.py': 'captions.csv out.npz --encoder x:y',
    'projects/tmor/tools/video_features.py': 'poses out.npz --annotations file.pkl --encoder x:y',
}


@pytest.fixture
def files(tmp_path):
    """A folder whose files a tool opens; nothing is read, as it pauses before."""
    for name in ('config.py', 'file.pkl', 'file.pth', 'file.npz', 'captions.csv'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'run/1/vis_data').mkdir(parents=True)
    (tmp_path / 'run/1/vis_data/scalars.json').write_text('')
    (tmp_path / 'poses').mkdir()
    for i in range(8):
        (tmp_path / f'poses/{i}.json').write_text('{}')
    return tmp_path


def check(done, code, words):
    assert done.code == code, done.stdout[-1000:] + done.stderr[-2000:]
    lines = done.stderr.strip().splitlines()
    assert lines[-1].startswith(words)
    assert 'Traceback' not in done.stderr + done.stdout
    assert 'Exception' not in done.stderr
    assert not done.left


def temporary(folder):
    return [path for path in folder.rglob('*') if '.tmp' in path.name or path.suffix == '.lock']


@pytest.mark.parametrize('tool', TOOLS)
def test_tool_that_imports_ends_in_one_line_after_ctrl_c(tool, tmp_path):
    done = interrupt([tool, '--help'], tmp_path, 'import', 'argparse')  # what all import
    check(done, 130, 'Interrupted')
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize('tool', TOOLS)
def test_tool_that_works_ends_in_one_line_after_ctrl_c(tool, files):
    words, _, file = ARGUMENTS.get(tool, CONFIG).partition(' | ')
    words = [files / word if (files / word).exists() else word for word in words.split()]
    done = interrupt([tool, *words], files, 'open', file or f'{files.name}/')
    check(done, 130, 'Interrupted')
    assert not temporary(files)


@pytest.mark.slow
@pytest.mark.parametrize(('signum', 'code', 'words'), [
    (signal.SIGINT, 130, 'Interrupted; the same command resumes'),
    (signal.SIGTERM, 143, 'Terminated; the same command resumes'), (signal.SIGKILL, -9, '')])
def test_prepare_ends_with_its_workers_while_they_write(files, signum, code, words):
    done = interrupt(['tools/data/prepare.py', 'mmpose', files / 'poses', files / 'out.pkl',
                      '--workers', '2'], files, 'open', '.arrow', signum, group=False)
    assert done.code == code
    assert not done.left
    if words:
        check(done, code, words)
        assert not temporary(files)


def test_tool_whose_reader_is_gone_is_quiet(tmp_path):
    (tmp_path / 'config.py').write_text('a = 1\n' * 9)
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, ROOT / 'tools/print_config.py', tmp_path / 'config.py'],
                          stdout=write, stderr=subprocess.PIPE, env=environment(), check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b'')


@pytest.mark.slow
def test_second_prepare_on_one_output_is_refused(files):
    """While the first writes."""
    with hold_output(files / 'out.pkl'):
        done = run(sys.executable, ROOT / 'tools/data/prepare.py', 'mmpose', files / 'poses',
                   files / 'out.pkl', check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f'error: {files}/out.pkl: being written by process {os.getpid()}')
    assert not (files / 'out.pkl.parts').exists()
