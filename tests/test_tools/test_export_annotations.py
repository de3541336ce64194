"""Annotation files to other formats and corrected poses back, by the two tools."""

import json

import cv2
import numpy as np
import pytest

from mofm.annotations import dump_annotations, load_annotations
from tests.test_annotations.test_corrections import annotate, exported, region
from tests.test_tools.tool_runner import here
from tests.test_writers.annotations import in_3d, tracked


def export(*args, **kwargs):
    return here('data/export_annotations.py', *args, **kwargs)


@pytest.fixture(params=['.pkl', '.arrow'])
def file(tmp_path, request):
    """Two recordings, of which one is for training, and an invalid one."""
    path = tmp_path / f'mine{request.param}'
    bad = tracked('bad')
    bad['keypoint'][0, 0, 0] = np.nan
    dump_annotations(dict(
        split=dict(train=['a/1'], val=['b'], none=['bad']), annotations=[
            tracked('a/1'), tracked('b', label=0, frames=(3, ), ids=(0, )), bad],
        metainfo=dict(classes=['sit', 'walk'])), path)
    return path


@pytest.mark.parametrize(('to', 'name', 'files'), [
    ('coco', 'out.json', ['out.json']),
    ('csv', 'out.csv', ['out.csv']),
    ('parquet', 'out.parquet', ['out.parquet']),
    ('alphapose', 'out', ['out/a_1.json', 'out/b.json']),
    ('cvat', 'out', ['out/a_1.json', 'out/b.json', 'out/labels.json']),
    ('label_studio', 'out.1', ['out.1/config.xml', 'out.1/tasks.json'])])
def test_export_writes_poses_labels_and_lists_and_reports_the_invalid(file, to, name, files):
    folder = file.parent / 'new'
    done = export(file, folder / name, '--to', to, check=False)
    assert done.returncode == 1
    assert '1 annotations are invalid and left out' in done.stdout
    assert '2 annotations of 2 videos' in done.stdout
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob('*.*')
                  if path.is_file()) == sorted(files + [
                      f'{"out.1" if name == "out.1" else "out"}_{end}' for end in (
                          'labels.json', 'none.txt', 'train.txt', 'val.txt')])
    labels = json.loads(next(folder.glob('*_labels.json')).read_text())
    assert labels['classes'] == ['sit', 'walk']
    assert labels['annotations'][0] == dict(
        frame_dir='a/1', clip='a/1', split=['train'], img_shape=[480, 640], label=1,
        total_frames=4, frame_inds=[0, 1, 2, 5])
    train = next(folder.glob('*_train.txt')).read_text()
    assert train == ('a_1 1\n' if to == 'alphapose' else 'a/1 1\n')


def test_export_of_a_split_has_its_annotations_only(file):
    out = file.parent / 'out.json'
    export(file, out, '--to', 'coco', '--split', 'val', check=False)
    data = json.loads(out.read_text())
    assert [video['name'] for video in data['videos']] == ['b']
    assert [image['frame_id'] for image in data['images']] == [3]
    done = export(file, out, '--to', 'coco', '--split', 'no', check=False)
    assert "found 'no', expected one of ['none', 'train', 'val']" in done.stderr


@pytest.mark.parametrize(('args', 'message'), [
    (['out.csv', '--to', 'coco'], "found 'out.csv', expected a .json file"),
    (['out', '--to', 'alphapose', '--images', 'x'], '--images is for cvat and label_studio'),
    (['out', '--to', 'trc', '--fps', '0'], '--fps: found 0.0, expected above 0'),
    (['out', '--to', 'cvat', '--split', 'none'], "split: found no valid annotation in 'none'"),
    (['out', '--to', 'trc', '--fps', '30'], 'found 2D joints in pixels'),
    (['out', '--to', 'alphapose', '--layout', 'h36m17'], "layout: found 'h36m17'"),
    (['out.json', '--to', 'coco', '--layout', 'kinect25'], 'set the layout to one of')])
