"""Kill trainings at random moments, resume them, and compare their ends with unbroken ones.

python -m tests.test_tools.kill_training --kills 80
python -m tests.test_tools.kill_training --kills 20 --processes 2

A training of 48 iterations with augmentation, dropout and a process that loads data is killed by
SIGKILL or SIGTERM after a random time, or by SIGKILL with half of a checkpoint written, and
started again at once with --resume until it is complete; then the next one begins. Of several
processes the launcher is killed, or one of them.
"""

import argparse
import contextlib
import json
import math
import os
import random
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 6
TIMEOUT = 300
_WRITE = 'KILL_AT_WRITE'
_CONFIG = """
_base_ = {base!r}
custom_imports = dict(imports=['mofm.engine', 'tests.test_tools.kill_training'])
model = dict(cls_head=dict(dropout=0.4), backbone=dict(drop_path_rate=0.2))
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=_base_.train_pipeline))
train_cfg = dict(max_epochs={epochs}, val_interval=2)
default_hooks = dict(logger=dict(interval=1))
custom_hooks = [dict(type='CheckpointGuardHook'), dict(type='PreemptionHook', interval=3)]
"""


def write_config(folder: Path, base: str) -> Path:
    """Write the config of the training."""
    (folder / 'base.py').write_text(base)
    path = folder / 'killed.py'
    path.write_text(_CONFIG.format(base=str(folder / 'base.py'), epochs=EPOCHS))
    return path


def kill_at_write(number: int):
    """Kill this process when half of its checkpoint of some number is written."""
    fsync, left = os.fsync, number

    def kill(descriptor):
        nonlocal left
        left -= '.pth.' in os.readlink(f'/proc/self/fd/{descriptor}')
        if left < 1:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    os.fsync = kill


class Training:
    """Training of some processes in a work dir.

    A single process is forked from this one, where everything is imported; several are started by
    ``dist_train.sh``.
    """

    def __init__(self, config: Path, work_dir: Path, processes: int, at_write: int = 0):
        options = ['--work-dir', str(work_dir), '--resume']
        self.code: int | None = None
        self.log = work_dir.with_suffix('.log')
        self.log.touch()
        self.start = len(self.log.read_text())
        if processes > 1:
            env = dict(os.environ, PYTHON=sys.executable, OMP_NUM_THREADS='1',
                       PYTHONPATH=str(ROOT), **({_WRITE: str(at_write)} if at_write else {}))
            with self.log.open('a') as file:
                self.process = subprocess.Popen(
                    ['bash', str(ROOT / 'tools/dist_train.sh'), str(config), str(processes),
                     *options], env=env, stdout=file, stderr=file, start_new_session=True)
            self.pid = self.process.pid
            return
        self.process = None
        self.pid = os.fork()
        if not self.pid:
            self._train([str(ROOT / 'tools/train.py'), str(config), *options], at_write)

    def _train(self, argv: list, at_write: int):
        """Run ``train.py`` in a forked process."""
        code = 1
        try:
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            file = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(file, 1)
            os.dup2(file, 2)
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            os.environ['LOCAL_RANK'] = '0'
            sys.argv = argv
            if at_write:
                kill_at_write(at_write)
            runpy.run_path(argv[0], run_name='__main__')
            code = 0
        except SystemExit as stop:
            print(stop.code, file=sys.stderr)
            code = int(bool(stop.code))
        finally:
            sys.stderr.flush()
            os._exit(code)

    def ended(self) -> bool:
        """Return whether the process has ended, with its ``code``."""
        if self.code is None and self.process is not None:
            self.code = self.process.poll()
        elif self.code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code is not None

    def wait(self, seconds: float) -> bool:
        """Wait for the end; return whether it came."""
        end = time.monotonic() + seconds
        while not self.ended():
            if time.monotonic() > end:
                return False
            time.sleep(0.005)
        return True

    def kill(self, number: int, which: int):
        """Send a signal to the launcher (0), or to one of its processes."""
        with contextlib.suppress(OSError, IndexError):
            children = Path(f'/proc/{self.pid}/task/{self.pid}/children').read_text().split()
            which and os.kill(int(children[which - 1]), number)
            which or os.kill(self.pid, number)

    def require_no_orphans(self):
        """Wait until no process of the session is left."""
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
        raise SystemExit(f'{self.log}: a process outlived its training')


def losses(work_dir: Path) -> dict:
    """Return the logged losses by iteration; a repeated iteration must repeat its values."""
    found = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:  # the last line of a killed process
                continue
            if 'loss' in record:
                values = record['loss'], record['grad_norm'], record['lr']
                if differences(found.setdefault(record['step'], values), values):
                    raise SystemExit(f'{file}: iteration {record["step"]} differs when repeated')
    return found


