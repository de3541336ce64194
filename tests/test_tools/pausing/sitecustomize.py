"""Python that pauses at an event, for tests of interruptions; see ``interrupted.py``."""

import os
import sys
import time

_EVENT, _WORD, _MARK = os.environ['PAUSE'].split(' ')
_paused = False


def _pause(event: str, arguments: tuple):
    global _paused
    if event == _EVENT and not _paused and any(_WORD in str(v) for v in arguments[:2]):
        _paused = True
        with open(_MARK, 'a') as file:
            file.write(str(os.getpid()))
        end = time.monotonic() + 60
        while time.monotonic() < end:  # a signal right before a long sleep would wait for its end
            time.sleep(.1)


sys.addaudithook(_pause)