def test_export_that_does_not_fit_is_refused(file, args, message):
    out, *rest = args
    done = export(file, file.parent / out, *rest, check=False)
    assert message in done.stderr.replace(f'{file.parent}/', '')
    assert not (file.parent / out).exists()


def test_export_does_not_overwrite_its_input(tmp_path):
    path = tmp_path / 'a.json'
    dump_annotations(dict(split={}, annotations=[tracked()]), path)
    before = path.read_bytes()
    done = export(path, path, '--to', 'coco', check=False)
    assert 'the input, expected another file' in done.stderr
    assert path.read_bytes() == before


def test_export_refuses_two_clips_of_one_name_but_not_two_tracks(tmp_path):
    """They would be two persons of one video."""
    path, out = tmp_path / 'a.pkl', tmp_path / 'out.json'
    names = ('run', 'walk', 'run')
    dump_annotations(dict(split={}, annotations=[
        tracked(name, ids=(0, ), frames=(i, i + 1)) for i, name in enumerate(names)]), path)
    done = export(path, out, '--to', 'coco', check=False)
    assert "frame_dir: found names of several clips: 'run' (2 clips), expected" in done.stderr
    assert not out.exists()
    dump_annotations(dict(split={}, annotations=[
        tracked(name, ids=(0, ), track_id=i) for i, name in enumerate(names)]), path)
    export(path, out, '--to', 'coco')
    data = json.loads(out.read_text())
    assert [video['name'] for video in data['videos']] == ['run', 'walk']
    assert {a['track_id'] for a in data['annotations'] if a['video_id'] == 1} == {0, 2}


def test_export_of_3d_joints(tmp_path):
    dump_annotations(dict(split={}, annotations=[in_3d(persons=2)]), tmp_path / 'a.pkl')
    export(tmp_path / 'a.pkl', tmp_path / 'out', '--to', 'trc', '--fps', '25')
    export(tmp_path / 'a.pkl', tmp_path / 'out', '--to', 'bvh', '--fps', '25')
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'jump+0.trc', 'jump+1.trc', 'jump+0.bvh', 'jump+1.bvh'}
    assert (tmp_path / 'out_labels.json').is_file()
    done = export(tmp_path / 'a.pkl', tmp_path / 'b.json', '--to', 'coco', check=False)
    assert 'found 3D joints in meters' in done.stderr


def test_export_is_read_back_by_its_source_with_labels_and_splits(tmp_path):
    data = dict(split=dict(train=['a/1'], val=['b']), annotations=[
        tracked('a/1', track_id=np.array([7, 9])), tracked('b', label=0, track_id=np.array([1, 2]))
    ], metainfo=dict(classes=['sit', 'walk']))
    for ann in data['annotations']:
        ann['keypoint_score'][1] *= np.float16(.5)  # persons come back by their scores
    dump_annotations(data, tmp_path / 'a.pkl')
    for to, suffix in (('coco', '.json'), ('csv', '.csv'), ('alphapose', '')):
        out = tmp_path / f'{to}{suffix}'
        export(tmp_path / 'a.pkl', out, '--to', to)
        here('data/prepare.py', 'table' if to == 'csv' else to, out, tmp_path / 'back.pkl',
             '--max-gap', 0, '--workers', 1, '--layout', 'coco17', '--img-shape', 480, 640,
             '--list', 'train', tmp_path / f'{to}_train.txt',
             '--list', 'val', tmp_path / f'{to}_val.txt')
        back = load_annotations(tmp_path / 'back.pkl')
        names = dict(coco=['coco/a/1', 'coco/b'], csv=['a/1', 'b'], alphapose=['a_1', 'b'])[to]
        assert back['split'] == dict(train=names[:1], val=names[1:])
        for ann, expected, name in zip(back['annotations'], data['annotations'], names,
                                       strict=True):
            assert ann['frame_dir'] == name
            for field in ('keypoint', 'keypoint_score', 'frame_inds', 'track_id'):
                np.testing.assert_array_equal(ann[field], expected[field], f'{to} {field}')
            assert ann['label'] == expected['label']
            assert tuple(ann['img_shape']) == (480, 640)


