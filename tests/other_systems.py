"""What works without Unix: imports of everything, inference, streaming and the demo.

``python tests/other_systems.py CONFIG CHECKPOINT FOLDER`` hides the modules and functions that
Windows lacks. It is no Windows: paths, locks and processes are still those of this system.
"""

import ctypes
import importlib
import importlib.util
import os
import pkgutil
import signal
import socket
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_MODULES = ('fcntl', 'resource', 'pwd', 'grp', 'termios', 'tty', 'pty', 'syslog', 'posix')
_FUNCTIONS = {
    os: ('fork', 'forkpty', 'getuid', 'geteuid', 'getgid', 'getloadavg', 'getpgid', 'killpg',
         'setsid', 'sysconf', 'sched_getaffinity', 'mkfifo', 'nice', 'uname', 'chown', 'wait',
         'register_at_fork', 'O_DIRECTORY', 'O_NOFOLLOW', 'O_CLOEXEC', 'WNOHANG'),
    signal: ('SIGKILL', 'SIGALRM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGCHLD', 'SIGPIPE', 'SIGSTOP',
             'SIGCONT', 'SIGXCPU', 'alarm', 'setitimer', 'sigwait', 'sigwaitinfo',
             'pthread_sigmask', 'pthread_kill', 'SIG_BLOCK', 'SIG_SETMASK', 'SIG_UNBLOCK'),
    socket: ('AF_UNIX', ), time: ('tzset', )}


def names():
    """All modules of the package and of its projects."""
    found = ['mofm', 'projects']
    for package in found[:]:
        folder = [str(ROOT / package)]
        found += [module.name for module in pkgutil.walk_packages(folder, f'{package}.')]
    return found


def tools():
    """Files of all tools."""
    found = [*ROOT.glob('tools/**/*.py'), *ROOT.glob('projects/*/tools/*.py')]
    return sorted(found)


def import_all():
    """Import all modules and tools."""
    for name in names():
        importlib.import_module(name)
    for path in tools():
        load(path)


def load(path):
    """Import a tool; some need the folder of theirs in ``PYTHONPATH``."""
    spec = importlib.util.spec_from_file_location(f'tool_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forget():
    """Forget what was imported of this project; other packages stay."""
    from mmengine import registry

    own = {ROOT / 'mofm', ROOT / 'projects', ROOT / 'tools'}
    for name, module in list(sys.modules.items()):
        file = getattr(module, '__file__', None)
        if file and own & set(Path(file).parents):
            del sys.modules[name]
    for value in vars(registry).values():
        if isinstance(value, registry.Registry):
            value.children.pop('mofm', None)
            for key, item in list(value.module_dict.items()):
                if item.__module__.split('.')[0] in ('mofm', 'projects'):
                    del value.module_dict[key]


def hide():
    """Hide what Windows lacks."""
    for name in _MODULES:
        sys.modules[name] = None
    for owner, functions in _FUNCTIONS.items():
        for name in functions:
            if hasattr(owner, name):
                delattr(owner, name)
    load = ctypes.CDLL.__init__

    def init(self, name, *args, **kwargs):
        if name is None:
            raise TypeError('no C library without a name')
        load(self, name, *args, **kwargs)

    ctypes.CDLL.__init__ = init
    sys.platform = 'win32'


def use(config, checkpoint, folder):
    """Infer, stream, save and run the demo."""
    import numpy as np

    from mofm.annotations import dump_annotations, load_annotations
    from mofm.apis import MotionInferencer, MotionStream
    from mofm.cli import demo

    inferencer = MotionInferencer(config, checkpoint, device='cpu')
    points = np.random.default_rng(0).uniform(1, 99, (60, 17, 3)).clip(max=[99, 99, 1])
    result, = inferencer(points, progress=False)
    result.save(folder / 'a.json')
    stream = MotionStream(inferencer, (100, 100), window=4)
    assert sum(len(stream.push(frame[None, :, :2], person=[0])) for frame in points[:6]) == 3
    ann = dict(frame_dir='a', label=0, img_shape=(100, 100), total_frames=60,
               keypoint=points[None, ..., :2], keypoint_score=points[None, ..., 2])
    for suffix in ('.pkl', '.json', '.npz', '.arrow'):
        path = folder / f'a{suffix}'
        dump_annotations(dict(split={}, annotations=[ann]), path)
        assert len(load_annotations(path)['annotations']) == 1
    demo.main([
        str(folder / 'a.pkl'), '--config', str(config), '--checkpoint', str(checkpoint),
        '--out', str(folder / 'out'), '--device', 'cpu'])


if __name__ == '__main__':
    import_all()  # other packages use what they find here
    forget()
    hide()
    import_all()
    use(*map(Path, sys.argv[1:]))
