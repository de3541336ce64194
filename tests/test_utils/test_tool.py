"""Ends of tools; those of all real ones are in ``test_tools/test_interruption.py``."""

import signal
import subprocess
import sys

import pytest

from tests.test_tools.tool_runner import ROOT, environment

# A thread delays the end of the interpreter, which Ctrl-C interrupts.
TOOL = """
from mofm.utils.tool import run_tool
import atexit, os, threading, time

def interrupt():
    for _ in range({times}):
        os.kill(os.getpid(), {signum})
        time.sleep(.05)

def main():
    print('result', flush=True)
    {work}

class AtTheEnd:
    def __del__(self, kill=os.kill, process=os.getpid()):  # when Python has no handlers any more
        kill(process, 2)

at_the_end = AtTheEnd() if {late} else None
run_tool(main, hint='the same command resumes')
"""
THREAD = "threading.Thread(target=lambda: (time.sleep(.2), interrupt(), time.sleep(.3))).start()"
NOW = 'interrupt(); time.sleep(9)'


@pytest.mark.parametrize(('work', 'signum', 'times', 'late', 'code', 'error'), [
    ('pass', signal.SIGINT, 0, True, 0, ''),
    (THREAD, signal.SIGINT, 1, False, 130, 'Interrupted\n'),
    (THREAD, signal.SIGINT, 3, False, 130, 'Interrupted\n'),
    (THREAD, signal.SIGTERM, 2, False, 143, 'Terminated\n'),
    (NOW, signal.SIGINT, 1, True, 130, 'Interrupted; the same command resumes\n'),
    (NOW, signal.SIGTERM, 1, True, 143, 'Terminated; the same command resumes\n')])
def test_tool_that_is_interrupted_while_it_exits_ends_in_one_line(work, signum, times, late, code,
                                                                  error, tmp_path):
    tool = tmp_path / 'tool.py'
    tool.write_text(TOOL.format(work=work, signum=int(signum), times=times, late=late))
    done = subprocess.run([sys.executable, tool], capture_output=True, text=True, timeout=60,
                          env=environment(PYTHONPATH=str(ROOT)), check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, 'result\n', error)


FULL_DISK = """
from mofm.utils.tool import run_tool
import errno, os

class Archive:
    def __init__(self):
        self.parts = [self]

    def __del__(self):
        raise ValueError('seek of closed file')

def main():
    archive = Archive()
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), 'out.npz')

run_tool(main)
"""


def test_full_disk_is_one_line_whatever_destructors_say(tmp_path):
    tool = tmp_path / 'tool.py'
    tool.write_text(FULL_DISK)
    done = subprocess.run([sys.executable, tool], capture_output=True, text=True, timeout=60,
                          env=environment(PYTHONPATH=str(ROOT)), check=False)
    assert (done.returncode, done.stderr) == (1, 'error: out.npz: No space left on device\n')
