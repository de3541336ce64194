"""Workflow, templates, pins, versions, and names in texts."""

import ast
import importlib.metadata
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mofm

ROOT = Path(__file__).parents[1]


def test_workflow_calls_ci_on_every_supported_python():
    workflow = yaml.safe_load((ROOT / '.github/workflows/ci.yml').read_text())
    job = workflow['jobs']['test']
    setup = (ROOT / 'setup.py').read_text()
    first, end = map(int, re.search(r"python_requires='>=3\.(\d+),<3\.(\d+)'", setup).groups())

    assert job['steps'][-1]['run'] == 'bash .ci/run'
    assert job['strategy']['matrix']['python'] == [
        f'3.{minor}' for minor in range(first, end)]


@pytest.mark.parametrize('path', sorted((ROOT / '.github/ISSUE_TEMPLATE').glob('*_*.yml')),
                         ids=lambda path: path.stem)
def test_issue_form_has_name_description_and_unique_ids(path):
    form = yaml.safe_load(path.read_text())
    ids = [field['id'] for field in form['body']]

    assert form['name']
    assert form['description']
    assert len(set(ids)) == len(ids)


def pins(name: str) -> list[str]:
    """Lines of a file of pinned versions, without comments, continued lines joined."""
    text = (ROOT / 'requirements' / name).read_text().replace('\\\n', ' ')
    return [' '.join(line.split()) for line in text.splitlines() if line.strip()[:1] not in '#']


def plain(requirement: str) -> str:
    """Name of a requirement as package indices compare it."""
    return re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', requirement)[0]).lower()


@pytest.fixture(scope='module')
def declared() -> dict[str, set[str]]:
    """Names of the packages that setup.py asks for, by extra; '' for all users."""
    code = ('import json, setuptools; from distutils.core import run_setup; '
            'd = run_setup("setup.py", stop_after="init"); '
            'print(json.dumps({"": d.install_requires, **d.extras_require}))')
    found = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], cwd=ROOT, check=True,
                           capture_output=True, text=True).stdout
    return {extra: set(map(plain, lines)) for extra, lines in json.loads(found).items()}


LOCKS = ['lock.txt', 'torch.txt', 'torch_cpu.txt', 'numpy2.txt', 'pose.txt']


def test_packages_of_setup_are_in_the_pinned_set(declared):
    pinned = {plain(line) for name in ('lock.txt', 'torch.txt', 'pose.txt') for line in pins(name)}
    wanted = set().union(*declared.values()) - set().union(
        *(declared[extra] for extra in ('language', 'video', 'app', 'remote', 'cluster')))
    assert wanted - pinned == {'opencv-contrib-python'}  # writes the files of opencv-python


def test_opencv_is_one_version_in_one_wheel():
    setup = re.findall(r"'opencv-(?:contrib-)?python==(.+?)'", (ROOT / 'setup.py').read_text())
    locked = [line.split()[0] for line in pins('lock.txt') if line.startswith('opencv')]
    assert len(setup) == 2
    assert locked == [f'opencv-python=={version}' for version in set(setup)]


@pytest.mark.parametrize('name', LOCKS)
def test_pinned_set_has_hashes_of_every_line(name):
    line = re.compile(r'[\w.-]+==[\w.+]+( ; [\w .\'"()=<>!*]+?)?( --hash=sha256:[0-9a-f]{64})+')
    assert pins(name)
    assert not [text[:80] for text in pins(name) if not line.fullmatch(text)]


def test_scripts_install_only_with_hashes():
    assert set(LOCKS) == {path.name for path in (ROOT / 'requirements').glob('*.txt')}
    text = ''.join((ROOT / 'tools' / name).read_text() for name in ('env.sh', 'run_tests.sh'))
    calls = re.findall(r'install [^|&]*? -r ', text.replace('\\\n', ' '))
    assert len(calls) == 3
    assert not [call for call in calls if '--require-hashes' not in call]
    assert len(re.findall(r'locked "\$LOCKS/\w+.txt"', text)) == 3


def test_imported_packages_are_declared(declared):
    tests = declared['tests']
    # requirements/pose.txt and docs/video.md say how to get them
    optional = {'mmpose', 'mmdet', 'ai-edge-litert', 'rtmlib', 'ultralytics',
                'faiss', 'faiss-cpu',  # benchmarks/clustering.py compares with it
                'openvino',  # benchmarks/export.py --openvino
                'playwright'}  # browser of tests/test_app
    users = declared[''].union(*(declared[e] for e in ('pose', 'export', 'mesh', 'language',
                                                             'sources', 'video', 'app', 'remote',
                                                             'cluster')))
    folders = ('mofm', 'projects', 'tools', 'examples', 'benchmarks', 'docs', 'tests')
    files = {folder: sorted((ROOT / folder).rglob('*.py')) for folder in folders}
    known = {'mofm', 'projects', 'tests', *sys.stdlib_module_names}
    scripts = {path.stem for folder in folders[1:-1] for path in files[folder]}
    owners, undeclared = importlib.metadata.packages_distributions(), []
    for folder in folders:
        allowed = optional | users | (set() if folder in ('mofm', 'projects', 'tools') else tests)
        for path in files[folder]:
            for name in imported(path) - known - (set() if folder == 'mofm' else scripts):
                if not {plain(owner) for owner in owners.get(name, [name])} & allowed:
                    undeclared.append(f'{path.relative_to(ROOT)}: {name}')
    assert not undeclared


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, also inside functions."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes
              if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition('.')[0] for name in names}


def test_version_is_the_newest_of_the_changelog_and_of_the_citation():
    changelog = (ROOT / 'CHANGELOG.md').read_text()
    versions = re.findall(r'^## (\d+\.\d+\.\d+)', changelog, re.MULTILINE)
    citation = yaml.safe_load((ROOT / 'CITATION.cff').read_text())

    assert versions[0] == mofm.__version__ == citation['version']


def test_picture_of_the_packages_shows_the_import_contract(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'docs')
    from draw_packages import draw

    picture = draw((ROOT / 'pyproject.toml').read_text())

    stored = (ROOT / 'docs/images/packages.svg').read_text()
    assert picture == stored, 'draw it again: python docs/draw_packages.py'


def test_modules_that_texts_name_exist():
    listed = subprocess.run(['git', 'ls-files', '*.py', '*.md', '*.toml'], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout.split()
    name = re.compile(r'(?<![\w./:\'-])(?:mofm|projects)(?:\.\w+)+')
    found = {(match, path) for path in listed if path != 'CHANGELOG.md'
             for match in name.findall((ROOT / path).read_text())}
    missing = []
    for match, path in sorted(found):
        try:
            pkgutil.resolve_name(match)
        except (AttributeError, ImportError):
            missing.append(f'{path}: {match}')
    assert len(found) > 500
    assert not missing
