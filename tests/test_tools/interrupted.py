"""Start a tool, wait until it is at a point of its work, and send a signal."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from tests.test_tools.tool_runner import ROOT, environment


class Ended(NamedTuple):
    """Exit code, output, and processes of the session that live on."""

    code: int
    stdout: str
    stderr: str
    left: list[int]


def session(leader: int) -> list[int]:
    """List the living processes of a session except its leader."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            state, _, _, sid = (folder / 'stat').read_text().rsplit(')', 1)[1].split()[:4]
        except OSError:  # has ended
            continue
        if int(sid) == leader != int(folder.name) and state != 'Z':
            found.append(int(folder.name))
    return found


def interrupt(command: list, folder: Path, event: str, word: str, signum=signal.SIGINT,
              group: bool = True) -> Ended:
    """Send a signal to a tool, as a terminal does to its whole group.

    Args:
        command (list): Path below the root, and arguments.
        folder (Path): Work directory, and folder of the mark that the tool has paused.
        event (str): Audit event of Python at which the tool pauses, e.g. 'open'.
        word (str): Part of an argument of the event.
        signum (signal.Signals): The signal.
        group (bool): Send it to all processes of the tool.
    """
    mark = folder / 'mark'
    pausing = Path(__file__).with_name('pausing')
    process = subprocess.Popen(
        [sys.executable, ROOT / command[0], *map(str, command[1:])], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        env=environment(PAUSE=f'{event} {word} {mark}', PYTHONPATH=f'{pausing}:{ROOT}',
                        PYTHONFAULTHANDLER='1'))
    end = time.monotonic() + 100
    while not mark.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(.02)
    paused = mark.exists()
    if paused:
        (os.killpg if group else os.kill)(process.pid, signum)
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # says where it is
        out, err = process.communicate()
    assert paused, f'{command[0]} did not come to {event} {word}:\n{out[-1000:]}{err[-2000:]}'
    end = time.monotonic() + 5
    while session(process.pid) and time.monotonic() < end:
        time.sleep(.05)
    left = session(process.pid)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return Ended(process.returncode, out, err, left)
