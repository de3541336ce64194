"""Kill a preparation and a pose extraction at random moments, again and again.

python -m tests.test_sources.kill_prepare 100    kills of both together
"""

from mofm.utils.tool import run_tool

import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from mofm.pose_estimation.extract import extract_video, extracted
from mofm.pose_estimation.video import Video
from mofm.sources.prepare import prepare
from tests.test_sources.numbers_source import Numbers
from tests.test_tools.interrupted import session

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
_PAUSE = .004  # seconds that a file or a frame takes


class Slow(Numbers):
    """A source that takes its time."""

    def annotations(self, name, content):
        """See :class:`Numbers`."""
        time.sleep(_PAUSE)
        yield from super().annotations(name, content)


class Network:
    """A pose network whose result is a function of the image."""

    meta = dict(dataset_name='coco')

    def extract(self, images, boxes=None):
        """Yield one person per image."""
        for image in images:
            time.sleep(_PAUSE)
            pixels = image.reshape(-1, 3)[:17 * 7:7].astype(np.float32)
            yield dict(keypoints=pixels[None, :, :2], keypoint_scores=pixels[None, :, 2] / 255,
                       bboxes=pixels[None, :2, :2].reshape(1, 4),
                       bbox_scores=pixels[None, 0, 2] / 255)


def work(kind: str, folder: Path):
    """Prepare, or extract the poses of a video."""
    if kind == 'prepare':
        prepare(Slow(folder / 'numbers'), folder / 'out.pkl', 2)
    elif not extracted(folder / 'out.json', dict(video='a')):
        extract_video(Network(), Video(folder / 'a.avi'), folder / 'out.json', dict(video='a'))


def make_inputs(folder: Path, count: int):
    """Write text files of numbers and a video of noise."""
    (folder / 'numbers').mkdir()
    for i in range(count):
        (folder / f'numbers/{i:03}.txt').write_text(str(i % 7 + 1))
    video = cv2.VideoWriter(str(folder / 'a.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(count):
        video.write(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    video.release()


def kill_until_done(kind: str, folder: Path, kills: int, rng: random.Random) -> dict:
    """Kill a work until it has been killed so often or is done; then it runs to its end.

    Returns:
        dict: Number of kills by signal.

    Raises:
        AssertionError: If an attempt fails, or leaves processes.
    """
    counts = dict.fromkeys((s.name for s in SIGNALS), 0)
    while True:
        with tempfile.TemporaryFile() as err:
            read, write = os.pipe()
            process = os.fork()  # which imports nothing again
            if not process:
                _run_child(kind, folder, write, err)
            signum, last = rng.choice(SIGNALS), sum(counts.values()) == kills
            assert os.read(read, 1) == b'.'  # it begins
            if not last:
                time.sleep(rng.uniform(0, 1))
                # Ctrl-C and batch systems signal the group, the killer of memory hogs a process
                (os.killpg if rng.random() < .5 else os.kill)(process, signum)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
            os.close(read)
            os.close(write)
            err.seek(0)
            printed = err.read().decode()
        end = time.monotonic() + 5
        while (left := session(process)) and time.monotonic() < end:
            time.sleep(.01)
        assert not left, f'{left} live on after {signum.name}'
        assert 'Traceback' not in printed, printed
        if code == 0:
            return counts
        assert not last, f'{code} {printed}'
        assert code in (-signum, 128 + signum), f'{code} {printed}'
        counts[signum.name] += 1


def _run_child(kind: str, folder: Path, pipe: int, err):
    """Do the work as a tool, in a session of its own, and end the process."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
        os.dup2(err.fileno(), 2)
        sys.stderr = os.fdopen(2, 'w', closefd=False)

        def main():
            os.write(pipe, b'.')
            work(kind, folder)

        run_tool(main)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else print(stop.code, file=sys.stderr) or 1
    finally:
        sys.stderr.flush()
        os._exit(code)


def check_kills(folder: Path, kind: str, kills: int, seed: int) -> dict:
    """Compare the output of a killed work with that of an unbroken one.

    Args:
        folder (Path): New folder.
        kind (str): 'prepare' or 'extract'.
        kills (int): Number of kills; the work begins anew when it is done before.
        seed (int): Seed of the moments and signals.

    Returns:
        dict: Number of kills by signal.
    """
    folder.mkdir()
    make_inputs(folder, 150)
    name, rng = dict(prepare='out.pkl', extract='out.json')[kind], random.Random(seed)
    work(kind, folder)
    expected, files = (folder / name).read_bytes(), sorted(folder.rglob('*'))
    total = dict.fromkeys((s.name for s in SIGNALS), 0)
    while sum(total.values()) < kills:
        (folder / name).unlink()
        counts = kill_until_done(kind, folder, kills - sum(total.values()), rng)
        assert (folder / name).read_bytes() == expected
        assert sorted(folder.rglob('*')) == files  # no temporary file, no lock
        total = {key: total[key] + counts[key] for key in total}
    return total


def main():
    """Kill, and print the counts."""
    kills, start = int(sys.argv[1]), time.monotonic()
    folder = Path(tempfile.mkdtemp())
    try:
        for kind, share in (('prepare', kills - kills // 2), ('extract', kills // 2)):
            print(kind, json.dumps(check_kills(folder / kind, kind, share, seed=0)), flush=True)
    finally:
        shutil.rmtree(folder)
    print(f'{kills} kills in {time.monotonic() - start:.0f} s: outputs equal bit for bit, nothing '
          'left')


if __name__ == '__main__':
    run_tool(main)
