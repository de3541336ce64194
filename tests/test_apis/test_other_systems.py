"""Inference on Windows and macOS, as far as this system can tell."""

import os
import subprocess
import sys

from tests import other_systems


def test_everything_is_imported_and_infers_without_unix(tiny, tmp_path):
    cfg, checkpoint = tiny('jigsaw')
    cfg.dump(tmp_path / 'config.py')
    path = [other_systems.ROOT, *{tool.parent for tool in other_systems.tools()}]
    run = subprocess.run(
        [sys.executable, other_systems.__file__, tmp_path / 'config.py', checkpoint, tmp_path],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(map(str, path))), capture_output=True,
        text=True, timeout=600, check=False)
    assert not run.returncode, run.stderr[-3000:]
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'a.png', 'index.html', 'table.csv']


def test_other_systems_lists_all_modules_and_tools():
    assert {'mofm.pose_estimation.extract', 'mofm.utils.locks', 'projects.tmor.unik',
            'projects.comparison_tiny'} <= set(other_systems.names())
    assert {'demo.py', 'prepare.py', 'compare.py', 'video_features.py'} <= {
        path.name for path in other_systems.tools()}