def test_images_of_the_frames_are_written(tmp_path):
    dump_annotations(dict(split={}, annotations=[
        tracked('walk', frames=(1, 3)), tracked('run')]), tmp_path / 'a.pkl')
    frames = tmp_path / 'videos' / 'walk'
    frames.mkdir(parents=True)
    for i in range(5):
        cv2.imwrite(str(frames / f'{i}.png'), np.full((48, 64, 3), 40 * i, np.uint8))
    done = export(tmp_path / 'a.pkl', tmp_path / 'out', '--to', 'label_studio', '--images',
                  tmp_path / 'videos')
    images = sorted((tmp_path / 'out' / 'images').rglob('*.jpg'))
    assert [path.relative_to(tmp_path / 'out').as_posix() for path in images] == [
        'images/walk/frame_000001.jpg', 'images/walk/frame_000003.jpg']
    assert [round(cv2.imread(str(path)).mean()) for path in images] == [40, 120]
    assert "no video of 'run'" in done.stdout
    assert "images have 64 x 48 pixels, the poses of 'walk' are for 640 x 480" in ' '.join(
        done.stdout.split())
    assert '2 images' in done.stdout
    task = json.loads((tmp_path / 'out' / 'tasks.json').read_text())[0]
    assert task['data']['image'] == '/data/local-files/?d=images/walk/frame_000001.jpg'


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow', '.json'])
def test_corrected_poses_come_back(tmp_path, suffix):
    path, out = tmp_path / f'a{suffix}', tmp_path / f'corrected{suffix}'
    data = dict(split=dict(train=['walk'], val=['run']), annotations=[
        tracked('walk'), tracked('run')], metainfo=dict(classes=['sit', 'walk']))
    dump_annotations(data, path)
    export(path, tmp_path / 'ls', '--to', 'label_studio')
    tasks = annotate(json.loads((tmp_path / 'ls' / 'tasks.json').read_text()))
    region(tasks[0], 'person_0_nose')['value'].update(x=50, y=25)
    (tmp_path / 'export.json').write_text(json.dumps(tasks[:2]))
    export(path, tmp_path / 'cvat', '--to', 'cvat')
    video = exported(json.loads((tmp_path / 'cvat' / 'run.json').read_text()))
    video['annotations'][0]['keypoints'][:2] = [11, 12]
    (tmp_path / 'person_keypoints_default.json').write_text(json.dumps(video))
    done = here('data/correct_annotations.py', path, out, tmp_path / 'export.json',
                tmp_path / 'person_keypoints_default.json')
    assert '6 frames in the export' in done.stdout
    assert 'poses: 2 changed, 0 added, 0 deleted' in done.stdout
    assert 'joints: 2 moved, 0 added, 0 deleted' in done.stdout
    found = load_annotations(out)
    assert found['split'] == data['split']
    assert found['metainfo'] == data['metainfo']
    walk, run = found['annotations']
    assert walk['keypoint'][0, 0, 0].tolist() == [320, 120]
    assert run['keypoint'][0, 0, 0].tolist() == [11, 12]
    for ann, before in zip(found['annotations'], data['annotations'], strict=True):
        before['keypoint'][0, 0, 0] = ann['keypoint'][0, 0, 0]
        before['keypoint_score'][0, 0, 0] = 1
        np.testing.assert_array_equal(ann['keypoint'], before['keypoint'])
        np.testing.assert_array_equal(ann['keypoint_score'], before['keypoint_score'])
        np.testing.assert_array_equal(ann['frame_inds'], before['frame_inds'])


def test_frame_in_two_exports_is_refused(tmp_path):
    dump_annotations(dict(split={}, annotations=[tracked()]), tmp_path / 'a.pkl')
    export(tmp_path / 'a.pkl', tmp_path / 'out', '--to', 'cvat')
    done = here('data/correct_annotations.py', tmp_path / 'a.pkl', tmp_path / 'b.pkl',
                *[tmp_path / 'out' / 'walk.json'] * 2, check=False)
    assert "found frame 0 of 'walk' as in another export" in done.stderr
    assert not (tmp_path / 'b.pkl').exists()
