"""The plug-ins in projects/ are importable from the checkout and after installation."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from mofm.hub.zoo import list_models
from mofm.utils.config import load_config
from mofm.utils.config_files import packaged_configs

ROOT = Path(__file__).resolve().parents[1]


def test_installed_packages_have_all_projects():
    code = ('import setuptools; from distutils.core import run_setup; '
            'print(*run_setup("setup.py", stop_after="init").packages)')
    found = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout.split()
    folders = {path.parent.relative_to(ROOT) for name in ('mofm', 'projects')
               for path in (ROOT / name).rglob('__init__.py')}
    assert set(found) == {'.'.join(folder.parts) for folder in folders} | {'projects'}
    assert not (ROOT / 'projects/__init__.py').exists()  # it would hide other projects


def test_no_script_edits_the_path_of_modules():
    scripts = [path for folder in ('benchmarks', 'mofm', 'projects', 'tests', 'tools')
               for path in (ROOT / folder).rglob('*.py')]
    assert len(scripts) > 200
    edit = re.compile(r'^ *sys\.path(\.|\[.*\] *=| *\+?=)', re.MULTILINE)
    # readers of the user are imported from the folder of the file that is named, and modules of
    # configs from the current folder
    scripts.remove(ROOT / 'mofm' / 'sources' / 'plugins.py')
    scripts.remove(ROOT / 'mofm' / 'utils' / 'config.py')
    assert not [path for path in scripts if edit.search(path.read_text())]


def test_package_data_with_marker_of_types_exists():
    code = ('import json, setuptools; from distutils.core import run_setup; '
            'print(json.dumps(run_setup("setup.py", stop_after="init").package_data))')
    data = json.loads(subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT,
                                     check=True, capture_output=True, text=True).stdout)
    assert data['mofm'] == ['py.typed']
    for package, patterns in data.items():
        for pattern in patterns:
            assert any(ROOT.joinpath(*package.split('.')).glob(pattern)) \
                or package == 'mofm.hub.zoo' and not list_models(), (package, pattern)


def test_installed_opencv_is_whole_and_of_one_version():
    versions = {found.version for found in importlib.metadata.distributions()
                if found.metadata['Name'].startswith('opencv')}
    assert versions == {cv2.version.opencv_version}
    assert cv2.resize(cv2.UMat(4, 4, cv2.CV_8U), (2, 2)).get().shape == (2, 2)


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    """What a wheel has, in a folder without the repository."""
    folder = tmp_path_factory.mktemp('built')
    subprocess.run([sys.executable, '-W', 'ignore', 'setup.py', '-q', 'build', '--build-base',
                    folder / 'tmp', '--build-lib', folder / 'lib'], cwd=ROOT, check=True)
    return folder / 'lib'


def test_built_package_has_all_configs_in_their_places(built):
    ours = {path.relative_to(ROOT) for folder in ('configs', 'projects')
            for path in (ROOT / folder).rglob('*')
            if 'configs' in path.parts and path.suffix in ('.md', '.py', '.yml')}
    found = {path.relative_to(built / 'mofm/.mim') for path in (built / 'mofm/.mim').rglob('*.*')}
    assert found == ours | {Path('model-index.yml')}
    assert not (built / 'configs').exists()  # of another package, perhaps


def test_configs_of_built_package_load_by_name_in_an_empty_folder(built, tmp_path):
    code = ('from mofm.utils.config_files import find_config, packaged_configs; '
            'from mmengine.config import Config; '
            'print(len(packaged_configs())); print(find_config("dt1_ntu60")); '
            'print(Config.fromfile(find_config("tmor/action_penn_tiny")).custom_imports); '
            'from mofm.utils.config import load_config; print(load_config("mine.py").model.type)')
    (tmp_path / 'mine.py').write_text("_base_ = 'mofm::dt1_penn_v2_tiny.py'")
    done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, check=True, text=True,
                          capture_output=True, env={**os.environ, 'PYTHONPATH': str(built)})
    count, path, imports, model = done.stdout.splitlines()
    assert int(count) == len(packaged_configs()) > 150
    assert Path(path) == built / 'mofm/.mim/configs/dt1_ntu60.py'
    assert 'projects.tmor' in imports
    assert model == load_config('dt1_penn_v2_tiny').model.type
