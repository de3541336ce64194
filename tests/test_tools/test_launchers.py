"""Commands of the launch scripts, with fake programs."""

import sys

import pytest

from tests.test_tools.tool_runner import ROOT, bash, run


@pytest.fixture
def fakes(tmp_path):
    """Folder with an ``srun`` and a ``python`` that print their arguments, one a line."""
    record = ('#!/usr/bin/env bash\n'
              f'if [ "$1" = -c ]; then exec {sys.executable} "$@"; fi\n'
              'printf "%s\\n" "$@"\n'
              'echo "threads $OMP_NUM_THREADS port ${MASTER_PORT:-none}"\n')
    for name in ('srun', 'python'):
        path = tmp_path / name
        path.write_text(record)
        path.chmod(0o755)
    return tmp_path


@pytest.fixture
def launch(fakes, monkeypatch):
    """Run a script with the fakes; returns the lines they print."""
    for name in ('PORT', 'NNODES', 'NODE_RANK', 'MASTER_ADDR', 'MASTER_PORT', 'GPUS_PER_NODE',
                 'CPUS_PER_TASK', 'SRUN_ARGS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('PATH', str(fakes), prepend=':')

    def launched(tool, *arguments, **variables):
        python = variables.pop('PYTHON', str(fakes / 'python'))
        return bash(tool, *arguments, PYTHON=python, **variables).stdout.splitlines()

    return launched


@pytest.mark.parametrize(('tool', 'usage', 'arguments'), [
    ('dist_train.sh', 'CONFIG GPUS', ['c.py']),
    ('dist_test.sh', 'CONFIG CHECKPOINT GPUS', ['c.py', 'c.pth']),
    ('slurm_train.sh', 'PARTITION JOB_NAME CONFIG GPUS', ['gpu', 'name', 'c.py'])])
def test_launcher_without_arguments_prints_usage(tool, usage, arguments):
    for few in ([], arguments):
        done = bash(tool, *few, check=False)
        assert done.returncode == 2
        assert done.stderr == f'usage: {tool} {usage} [options]\n'
    for wrong in ('--resume', '0', 'two'):
        done = bash(tool, *arguments, wrong, check=False)
        assert done.returncode == 2
        assert done.stderr == f'GPUS: found {wrong}, expected a number of processes\n'


@pytest.mark.parametrize('tool', sorted(p.name for p in (ROOT / 'tools').glob('*.sh')))
def test_launcher_scripts_parse(tool):
    run('bash', '-n', ROOT / 'tools' / tool)


def test_dist_train_calls_torchrun(launch):
    lines = launch('dist_train.sh', 'c.py', 3, '--resume', '--cfg-options', 'a=1 2', 'b=x')
    port = lines.pop(5).removeprefix('--master_port=')
    assert 1024 <= int(port) <= 65535
    assert lines == [
        '-m', 'mofm.torchrun', '--nnodes=1', '--node_rank=0',
        '--master_addr=127.0.0.1', '--nproc_per_node=3', str(ROOT / 'tools/train.py'), 'c.py',
        '--resume', '--cfg-options', 'a=1 2', 'b=x', '--launcher', 'pytorch',
        'threads 1 port none'
    ]


def test_dist_test_calls_torchrun(launch):
    lines = launch('dist_test.sh', 'c.py', 'c.pth', 2, '--out', 'x.csv', PORT='12345')
    assert '--master_port=12345' in lines
    assert lines[lines.index('--nproc_per_node=2') + 1:-1] == [
        str(ROOT / 'tools/test.py'), 'c.py', 'c.pth', '--out', 'x.csv', '--launcher', 'pytorch']


def test_dist_train_on_several_machines_needs_port(launch):
    lines = launch('dist_train.sh', 'c.py', 8, NNODES='2', NODE_RANK='1',
                   MASTER_ADDR='10.0.0.1', PORT='29511')
    assert lines[2:7] == ['--nnodes=2', '--node_rank=1', '--master_addr=10.0.0.1',
                          '--master_port=29511', '--nproc_per_node=8']
    done = bash('dist_train.sh', 'c.py', 8, NNODES='2', check=False)
    assert done.returncode == 2
    assert done.stderr == 'set PORT to the same free port on every machine\n'


def test_slurm_train_calls_srun(launch):
    lines = launch('slurm_train.sh', 'gpu', 'a job', 'c.py', 16, '--resume', CPUS_PER_TASK='4',
                   SRUN_ARGS='--time=1:00 -x node3', PORT='29600', PYTHON='python3.11')
    assert lines == [
        '-p', 'gpu', '--job-name=a job', '--gres=gpu:8', '--ntasks=16', '--ntasks-per-node=8',
        '--cpus-per-task=4', '--kill-on-bad-exit=1', '--time=1:00', '-x', 'node3', 'python3.11',
        '-u', str(ROOT / 'tools/train.py'), 'c.py', '--launcher', 'slurm', '--resume',
        'threads 1 port 29600'
    ]


def test_slurm_train_takes_part_of_a_machine(launch):
    lines = launch('slurm_train.sh', 'gpu', 'name', 'c.py', 2)
    assert {'--gres=gpu:2', '--ntasks=2', '--ntasks-per-node=2'} <= set(lines)
    assert 20000 <= int(lines[-1].split()[-1]) < 30000


def test_slurm_array_of_the_extraction_takes_a_shard_per_task(fakes, launch):
    (fakes / 'python').rename(fakes / 'mofm')
    lines = launch('../examples/slurm_extract.sh', 'videos', 'a b.pkl', '--device', 'cuda',
                   SLURM_ARRAY_TASK_ID='3', SLURM_ARRAY_TASK_COUNT='16', SLURM_CPUS_PER_TASK='4',
                   PYTHON='')
    assert lines == ['extract', 'videos', '--out', 'a b.pkl', '--shard', '3/16', '--device',
                     'cuda', 'threads 4 port none']
