"""Counts and pictures of inspect_annotations.py."""
import numpy as np
import pytest
from PIL import Image

from mofm.annotations import dump_annotations
from tests.test_tools.tool_runner import here


def run(*args):
    return here('data/inspect_annotations.py', *args, check=False, COLUMNS='120')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Twelve clips with 10 to 21 frames, the left wrist missing in half of them; one is bad."""
    folder, rng = tmp_path_factory.mktemp('inspect'), np.random.default_rng(0)
    clips = []
    for i in range(12):
        shape = (1 + i % 2, 10 + i, 17)
        score = np.full(shape, .25 if i < 3 else .75, np.float16)
        score[..., 9] = score[..., 9] if i % 2 else 0
        clips.append(dict(frame_dir=f'c{i}', label=i % 2, img_shape=(480, 640),
                          total_frames=shape[1], keypoint_score=score,
                          keypoint=rng.uniform(10, 400, (*shape, 2)).astype(np.float16)))
    clips[11]['label'] = 7
    data = dict(split=dict(train=[f'c{i}' for i in range(8)], val=[f'c{i}' for i in range(8, 12)]),
                annotations=clips, metainfo=dict(classes=['sit', 'stand']))
    for suffix in ('.pkl', '.arrow'):
        dump_annotations(data, folder / f'ann{suffix}')
    return folder


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
def test_inspect_annotations_counts_clips_and_problems(files, suffix):
    done = run(files / f'ann{suffix}')
    out = done.stdout
    assert done.returncode == 1, done.stderr  # there is a problem
    rows = [[cell.strip() for cell in line.split('│')[1:-1]] for line in out.splitlines()]
    assert ['sit', '4', '2'] in rows
    assert ['stand', '4', '1'] in rows
    assert ['total', '8', '3'] in rows
    frames = sum(range(10, 21))
    assert f'frames   {frames} in 11 clips: 10 to 20, median 15' in out
    assert '6 x 1, 5 x 2' in out
    assert '11 x (480, 640)' in out
    poses = sum((1 + i % 2) * (10 + i) for i in range(11))
    wrist = sum((1 + i % 2) * (10 + i) for i in range(1, 11, 2))
    assert f'joints of {poses} poses' in out
    shares = {row[0]: row[1] for row in rows if len(row) == 3 and '%' in row[1]}
    assert shares['left_wrist'] == f'{wrist / poses:.1%}'
    assert shares['nose'] == '100.0%'
    low = sum((1 + i % 2) * (10 + i) * (17 if i % 2 else 16) for i in range(3))
    counts = {row[0]: row[1] for row in rows if len(row) == 3}
    assert counts['0.2 to 0.3'] == str(low)
    assert counts['missing'] == str(poses - wrist)
    assert '1 problems in 12 clips' in out
    assert 'annotation 11: label: found 7' in out


def test_inspect_writes_sheets(files):
    for name in ('sheet.png', 'sheet.gif'):
        done = run(files / 'ann.pkl', '--split', 'train', '--sheet', files / name, '--clips', 3)
        assert done.returncode == 0, done.stderr
        assert f'{name}: 3 clips' in done.stdout
        with Image.open(files / name) as image:
            assert getattr(image, 'n_frames', 1) > 15 or name == 'sheet.png'  # equal ones merge
            pixels = np.asarray(image.convert('RGB'))
        assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20


def test_inspect_errors_are_one_line(files):
    for args, words in ((('nowhere.pkl', ), 'no such file'),
                        ((files / 'ann.pkl', '--split', 'x'), "no split 'x', expected one of")):
        done = run(*args)
        assert done.returncode == 1
        assert words in done.stderr
        assert 'Traceback' not in done.stderr
