"""The plug-ins in projects/ are importable from the checkout and after installation."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2

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
    # readers of the user are imported from the folder of the file that is named
    scripts.remove(ROOT / 'mofm' / 'sources' / 'plugins.py')
    assert not [path for path in scripts if edit.search(path.read_text())]


def test_package_data_with_marker_of_types_exists():
    code = ('import json, setuptools; from distutils.core import run_setup; '
            'print(json.dumps(run_setup("setup.py", stop_after="init").package_data))')
    data = json.loads(subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT,
                                     check=True, capture_output=True, text=True).stdout)
    assert data['mofm'] == ['py.typed']
    for package, patterns in data.items():
        for pattern in patterns:
            assert any(ROOT.joinpath(*package.split('.')).glob(pattern)), (package, pattern)


def test_installed_opencv_is_whole_and_of_one_version():
    versions = {found.version for found in importlib.metadata.distributions()
                if found.metadata['Name'].startswith('opencv')}
    assert versions == {cv2.version.opencv_version}
    assert cv2.resize(cv2.UMat(4, 4, cv2.CV_8U), (2, 2)).get().shape == (2, 2)
