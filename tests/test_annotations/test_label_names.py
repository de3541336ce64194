"""Names of labels for files without names."""

import pytest

from mofm.annotations import LABEL_NAMES, dump_annotations
from mofm.datasets import MotionDataset
from tests.test_annotations.samples import clip


@pytest.mark.parametrize(('name', 'count', 'known'), [
    ('ntu60', 60, {0: 'drink water', 42: 'falling', 59: 'walking apart from each other'}),
    ('ntu120', 120, {42: 'falling', 60: 'put on headphone', 111: 'high-five'}),
    ('penn_action', 15, {0: 'baseball_pitch', 14: 'tennis_serve'}),
    ('nw_ucla', 10, {2: 'drop_trash', 9: 'carry'}),
    ('jhmdb', 21, {0: 'brush_hair', 9: 'pullup', 20: 'wave'}),
    ('msr_action3d', 20, {5: 'high throw', 13: 'forward kick', 19: 'pickup and throw'}),
    ('florence3d', 9, {0: 'wave', 4: 'tight lace', 8: 'bow'}),
    ('utd_mhad', 27, {5: 'cross arms in the chest', 16: 'tennis serve', 23: 'sit to stand'}),
    ('msrc12', 12, {1: 'Duck', 11: 'Kick'}), ('sbu', 8, {3: 'pushing', 7: 'punching'}),
    ('utkinect', 10, {0: 'walk', 9: 'clapHands'}), ('tsu', 51, {}), ('smarthome', 31, {}),
    ('pku_mmd', 51, {0: 'bow', 50: 'writing'}),
    ('charades', 157, {59: 'Sitting in a chair', 97: 'Walking through a doorway'})])
def test_label_names_equal_the_papers(name, count, known):
    names = LABEL_NAMES[name]
    assert len(names) == len(set(names)) == count
    assert all(names[label] == action for label, action in known.items())


@pytest.fixture(params=['.pkl', '.arrow'])
def ann_file(request, tmp_path):
    """Clips of labels 0, 2 and 14 without names."""
    path = tmp_path / f'set{request.param}'
    dump_annotations(dict(split={}, annotations=[
        clip(label=label, name=f'clip{label}') for label in (0, 2, 14)]), path)
    return str(path)


def test_label_names_fill_file_without_names(ann_file):
    dataset = MotionDataset(ann_file, class_names='penn_action')
    assert dataset.metainfo['classes'] == list(LABEL_NAMES['penn_action'])
    assert dataset.num_classes == 15
    assert len(dataset) == 3
    chosen = MotionDataset(ann_file, class_names='penn_action', classes=[14, 0])
    assert chosen.metainfo['classes'] == ['tennis_serve', 'baseball_pitch']
    assert 'classes' not in MotionDataset(ann_file).metainfo


def test_label_names_make_larger_labels_invalid(ann_file):
    dataset = MotionDataset(ann_file, class_names='utkinect', skip_labels=True)
    assert len(dataset) == 2
    assert dataset.problems[0].found == '14'


def test_label_names_of_the_file_win(tmp_path):
    path = tmp_path / 'a.pkl'
    dump_annotations(dict(split={}, annotations=[clip(label=1)],
                          metainfo=dict(classes=['a', 'b'])), path)
    dataset = MotionDataset(str(path), class_names='ntu60')
    assert dataset.metainfo['classes'] == ['a', 'b']
    assert dataset.num_classes == 2


def test_label_names_unknown_set_or_count_is_named(ann_file):
    with pytest.raises(ValueError, match="class_names: found 'ntu', expected one of .*'ntu60'"):
        MotionDataset(ann_file, class_names='ntu')
    with pytest.raises(ValueError, match='num_classes: found 60, expected 120, the number of '
                       "labels of class_names='ntu120'"):
        MotionDataset(ann_file, class_names='ntu120', num_classes=60)
