"""Files for Hugging Face Spaces and Docker."""

import re
import runpy
import shlex
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

import mofm

ROOT = Path(__file__).resolve().parents[2]
SPACE = ROOT / 'examples/space'
INSTRUCTIONS = {'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'RUN',
                'USER', 'WORKDIR'}


def extras() -> dict[str, str]:
    """Source of the extras in setup.py by their variable."""
    return dict(re.findall(r'^([A-Z]+) = \[(.+?)^\]', (ROOT / 'setup.py').read_text(),
                           re.MULTILINE | re.DOTALL))


def test_header_of_the_space_names_its_file_and_a_gradio_of_the_extra():
    _, header, _ = (SPACE / 'README.md').read_text().split('---\n', 2)
    header = yaml.safe_load(header)
    assert (SPACE / header['app_file']).is_file()
    assert header['sdk'] == 'gradio'
    low, high = re.search(r'gradio>=([\d.]+),<([\d.]+)', extras()['APP']).groups()
    found = [tuple(map(int, version.split('.'))) for version in (
        low, header['sdk_version'], high)]
    assert found == sorted(found)
    assert len(header['short_description']) <= 60  # the hub refuses longer ones
    assert {header['colorFrom'], header['colorTo']} <= {
        'red', 'yellow', 'green', 'blue', 'indigo', 'purple', 'pink', 'gray'}


def test_requirements_of_the_space_are_this_version_with_its_extras():
    lines = [line for line in (SPACE / 'requirements.txt').read_text().splitlines()
             if line and not line.startswith('#')]
    wheel = lines[-1]
    assert re.fullmatch(r'mofm\[app,video\] @ https://.+/mofm-(.+)-py3-none-any\.whl',
                        wheel)[1] == mofm.__version__
    assert 'torch==' in lines[1]


def test_app_of_the_space_serves_the_page(monkeypatch):
    served = []
    monkeypatch.setattr('mofm.app.serve', lambda *args, **options: served.append(options))
    runpy.run_path(str(SPACE / 'app.py'), run_name='__main__')
    assert served == [dict(host='0.0.0.0', port=7860, upload_mb=100)]


def test_space_builds_the_page(monkeypatch, tmp_path):
    gradio = pytest.importorskip('gradio', reason="no Gradio: pip install '.[app]'")
    launched = []

    def launch(page, **options):
        launched.append((page, options))
        raise KeyboardInterrupt

    monkeypatch.setattr(gradio.Blocks, 'launch', launch)
    monkeypatch.setenv('GRADIO_TEMP_DIR', str(tmp_path))
    with pytest.raises(KeyboardInterrupt):
        runpy.run_path(str(SPACE / 'app.py'), run_name='__main__')
    (page, options), = launched
    assert not page.analytics_enabled
    assert (options['share'], options['server_name']) == (False, '0.0.0.0')
    labels = [block.label for block in page.blocks.values() if hasattr(block, 'label')]
    assert {'Video or poses', 'Models'} <= {*labels}


@pytest.fixture(scope='module')
def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, continued lines joined."""
    lines = [line for line in (ROOT / 'Dockerfile').read_text().splitlines()
             if not line.lstrip().startswith('#')]
    text = '\n'.join(lines).replace('\\\n', ' ')
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def test_dockerfile_has_known_instructions_and_pinned_bases(instructions):
    assert {name for name, _ in instructions} <= INSTRUCTIONS
    bases = [text.split()[0] for name, text in instructions if name == 'FROM']
    assert len(bases) == 2
    for base in bases:
        assert re.fullmatch(r'python:3\.\d+\.\d+-slim-\w+', base)
    minor = int(bases[-1].split('.')[1])
    assert f'3.{minor}' in ('3.10', '3.11', '3.12')  # of setup.py


def test_dockerfile_runs_as_a_user_and_leaves_no_caches(instructions):
    names = [name for name, _ in instructions]
    users = [text for name, text in instructions if name == 'USER']
    assert users == ['mofm']
    assert names.index('USER') < names.index('ENTRYPOINT')
    assert 'RUN' not in names[names.index('USER'):]
    commands = [text for name, text in instructions if name == 'RUN']
    assert any('useradd' in command and users[0] in command for command in commands)
    for command in commands:
        shlex.split(command)
        if 'pip' in command:
            assert '--no-cache-dir' in command
        if 'apt-get install' in command:
            assert '--no-install-recommends' in command
            assert 'rm -rf /var/lib/apt/lists/*' in command
    packages = {word for command in commands if 'apt-get' in command
                for word in re.findall(r'\blib\w[\w.-]*\d\b', command)}
    assert packages == {*(SPACE / 'packages.txt').read_text().split()}


def test_dockerfile_starts_a_command_of_the_package(instructions):
    from mofm.cli import COMMANDS
    from mofm.cli.app import parse_args

    texts = dict(instructions)
    assert yaml.safe_load(texts['ENTRYPOINT']) == ['mofm']
    command, *arguments = yaml.safe_load(texts['CMD'])
    assert command in COMMANDS
    args = parse_args(arguments)
    assert (args.host, str(args.port)) == ('0.0.0.0', texts['EXPOSE'])
    assert f'127.0.0.1:{args.port}' in texts['HEALTHCHECK']


def test_context_of_docker_has_all_that_the_wheel_is_built_from():
    lines = (ROOT / '.dockerignore').read_text().split('\n')
    kept = [line[1:] for line in lines if line.startswith('!')]
    assert '*' in lines
    assert all((ROOT / name).exists() for name in kept)
    setup = (ROOT / 'setup.py').read_text()
    used = {'setup.py', 'pyproject.toml', 'MANIFEST.in', 'LICENSE',  # setuptools takes it unasked
            *re.findall(r"ROOT / '([\w.]+)", setup),
            *re.findall(r"'([\w-]+(?:\.yml)?)(?:/\*[^']*)?'[,)]", setup.partition(
                'for pattern in (')[2].partition(':')[0])}
    assert {'README.md', 'mofm', 'configs', 'projects', 'model-index.yml'} <= used
    assert not [name for name in used if not any(fnmatch(name, one) for one in kept)]
