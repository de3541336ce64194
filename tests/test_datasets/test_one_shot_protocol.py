"""One-shot protocol of NTU-120, and exemplars in MotionDataset."""

import pickle

import pytest

from mofm.annotations import AnnotationError, dump_annotations
from mofm.datasets import (
    NTU120_EXEMPLARS,
    NTU120_NOVEL,
    MotionDataset,
    PackMotionInputs,
    ThermalCubeFormat,
    ntu120_one_shot,
)
from tests.test_annotations.samples import BAD, clip

# as the authors of the data set list them
EXEMPLARS = [f'S001C003P008R001A{a}' for a in (
    '001', '007', '013', '019', '025', '031', '037', '043', '049', '055')] + [
    f'S018C003P008R001A{a}' for a in (
        '061', '067', '073', '079', '085', '091', '097', '103', '109', '115')]


def names():
    """Two setups of each half of the data set, two cameras, one person."""
    return [f'S{s:03}C{c:03}P008R001A{a:03}' for s in (1, 2, 18, 19) for c in (2, 3)
            for a in (range(1, 61) if s < 18 else range(61, 121))]


def annotations():
    return [dict(frame_dir=n, label=int(n[-3:]) - 1) for n in names()]


def test_ntu120_one_shot_lists_equal_official_ones():
    assert list(NTU120_EXEMPLARS) == EXEMPLARS
    assert NTU120_NOVEL[:3] == (0, 6, 12)
    assert NTU120_NOVEL[-1] == 114
    assert len(NTU120_NOVEL) == 20


def test_ntu120_one_shot_splits_follow_protocol():
    splits = ntu120_one_shot(annotations())
    assert {k: len(v) for k, v in splits.items()} == dict(
        oneshot_train=4 * 2 * 50, oneshot_val=4 * 2 * 10 - 20, oneshot_exemplar=20)
    assert sum(splits.values(), []) != names()
    assert set(sum(splits.values(), [])) == set(names())
    assert {int(n[-3:]) % 6 for n in splits['oneshot_train']} == {0, 2, 3, 4, 5}
    assert 'S001C002P008R001A001' in splits['oneshot_val']


@pytest.mark.parametrize(('change', 'words'), [
    (lambda a: a.pop(names().index(EXEMPLARS[12])), r'exemplar S018C003P008R001A073: .*1 of 20'),
    (lambda a: a[5].update(label=4), "annotation 5: found name 'S001C002P008R001A006' with label"),
    (lambda a: a[7].update(frame_dir='0001'), "annotation 7: found name '0001'"),
    (lambda a: a.__setitem__(0, None), 'annotation 0')])
def test_one_shot_splits_refuse_other_files(change, words):
    anns = annotations()
    change(anns)
    with pytest.raises(AnnotationError, match=words):
        ntu120_one_shot(anns)


@pytest.fixture
def ann_file(tmp_path):
    """Five clips; two are exemplars, one of them in the split too."""
    path = tmp_path / 'set.pkl'
    split = dict(val=['clip1', 'clip2', 'clip3'], exemplar=['clip0', 'clip3'],
                 gone=['clip0', 'clip9'])
    dump_annotations(dict(split=split, annotations=[clip(name=f'clip{i}') for i in range(5)]),
                     path)
    return str(path)


def test_dataset_exemplars_join_the_split(ann_file):
    dataset = MotionDataset(ann_file, split='val', exemplar_split='exemplar')
    assert [(d['frame_dir'], d['exemplar']) for d in dataset] == [
        ('clip0', True), ('clip1', False), ('clip2', False), ('clip3', True)]
    everything = MotionDataset(ann_file, exemplar_split='exemplar')
    assert [d['exemplar'] for d in everything] == [True, False, False, True, False]
    assert 'exemplar' not in MotionDataset(ann_file, split='val')[0]


def test_dataset_exemplar_flag_reaches_the_data_sample(ann_file):
    dataset = MotionDataset(
        ann_file, split='val', exemplar_split='exemplar',
        pipeline=[ThermalCubeFormat(num_frames=6), PackMotionInputs()])
    assert [d['data_samples'].exemplar for d in dataset] == [True, False, False, True]


def test_dataset_names_missing_exemplar(ann_file):
    with pytest.raises(AnnotationError, match="set.pkl: split 'gone': found exemplar 'clip9'"):
        MotionDataset(ann_file, split='val', exemplar_split='gone')
    with pytest.raises(AnnotationError, match="no split 'exemplars', expected one of"):
        MotionDataset(ann_file, split='val', exemplar_split='exemplars')


def test_dataset_refuses_bad_exemplar(tmp_path):
    bad = BAD['NaN'][0]
    path = tmp_path / 'bad.pkl'
    path.write_bytes(pickle.dumps(dict(
        split=dict(val=['good', bad['frame_dir']], exemplar=[bad['frame_dir']]),
        annotations=[clip(name='good'), bad])))
    assert len(MotionDataset(str(path), split='val')) == 1
    with pytest.raises(AnnotationError, match="annotation 1: .*NaN.*exemplar of split 'exemplar'"):
        MotionDataset(str(path), split='val', exemplar_split='exemplar')
