"""Workflow, templates, pins, versions, and names in texts."""

import pkgutil
import re
import subprocess
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


def test_requirements_of_setup_are_pinned_in_the_lock():
    def names(text: str) -> set[str]:
        return set(re.findall(r'^\s*\'?([A-Za-z0-9_.-]+)[\[\w\]]*[=<>\']', text, re.MULTILINE))

    lists = (ROOT / 'setup.py').read_text().split('setup(\n')[0]
    wanted = names(lists[lists.index('CORE = ['):lists.index('LANGUAGE = [')]
                   + lists[lists.index('TESTS = ['):])
    pinned = names((ROOT / 'requirements/lock.txt').read_text())

    assert wanted <= pinned


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
