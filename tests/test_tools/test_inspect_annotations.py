"""Counts, evidence and pictures of inspect_annotations.py."""
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from mofm.annotations import dump_annotations, load_annotations
from mofm.structures import LAYOUTS
from tests.test_sources.native_files import SAMPLES, mocap, write
from tests.test_tools.tool_runner import here


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Pictures go to work_dirs."""
    monkeypatch.chdir(tmp_path)


def run(*args):
    return here('data/inspect_annotations.py', *args, check=False, COLUMNS='120')


# COCO-17 of a standing person who faces the camera, in heights.
FRONT = np.array([[0, .07], [.02, .05], [-.02, .05], [.04, .07], [-.04, .07], [.1, .18],
                  [-.1, .18], [.13, .35], [-.13, .35], [.14, .5], [-.14, .5], [.06, .47],
                  [-.06, .47], [.06, .71], [-.06, .71], [.06, .95], [-.06, .95]])


def front_clip(name='a', frames=40, **changes):
    """A person of 400 pixels who is turned a little, with other scores in every frame."""
    rng = np.random.default_rng(len(name))
    width = rng.uniform(.7, 1, (frames, 1, 1)) * [1, 0] + [0, 1]
    keypoint = (FRONT * width * 400 + [900, 100])[None]
    ann = dict(frame_dir=name, label=0, img_shape=(540, 960), total_frames=frames,
               keypoint=keypoint, keypoint_score=rng.uniform(.6, 1, (1, frames, 17)))
    return {**ann, **changes}


def inspected(tmp_path, *anns, metainfo=None, args=()):
    dump_annotations(dict(split={}, annotations=list(anns), metainfo=metainfo or {}),
                     tmp_path / 'ann.pkl')
    done = run(tmp_path / 'ann.pkl', '--frames', tmp_path / 'frames.png', *args)
    assert 'Traceback' not in done.stderr, done.stderr
    found = {}
    for line in done.stdout.splitlines():
        for name in ('layout  ', 'units   ', 'image   ', 'upright ', 'rate    ',
                     'left and right, front', 'left and right'):
            if line.startswith(name):
                found.setdefault(name.strip(), line.removeprefix(name).strip())
    return done, found


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


def test_inspect_names_clips_of_one_name(files, tmp_path):
    data = load_annotations(files / 'ann.pkl')
    for index, name in ((3, 'c0'), (4, 'c0'), (7, 'c5'), (11, 'c5')):  # the last one is invalid
        data['annotations'][index]['frame_dir'] = name
    dump_annotations(dict(data, split={}), tmp_path / 'twice.pkl')
    out = run(tmp_path / 'twice.pkl').stdout
    assert "of several clips: 'c0' (3 clips), 'c5' (2 clips), expected one clip per name" in out
    assert 'of several clips' not in run(files / 'ann.pkl').stdout


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


# ------------------------------------------------------------------------------- evidence
def test_inspect_says_layout_units_image_sides_and_rate(tmp_path):
    _, found = inspected(tmp_path, front_clip(fps=25.), front_clip('bb', fps=25.),
                         metainfo=dict(layout='coco17'))
    assert found['layout'] == 'coco17, as the file says'
    assert found['units'] == 'pixels'
    assert found['image'] == '100.0% of the joints are inside'
    assert found['left and right, front'].startswith('view: 100% of 80 people whose face is seen')
    assert 'warning' not in found['left and right, front']
    assert found['rate'] == '25 frames per second'
    _, found = inspected(tmp_path, front_clip())
    assert found['layout'].startswith('coco17, taken for granted (--layout)')
    assert found['rate'] == 'not stated'


def test_inspect_warns_of_a_layout_whose_bones_do_not_fit(tmp_path):
    points, scores = front_clip()['keypoint'], front_clip()['keypoint_score']
    joints, coco = LAYOUTS['h36m17'].joints, LAYOUTS['coco17'].joints
    spine = dict(pelvis=points[..., 11:13, :].mean(-2), neck=points[..., 5:7, :].mean(-2))
    spine['spine'] = (spine['pelvis'] + spine['neck']) / 2
    spine['head'] = points[..., 1:3, :].mean(-2) - [0, 10]
    h36m = np.stack([points[..., coco.index(j), :] if j in coco else spine[j] for j in joints], 2)
    ann = front_clip(keypoint=h36m, keypoint_score=scores)
    _, found = inspected(tmp_path, ann)
    assert 'warning: the lengths of the bones fit' in found['layout']
    assert 'h36m17' in found['layout']
    _, found = inspected(tmp_path, ann, args=('--layout', 'h36m17'))
    assert found['layout'] == 'h36m17, as said'


@pytest.mark.parametrize(('signed', 'words'), [(False, '0 to 1'), (True, '-1 to 1')])
def test_inspect_says_what_normalized_coordinates_are(tmp_path, signed, words):
    unit = front_clip()['keypoint'] / (1800, 540)
    done, found = inspected(tmp_path, front_clip(keypoint=2 * unit - 1 if signed else unit))
    assert found['units'] == f'{words} of the image; warning: expected pixels'
    assert done.returncode == 1
    assert 'keypoint: found coordinates from' in done.stdout


def test_inspect_says_that_height_and_width_are_swapped(tmp_path):
    _, found = inspected(tmp_path, front_clip(img_shape=(960, 540)))
    assert found['image'].endswith('warning: 1 clips fit if height and width are swapped')


def test_inspect_warns_of_people_who_are_upside_down(tmp_path):
    _, found = inspected(tmp_path, front_clip())
    assert found['upright'] == '100% of the poses have the head above the feet'
    turned = front_clip()['keypoint'] * [1, -1] + [0, 540]
    _, found = inspected(tmp_path, front_clip(keypoint=turned))
    assert found['upright'] == ('0% of the poses have the head above the feet; warning: most have '
                                'it below; y is expected to point down')


def test_inspect_warns_of_swapped_sides(tmp_path):
    order = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
    _, found = inspected(tmp_path, front_clip(keypoint=front_clip()['keypoint'][:, :, order]))
    assert found['left and right, front'].startswith('view: 0% of 40')
    assert 'warning: left and right may be swapped' in found['left and right, front']
    same = np.ones((1, 40, 17))  # do not tell the front from the back
    _, found = inspected(tmp_path, front_clip(keypoint_score=same))
    assert found['left and right, front'] == 'view: 0 poses, too few'


@pytest.mark.parametrize('mirrored', [False, True])
def test_inspect_tells_sides_and_units_of_3d_joints(tmp_path, mirrored):
    joints = mocap.walk(30, 'h36m17')[None] * [-1 if mirrored else 1, 1, 1]
    ann = dict(frame_dir='a', label=0, total_frames=30, keypoint=joints)
    ann = dict(ann, img_shape=(1, 1), keypoint_score=np.ones(joints.shape[:3]))
    done, found = inspected(tmp_path, ann, args=('--layout', 'h36m17'))
    assert found['units'].startswith('meters, if bodies extend over 1.')
    assert ('warning' in found['left and right']) == mirrored
    assert found['upright'] == '100% of the poses have the head above the feet, with y up'
    assert done.returncode == 0
    _, found = inspected(tmp_path, dict(ann, keypoint=1000 * joints), args=('--layout', 'h36m17'))
    assert 'warning: no human body has this size' in found['units']
    down = joints * [1, -1, 1]
    _, found = inspected(tmp_path, dict(ann, keypoint=down), args=('--layout', 'h36m17'))
    assert found['upright'] == ('0% of the poses have the head above the feet, with y up; '
                                'warning: most people stand along -y')


# ------------------------------------------------------------------------- frames and native files
def near(pixels, color, most=40):
    return np.abs(pixels.astype(int) - np.array(color)).sum(-1) < most


def test_inspect_draws_three_frames_with_sides_and_border(tmp_path):
    done, _ = inspected(tmp_path, front_clip(), front_clip('bb'), args=('--clip', 'bb'))
    assert 'frames.png: three frames of bb, to check layout and sides by eye' in done.stdout
    with Image.open(tmp_path / 'frames.png') as image:
        pixels = np.asarray(image.convert('RGB'))
    assert pixels.shape[1] > 1000
    for third in np.array_split(pixels, 3, 1):
        lower = third[len(third) // 2:-60]
        left, right = (np.nonzero(near(lower, color))[1] for color in (
            (0, 114, 178), (213, 94, 0)))
        assert min(len(left), len(right)) > 100
        assert left.mean() > right.mean() + 30  # the person faces the camera
        assert near(third[:len(third) // 2], (0, 0, 0), 150).sum() > 500  # border of the image
    assert run(tmp_path / 'ann.pkl', '--clip', 'no').stderr.count("no valid clip 'no'") == 1


def test_inspect_draws_to_work_dirs_by_default(tmp_path):
    dump_annotations(dict(split={}, annotations=[front_clip()]), tmp_path / 'ann.pkl')
    assert run(tmp_path / 'ann.pkl').returncode == 0
    assert (tmp_path / 'work_dirs/inspect/ann.png').is_file()


@pytest.mark.parametrize('archive', [False, True])
def test_inspect_takes_native_files_without_preparing_them(tmp_path, archive):
    path = write(tmp_path / 'walk', SAMPLES['openpose'][1])
    if archive:
        path = shutil.make_archive(str(tmp_path / 'a'), 'zip', path)
    done = run(path, '--frames', tmp_path / 'frames.png')
    assert f"{path}: read as openpose (OpenPose): " in done.stdout
    assert 'the 25 joints are read as those of body25' in done.stdout
    assert 'layout   coco17, as the file says' in done.stdout
    assert '0 problems in 1 clips' in done.stdout
    assert (tmp_path / 'frames.png').is_file()


def test_inspect_takes_options_of_a_source(tmp_path):
    file = write(tmp_path, {'a.bvh': mocap.bvh()}) / 'a.bvh'
    done = run(file, '--source', 'bvh', '--source-options', 'keep_3d=True')
    assert 'units    meters, if bodies extend' in done.stdout
    assert 'rate     30 frames per second' in done.stdout
    (tmp_path / 'b.json').write_text('{"a": 1}')
    assert "format: found a JSON object with ['a']" in run(tmp_path / 'b.json').stderr


def test_inspect_takes_filename_for_frame_dir(tmp_path):
    ann = front_clip()
    ann['filename'] = ann.pop('frame_dir')
    (tmp_path / 'old.pkl').write_bytes(pickle.dumps([ann]))
    done = run(tmp_path / 'old.pkl', '--frames', tmp_path / 'frames.png')
    assert done.returncode == 0, done.stdout
    assert f'three frames of {ann["filename"]}' in done.stdout
