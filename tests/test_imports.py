"""Order of the rooms, and heavy packages imported only where they are used."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mofm.datasets import SyntheticMotion

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = sorted(str(path.relative_to(ROOT)) for path in (
    *(ROOT / 'tools').rglob('*.py'), *ROOT.glob('projects/*/tools/*.py'))
    if '__main__' in path.read_text())
HEAVY = ('huggingface_hub', 'matplotlib', 'mmaction', 'mmcv', 'onnx', 'onnxruntime', 'pyarrow',
         'scipy', 'sklearn')
# Runs all commands in one process in which PyTorch cannot be imported.
HELP = '''
import contextlib, io, json, runpy, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name == 'torch':
            raise ImportError('torch is imported')

sys.meta_path.insert(0, NoTorch())
found, path, before = {}, list(sys.path), set(sys.modules)
for command in json.loads(sys.argv[1]):
    folder, printed = command.rpartition('/')[0], io.StringIO()
    sys.argv, sys.path[:] = [command, '--help'], [folder, *path]
    try:
        with contextlib.redirect_stdout(printed):
            runpy.run_path(command, run_name='__main__')
        found[command] = 'no --help'
    except SystemExit as stop:
        found[command] = f'{stop.code} {printed.getvalue()[:6]}'
    except Exception as error:
        found[command] = repr(error)
    for name in [n for n, m in sys.modules.items()
                 if n not in before and (getattr(m, '__file__', '') or '').startswith(folder)]:
        del sys.modules[name]  # another folder may have one of the same name
print(json.dumps(found))
'''


# What is loaded when the line of an answer is printed.
FIRST_ANSWER = '''
import io, json, sys
from mofm.cli import main

class Printed(io.StringIO):
    def write(self, text):
        if text.startswith('clip: '):
            self.loaded = list(sys.modules)
        return super().write(text)

sys.stdout = printed = Printed()
main()
print(json.dumps([printed.loaded, list(sys.modules)]), file=sys.__stdout__)
'''


def output(*command, cwd=ROOT) -> str:
    done = subprocess.run([sys.executable, *command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a statement loads in a new process."""
    return set(output('-c', f'{statement}; import sys; print(*{{name.split(".")[0] for name in '
                      'sys.modules})').split())


@pytest.fixture(scope='module')
def help_texts():
    return json.loads(output('-c', HELP, json.dumps(COMMANDS)))


@pytest.mark.parametrize('command', COMMANDS)
def test_help_of_a_command_imports_no_torch(help_texts, command):
    assert help_texts[command] == '0 usage:'


@pytest.mark.parametrize('room', ['annotations', 'keypoints', 'registry', 'sources', 'structures'])
def test_rooms_of_poses_import_neither_torch_nor_heavy_packages(room):
    loaded = loaded_by(f'import mofm.{room}')
    assert 'numpy' in loaded
    assert not loaded & {'torch', 'cv2', *HEAVY}


@pytest.mark.parametrize('room', ['models', 'hub.partial_loading', 'apis'])
def test_rooms_of_models_import_heavy_packages_on_use(room):
    loaded = loaded_by(f'import mofm.{room}')
    assert 'torch' in loaded
    assert not loaded & set(HEAVY)


@pytest.mark.parametrize('command', [['--help'], ['models']])
def test_short_commands_import_no_numpy(command):
    loaded = output('-c', 'import sys\nfrom mofm.cli import main\ntry:\n    main()\nexcept '
                    'SystemExit:\n    pass\nprint(*sys.modules)', *command).split()
    assert 'mofm.cli' in loaded
    assert not set(loaded) & {'numpy', 'torch', 'mmengine', *HEAVY}


def test_demo_answers_before_it_imports_what_draws(tmp_path):
    clip = SyntheticMotion(1, num_frames=(20, 20))[0]
    np.save(tmp_path / 'clip.npy', np.concatenate(
        [clip['keypoint'], clip['keypoint_score'][..., None]], -1))
    first, last = map(set, json.loads(output(
        '-c', FIRST_ANSWER, 'demo', 'clip.npy', '--img-shape', '1080', '1920', cwd=tmp_path)))
    drawing = {'matplotlib', 'pyarrow', 'mofm.visualization'}
    assert {'torch', 'mofm.apis.demo'} <= first
    assert not first & {*drawing, 'onnx', 'onnxruntime', 'pandas', 'scipy', 'sklearn',
                        'huggingface_hub', 'mofm.engine'}
    assert drawing < last


# ------------------------------------------------------------------------------------ the contract
@pytest.mark.parametrize(('file', 'statement', 'contract'), [
    ('mofm/keypoints/tracking.py', 'import mofm.models.backbones', 'Rooms import downwards only'),
    ('mofm/datasets/collate.py', 'import mofm.models', 'Rooms import downwards only'),
    ('mofm/models/precision.py', 'import mofm.hub.checkpoint', 'Rooms import downwards only'),
    ('mofm/evaluation/metrics/tokens.py', 'import mofm.sources', 'Metrics read no pose files'),
    ('mofm/apis/model.py', 'import projects.tmor', 'The package knows no project'),
    ('projects/tmor/unik.py', 'import projects.motionbert.dstformer',
     'Projects do not import each other'),
    ('mofm/sources/data_sets/ntu.py', 'import torch', 'Readers of pose files need no torch')])
def test_contract_breaks_on_an_import_inside_a_function(tmp_path, file, statement, contract):
    for name in ('mofm', 'projects'):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=lambda folder, names: [
            n for n in names if not n.endswith('.py') and not Path(folder, n).is_dir()])
    # else a namespace package, which would have the modules of the checkout as well
    (tmp_path / 'projects/__init__.py').touch()
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    path = tmp_path / file
    path.write_text(f'{path.read_text()}\n\ndef _later():\n    {statement}\n')
    done = subprocess.run(['lint-imports', '--no-logo', '--no-cache'], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if line.endswith(' BROKEN')]
    assert f'{contract} BROKEN' in broken, done.stdout
