"""Annotation files joined by the names of their classes."""

import numpy as np
import pytest

from mofm.annotations import dump_annotations, load_annotations
from tests.test_tools.tool_runner import here


def write(path, classes, labels, layout='coco17', split='train'):
    names = [f'clip{i}' for i in range(len(labels))]
    dump_annotations(dict(
        split={split: names} if split else {}, annotations=[
            dict(frame_dir=name, label=label, img_shape=(100, 100), total_frames=2,
                 keypoint=np.full((1, 2, 17, 2), 10. + i, np.float32),
                 keypoint_score=np.ones((1, 2, 17), np.float32))
            for i, (name, label) in enumerate(zip(names, labels, strict=True))],
        metainfo=dict(classes=classes, layout=layout) if classes else dict(layout=layout)), path)
    return path


def join(*args, **kwargs):
    return here('data/join_annotations.py', *args, **kwargs)


@pytest.fixture
def files(tmp_path):
    return (write(tmp_path / 'a.pkl', ['walk', 'throw'], [1, 0]),
            write(tmp_path / 'b.pkl', ['sitDown', 'walk_around', 'throw'], [0, 1, 2]))


def test_classes_of_one_name_and_those_named_the_same_are_one(files, tmp_path):
    out = tmp_path / 'all.pkl'
    done = join(*files, '--same', 'walk=walk_around', 'sit_down=sitDown', '--out', out)
    data = load_annotations(out)
    assert data['metainfo'] == dict(classes=['walk', 'throw', 'sit_down'], layout='coco17')
    assert {a['frame_dir']: a['label'] for a in data['annotations']} == {
        'a/clip0': 1, 'a/clip1': 0, 'b/clip0': 2, 'b/clip1': 0, 'b/clip2': 1}
    np.testing.assert_array_equal(data['annotations'][3]['keypoint'], 11)  # b/clip1
    assert data['split'] == dict(
        train=['a/clip0', 'a/clip1', 'b/clip0', 'b/clip1', 'b/clip2'],
        a_train=['a/clip0', 'a/clip1'], b_train=['b/clip0', 'b/clip1', 'b/clip2'])
    assert [line.split() for line in done.stdout.splitlines()[:3]] == [
        ['walk', '2'], ['throw', '2'], ['sit_down', '1']]


def test_what_cannot_be_joined_is_named(files, tmp_path):
    a, b = files
    other = tmp_path / 'other'
    other.mkdir()
    cases = [
        ([a, write(tmp_path / 'c.pkl', None, [0])],
         'c.pkl: metainfo.classes: found none, expected the names of the labels in order'),
        ([a, write(tmp_path / 'd.pkl', ['x'], [0], 'halpe26')],
         "d.pkl: metainfo.layout: found halpe26, expected coco17"),
        ([a, write(other / 'a.pkl', ['x'], [0])], 'name: found 2 files of this name'),
        ([a, write(tmp_path / 'e.pkl', ['x'], [1])], 'label: found 1, expected 0 to 0'),
        ([a, b, '--same', 'walk=walkAround'], '--same: found walkAround, expected some of'),
        ([a, b, '--same', 'walk'], "--same: found 'walk', expected NAME=CLASS,CLASS"),
        ([a, b, '--same', 'x=walk', 'y=walk'], "--same: found 'walk' in 'x' and in 'y'")]
    for args, message in cases:
        done = join(*args, '--out', tmp_path / 'all.pkl', check=False)
        assert done.returncode == 1
        assert message in done.stderr, args
    assert not (tmp_path / 'all.pkl').exists()
