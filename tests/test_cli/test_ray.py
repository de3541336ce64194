"""Extraction and preparation on a local Ray cluster of two workers, as in a single process."""

import os
import sys
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.cli import extract
from mofm.cli import prepare as prepare_command
from mofm.registry import POSE_ESTIMATORS, SOURCES
from mofm.utils.ray_actors import ATTEMPTS, WorkerEndedError, run_on_ray

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 6

# a network that writes down every frame, ends its process once at the video of gray level 100, and
# always at the one of 200
PLUGIN = '''
import os
import signal
from pathlib import Path
import numpy as np
from mofm.pose_estimation import PoseEstimator
from mofm.registry import POSE_ESTIMATORS, SOURCES
from mofm.sources.base import Source

FOLDER = Path(__file__).parent


@POSE_ESTIMATORS.register_module('ray_pose')
class RayPose(PoseEstimator):
    def estimate(self, image, boxes=None):
        level = 20 * round(image[:60].mean() / 20)
        with open(FOLDER / 'frames.txt', 'a') as f:
            f.write(f'{os.getpid()} {level}\\n')
        seen = (FOLDER / 'frames.txt').read_text().count(f' {level}\\n')
        if level == 100 and seen == 4 or level == 200:
            os.kill(os.getpid(), signal.SIGKILL)
        points = np.linspace(5, 40, 34).reshape(1, 17, 2) + image[60:].mean() / 10
        return points, np.full((1, 17), .5)


@SOURCES.register_module('ray_numbers')
class RayNumbers(Source):
    """Clips of as many frames as a file says."""
    suffix = '.txt'

    def annotations(self, name, content):
        if content == b'end':
            os.kill(os.getpid(), signal.SIGKILL)
        if not content.isdigit():
            raise self.error(name, 'frames', content, 'a number')
        shape = (1, int(content), 17)
        yield dict(frame_dir=Path(name).stem, label=0, img_shape=(4, 5), total_frames=shape[1],
                   keypoint=np.full((*shape, 2), 3, np.float16),
                   keypoint_score=np.ones(shape, np.float16)), ('train', )
'''


@pytest.fixture(scope='module')
def cluster():
    ray = pytest.importorskip('ray', reason='needs the extra cluster')
    ray.init(num_cpus=2, log_to_driver=False, logging_level='warning', runtime_env=dict(
        env_vars=dict(PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1')))
    yield
    ray.shutdown()


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    path = tmp_path / 'ray_test_plugin.py'
    path.write_text(PLUGIN)
    monkeypatch.setattr(sys, 'path', list(sys.path))
    monkeypatch.setenv('COLUMNS', '300')
    yield path
    for registry, name in ((POSE_ESTIMATORS, 'ray_pose'), (SOURCES, 'ray_numbers')):
        registry.module_dict.pop(name, None)
    sys.modules.pop('ray_test_plugin', None)


def write_video(path, level):
    """Frames of one gray level above and of another, which grows, below."""
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, (160, 120))
    for i in range(FRAMES):
        frame = np.full((120, 160, 3), level, np.uint8)
        frame[60:] = 30 + 20 * i
        writer.write(frame)
    writer.release()


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob('*'))
            if path.is_file()}


def test_extraction_on_ray_equals_one_process_despite_ended_workers(cluster, plugin, tmp_path,
                                                                    capsys):
    videos, log = tmp_path / 'videos', tmp_path / 'frames.txt'
    for i, level in enumerate((20, 40, 60, 100)):
        write_video(videos / f'day{i % 2}' / f'{i}.avi', level)
    (videos / 'broken.avi').write_bytes(b'no video')

    def run(out, *options):
        extract.main([str(videos), '--out', str(tmp_path / out / 'poses.pkl'), '--plugin',
                      str(plugin), '--estimator', 'ray_pose', *options])
        return capsys.readouterr().out

    log.write_text('0 100\n' * 9)  # no process ends
    shown = run('local')
    assert '4 of 5 videos, 0 of them from an earlier run, 1 skipped' in shown
    log.write_text('')
    write_video(videos / 'poison.avi', 200)
    shown = run('ray', '--ray', '--shard', '0/2')  # the first, the third and the fifth
    assert 'videos, 0 of them from an earlier run' in shown
    assert 'run the other shards' in shown
    shown = run('ray', '--ray')
    assert '4 of 6 videos, 2 of them from an earlier run, 2 skipped' in shown
    assert f'{videos}/broken.avi: video: found no frame that can be decoded' in shown
    assert f'{videos}/poison.avi: {ATTEMPTS} processes ended at it' in shown
    done = files_of(tmp_path / 'ray')
    part = done.pop(Path('poses_poses/poison.avi.jsonl.part'))
    assert part == b''
    done.pop(Path('poses_poses/.poison.avi.json.lock'), None)  # of a process that was killed
    assert done == files_of(tmp_path / 'local')
    lines = [line.split() for line in log.read_text().splitlines()]
    processes = {level: [pid for pid, other in lines if int(other) == level]
                 for level in (20, 40, 60, 100, 200)}
    assert [len(processes[level]) for level in (20, 40, 60)] == [FRAMES] * 3
    # the fourth frame is estimated again, by another process
    assert len(processes[100]) == FRAMES + 1
    assert len(set(processes[100])) == 2
    assert len(set(processes[200])) >= ATTEMPTS
    assert str(os.getpid()) not in {pid for pid, _ in lines}


def test_preparation_on_ray_equals_one_process(cluster, plugin, tmp_path, capsys):
    for i in range(30):
        path = tmp_path / 'in' / f'{i}.txt'
        path.parent.mkdir(exist_ok=True)
        path.write_text('many' if i == 7 else str(1 + i))

    def run(out, *options):
        prepare_command.main(['ray_numbers', str(tmp_path / 'in'), str(tmp_path / out),
                              '--plugin', str(plugin), *options])
        return capsys.readouterr().out.replace(out, 'FILE')

    assert '29 clips, 457 frames, 1 of 30 files skipped' in run('b.arrow', '--ray')
    run('a.arrow', '--workers', '0')
    assert (tmp_path / 'a.arrow').read_bytes() == (tmp_path / 'b.arrow').read_bytes()
    (tmp_path / 'in/20.txt').write_text('end')
    with pytest.raises(AnnotationError, match=rf"'20.txt' .*: {ATTEMPTS} processes ended at it"):
        run('c.arrow', '--ray')
    (tmp_path / 'in/20.txt').write_text('21')
    assert '29 clips, 457 frames' in run('c.arrow', '--ray')
    assert (tmp_path / 'a.arrow').read_bytes() == (tmp_path / 'c.arrow').read_bytes()


def test_error_on_ray_is_that_of_the_function(cluster):
    assert sorted(run_on_ray(abs, range(-5, 0))) == [(i, -i) for i in range(-5, 0)]
    with pytest.raises(TypeError, match='bad operand') as caught:
        list(run_on_ray(abs, ['text']))
    assert 'Traceback' in str(caught.value.__cause__)
    with pytest.raises(WorkerEndedError, match=rf'{ATTEMPTS} workers ended (.|\n)*/nowhere'):
        list(run_on_ray(abs, [1], setup=partial(os.chdir, '/nowhere')))
    assert list(run_on_ray(abs, [])) == []


def test_ray_that_is_not_installed_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ModuleNotFoundError, match=r'--ray needs Ray: pip install'):
        list(run_on_ray(abs, [1]))