def differences(one, other, name: str = '') -> list[str]:
    """Return the names of values that differ.

    Numbers are compared up to rounding, which depends on the alignment of memory on some
    processors.
    """
    if isinstance(other, dict) and isinstance(one, dict) and one.keys() == other.keys():
        return [d for key in other for d in differences(one[key], other[key], f'{name}.{key}')]
    if isinstance(other, (list, tuple)) and type(one) is type(other) and len(one) == len(other):
        return [d for i, pair in enumerate(zip(one, other, strict=True))
                for d in differences(*pair, f'{name}.{i}')]
    if torch.is_tensor(other) and torch.is_tensor(one):
        same = one.shape == other.shape and one.dtype == other.dtype and torch.allclose(
            one, other, rtol=1e-3, atol=1e-3)
    elif isinstance(other, float) and isinstance(one, float):
        same = math.isclose(one, other, rel_tol=1e-4)
    else:
        same = one == other
    return [] if same else [name]


def check_same_end(work_dir: Path, unbroken: Path):
    """Exit unless two trainings ended with the same weights, optimizer, schedule and losses."""
    from mofm.hub.checkpoint import load_local

    one, other = (load_local(str(folder / f'epoch_{EPOCHS}.pth'))
                  for folder in (work_dir, unbroken))
    wrong = differences(losses(work_dir), losses(unbroken), 'losses')
    for key in ('state_dict', 'optimizer', 'param_schedulers'):
        wrong += differences(one[key], other[key], key)
    for key in ('epoch', 'iter', 'seed'):
        wrong += differences(one['meta'][key], other['meta'][key], key)
    if wrong:
        raise SystemExit(f'{work_dir}: differs from the unbroken training in {wrong[:5]}')
    left = [path.name for path in work_dir.glob('*.tmp')]
    if left:
        raise SystemExit(f'{work_dir}: found {left}, expected no temporary files')


def kill_trainings(config: Path, folder: Path, kills: int, processes: int, seed: int) -> dict:
    """Kill and resume trainings.

    Args:
        config (Path): Config of the training.
        folder (Path): Empty folder of the work dirs.
        kills (int): Number of kills.
        processes (int): Processes of a training.
        seed (int): Seed of times and signals.

    Returns:
        dict: Number of ``kills`` by kind, and of ``trainings`` with the same end as the unbroken.

    Raises:
        SystemExit: If a training ends otherwise, with another result, or leaves processes.
    """
    rng = random.Random(seed)
    start = time.monotonic()
    unbroken = folder / 'unbroken'
    training = Training(config, unbroken, processes)
    if not training.wait(TIMEOUT) or training.code:
        raise SystemExit(f'{training.log}: failed')
    seconds = time.monotonic() - start
    counts: dict[str, int] = {}
    done, ended, started = 0, False, []
    while sum(counts.values()) < kills or not ended:
        work_dir = folder / f'killed_{done}'
        kind = rng.choice(('SIGKILL', 'SIGTERM', 'SIGKILL at write'))
        if sum(counts.values()) >= kills:
            kind = 'none'
        at_write = rng.randint(1, 3) if kind == 'SIGKILL at write' else 0
        training = Training(config, work_dir, processes, at_write)
        killed = False
        if kind in ('SIGKILL', 'SIGTERM') and not training.wait(rng.uniform(0.2, 1.1) * seconds):
            killed = True
            training.kill(getattr(signal, kind), rng.randint(0, processes if processes > 1 else 0))
        if not training.wait(TIMEOUT):
            raise SystemExit(f'{training.log}: did not end')
        started.append(training)
        # torchrun names the signal that ended a process
        killed |= bool(at_write) and (training.code == -signal.SIGKILL or 'Signal 9 (SIGKILL)'
                                      in training.log.read_text()[training.start:])
        ended = training.code == 0 and (work_dir / f'epoch_{EPOCHS}.pth').exists()
        if ended:
            check_same_end(work_dir, unbroken)
            done += 1
            while started:
                started.pop().require_no_orphans()
        elif not killed:
            raise SystemExit(f'{training.log}: failed after {sum(counts.values())} kills:\n'
                             + training.log.read_text()[-2000:])
        else:
            counts[kind] = counts.get(kind, 0) + 1
    return dict(kills=counts, trainings=done)


def main():
    """Kill trainings and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--kills', type=int, default=100)
    parser.add_argument('--processes', type=int, default=1)
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args()
    import mofm.engine  # noqa: F401  once for all forked trainings
    from tests.test_tools.conftest import CONFIG

    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        config = write_config(Path(folder), CONFIG)
        result = kill_trainings(config, Path(folder), args.kills, args.processes, args.seed)
    print(f'{result}, {args.processes} processes, {time.monotonic() - start:.0f} s')


if __name__ == '__main__':
    main()
elif _WRITE in os.environ and os.environ.get('RANK') == '0':
    kill_at_write(int(os.environ[_WRITE]))
