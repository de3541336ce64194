"""MotionDataset: selection, conversion, and reports of bad annotations."""

import pickle

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mofm.annotations import AnnotationError, dump_annotations, load_annotations
from mofm.datasets import MotionDataset, motion_dataset
from mofm.registry import DATASETS
from mofm.structures import convert, get_layout
from tests.test_annotations.samples import BAD, assert_same, clip


@pytest.fixture
def ann_file(tmp_path):
    """Six clips of three classes; two named splits; one split names an absent clip."""
    anns = [clip(1 + i % 2, 4 + i, label=i % 3, name=f'clip{i}') for i in range(6)]
    path = tmp_path / 'set.pkl'
    split = dict(train=[f'clip{i}' for i in (3, 0, 1, 4)], test=['clip2', 'clip5'],
                 odd=['clip1', 'gone'])
    dump_annotations(dict(split=split, annotations=anns), path)
    return str(path)


def spoil(tmp_path, *bad, good=2, split=None):
    anns = [clip(name=f'good{i}') for i in range(good)] + list(bad)
    path = tmp_path / 'spoilt.pkl'
    path.write_bytes(pickle.dumps(anns if split is None else
                                  dict(split=split, annotations=anns)))
    return str(path)


def test_dataset_split_keeps_file_order(ann_file):
    dataset = MotionDataset(ann_file, split='train')
    assert [d['frame_dir'] for d in dataset] == ['clip0', 'clip1', 'clip3', 'clip4']
    assert [d['sample_idx'] for d in dataset] == [0, 1, 2, 3]
    assert dataset.problems == []


@pytest.mark.parametrize('serialize', [True, False])
def test_dataset_items_equal_the_annotations(ann_file, serialize):
    item = MotionDataset(ann_file, split='test', serialize_data=serialize)[1]
    assert item.pop('sample_idx') == 1
    assert_same(item, clip(2, 9, label=2, name='clip5'))
    assert type(item['keypoint']) is np.ndarray
    assert item['keypoint'].dtype == np.float16


def test_dataset_items_are_copies(ann_file):
    dataset = MotionDataset(ann_file, serialize_data=False)
    dataset[0]['keypoint'][:] = 0
    assert dataset[0]['keypoint'].all()


@pytest.mark.parametrize('suffix', ['.npz', '.json'])
def test_dataset_of_every_format_is_the_same(ann_file, tmp_path, suffix):
    other = tmp_path / f'set{suffix}'
    dump_annotations(load_annotations(ann_file), other)
    for a, b in zip(MotionDataset(ann_file, split='train'),
                    MotionDataset(str(other), split='train'), strict=True):
        assert_same(a, b)


def test_dataset_reads_plain_list_without_splits(tmp_path):
    path = spoil(tmp_path)
    assert len(MotionDataset(path)) == 2
    with pytest.raises(AnnotationError, match="no split 'train', the file has no splits"):
        MotionDataset(path, split='train')


def test_dataset_takes_filename_for_frame_dir(tmp_path):
    anns = [clip(name=f'wrong{i}', filename=f'video{i}') for i in range(2)]
    path = tmp_path / 'a.pkl'
    path.write_bytes(pickle.dumps(dict(split={'val': ['video1']}, annotations=anns)))
    assert [d['frame_dir'] for d in MotionDataset(str(path), split='val')] == ['video1']


def test_dataset_unknown_split_lists_known_ones(ann_file):
    with pytest.raises(AnnotationError, match=r"no split 'val'.*\['odd', 'test', 'train'\]"):
        MotionDataset(ann_file, split='val')


def test_dataset_reports_split_ids_without_annotation(ann_file):
    dataset = MotionDataset(ann_file, split='odd')
    assert len(dataset) == 1
    assert "'gone' without annotation" in str(dataset.problems[0])
    with pytest.raises(AnnotationError, match="'gone' without annotation"):
        MotionDataset(ann_file, split='odd', on_error='raise')


@pytest.mark.parametrize('name', sorted(BAD.keys() - {'objects'}))  # refused earlier
def test_dataset_skips_and_counts_bad_annotations(tmp_path, name, monkeypatch):
    printed = []
    monkeypatch.setattr(motion_dataset, 'print_log', lambda text, *_: printed.append(text))
    bad = BAD[name][0]
    path = spoil(tmp_path, bad)
    dataset = MotionDataset(path, num_classes=5, skip_labels=True)
    assert len(dataset) == 2
    assert [p.index for p in dataset.problems] == [2]
    assert len(printed) == 1
    assert 'skipped 1 of 3' in printed[0]
    assert 'annotation 2' in printed[0]
    with pytest.raises(AnnotationError, match='spoilt.pkl: annotation 2: '):
        MotionDataset(path, num_classes=5, on_error='raise')


def test_dataset_skips_bad_first_annotation(tmp_path):
    dataset = MotionDataset(spoil(tmp_path, [1], clip(name='good'), good=0))
    assert len(dataset) == 1
    assert dataset.problems[0].index == 0


def test_dataset_without_good_annotation_names_reason(tmp_path):
    with pytest.raises(AnnotationError, match='(?s)none of 1 .*values that are NaN'):
        MotionDataset(spoil(tmp_path, BAD['NaN'][0], good=0))


def test_dataset_in_test_mode_keeps_empty_clips(tmp_path):
    path = spoil(tmp_path, BAD['all scores 0'][0], BAD['no persons'][0])
    dataset = MotionDataset(path, test_mode=True)
    assert len(dataset) == 4
    assert dataset[3]['keypoint'].shape == (0, 6, 17, 2)


def test_dataset_class_names_limit_labels(tmp_path):
    path = tmp_path / 'a.pkl'
    dump_annotations(dict(split={}, annotations=[clip(label=1), clip(label=2)],
                          metainfo=dict(classes=['walk', 'run'])), path)
    with pytest.raises(AnnotationError, match=r'found 2 \(1 annotations\), expected 0 to 1'):
        MotionDataset(str(path))
    dataset = MotionDataset(str(path), skip_labels=True)
    assert len(dataset) == 1
    assert dataset.problems[0].found == '2'
    assert dataset.metainfo['classes'] == ['walk', 'run']


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
@pytest.mark.parametrize(('labels', 'words'), [
    ([1, 2, 3, 3], r'label: found 3 \(2 annotations\), expected 0 to 2, as num_classes=3; correc'
     r't the labels \(do they start at 1\?\) or num_classes'),
    ([0, 1, 2, 7, -1, 7], r'found -1 \(1 annotations\), 7 \(2 annotations\), expected 0 to 2, as n'
     'um_classes=3; correct the labels or num_classes, or skip these annotations by skip_labels='),
    ([5] * 4, r'found 5 \(4 annotations\)')])
@pytest.mark.parametrize('test_mode', [False, True])
def test_dataset_with_labels_out_of_range_is_an_error(tmp_path, suffix, labels, words, test_mode):
    """They would be left out of the training, or of the accuracy, by a line of the log."""
    path = str(tmp_path / f'a{suffix}')
    dump_annotations(dict(split={}, annotations=[
        clip(label=label, name=f'clip{i}') for i, label in enumerate(labels)]), path)
    with pytest.raises(AnnotationError, match=words):
        MotionDataset(path, num_classes=3, test_mode=test_mode)
    if len({*labels} & {0, 1, 2}):
        dataset = MotionDataset(path, num_classes=3, skip_labels=True)
        assert len(dataset) == sum(0 <= label < 3 for label in labels)
        assert f'skipped {len(labels) - len(dataset)} of {len(labels)} ann' in dataset.skipped


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
def test_dataset_counts_labels_and_names(ann_file, tmp_path, suffix):
    path = str(tmp_path / f'b{suffix}')
    dump_annotations(load_annotations(ann_file), path)
    train, test = (MotionDataset(path, split=split) for split in ('train', 'test'))
    assert train.label_counts == {0: 2, 1: 2}
    assert MotionDataset(path, classes=[2, 0]).label_counts == {0: 2, 1: 2}
    assert not np.isin(train.name_hashes, test.name_hashes).any()
    assert np.isin(test.name_hashes, MotionDataset(path).name_hashes).all()


def test_dataset_with_another_number_of_class_names_is_an_error(tmp_path):
    path = str(tmp_path / 'a.pkl')
    dump_annotations(dict(split={}, annotations=[clip()],
                          metainfo=dict(classes=['walk', 'run'])), path)
    with pytest.raises(AnnotationError, match='a.pkl: metainfo.classes: found 2 names, expec'):
        MotionDataset(path, num_classes=3)


def test_dataset_selects_and_renumbers_classes(ann_file):
    dataset = MotionDataset(ann_file, classes=[2, 0])
    assert [(d['frame_dir'], d['label']) for d in dataset] == [
        ('clip0', 1), ('clip2', 0), ('clip3', 1), ('clip5', 0)]
    assert dataset.get_cat_ids(1) == [0]


def test_dataset_repeat_multiplies_samples(ann_file):
    dataset = MotionDataset(ann_file, split='test', repeat=3)
    assert len(dataset) == 6
    assert [d['sample_idx'] for d in dataset] == [0, 1, 0, 1, 0, 1]
    assert dataset[-1]['frame_dir'] == 'clip5'
    with pytest.raises(IndexError):
        dataset[6]


@pytest.mark.parametrize(('layout', 'joints'), [('penn13', 13), ('body25', 25)])
def test_dataset_converts_layouts_to_coco(tmp_path, layout, joints):
    ann = clip(joints=joints)
    path = spoil(tmp_path, ann, good=0)
    item = MotionDataset(path, layout=layout)[0]
    keypoint, score = convert(ann['keypoint'], ann['keypoint_score'], layout)
    np.testing.assert_array_equal(item['keypoint'], keypoint)
    np.testing.assert_array_equal(item['keypoint_score'], score)
    with pytest.raises(AnnotationError, match=f'{joints}, 2.*17 joints'):
        MotionDataset(path)


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
def test_dataset_converts_to_another_layout(tmp_path, suffix):
    if suffix == '.arrow':
        pytest.importorskip('pyarrow')
    ann, path = clip(), str(tmp_path / f'a{suffix}')
    dump_annotations(dict(split={}, annotations=[ann]), path)
    dataset = MotionDataset(path, layout='posetrack17', to_layout='h36m17')
    joints = get_layout('posetrack17').joints
    neck, *hips = (ann['keypoint'][..., joints.index(name), :].astype(np.float64)
                   for name in ('neck', 'left_hip', 'right_hip'))
    item = dataset[0]['keypoint']
    np.testing.assert_array_equal(item[..., 8, :], neck)  # COCO-17 has none
    np.testing.assert_allclose(item[..., 7, :], neck / 2 + sum(hips) / 4, rtol=2e-3)
    assert dataset.metainfo['layout'] == 'h36m17'
    assert dataset.metainfo['left_kp'] == [4, 5, 6, 11, 12, 13]
    assert dataset.metainfo['right_kp'] == [1, 2, 3, 14, 15, 16]


def test_dataset_metainfo_names_layout_and_sides(ann_file):
    meta = MotionDataset(ann_file, lazy_init=True).metainfo
    assert meta['layout'] == 'coco17'
    assert meta['left_kp'] == [1, 3, 5, 7, 9, 11, 13, 15]
    assert meta['right_kp'] == [2, 4, 6, 8, 10, 12, 14, 16]


def test_dataset_subset_and_indices_choose_samples(ann_file):
    assert [d['frame_dir'] for d in MotionDataset(ann_file).get_subset([4, 1])] == [
        'clip4', 'clip1']
    assert len(MotionDataset(ann_file, indices=3)) == 3


def test_dataset_from_config_runs_in_workers(ann_file):
    init_default_scope('mofm')
    dataset = DATASETS.build(dict(
        type='MotionDataset', ann_file=ann_file, split='train',
        pipeline=[lambda r: r['frame_dir']]))
    assert [n for batch in DataLoader(dataset, 2, num_workers=2) for n in batch] == [
        'clip0', 'clip1', 'clip3', 'clip4']


@pytest.mark.parametrize(('options', 'words'), [
    (dict(on_error='ignore'), "on_error: found 'ignore'"), (dict(repeat=0), 'repeat: found 0'),
    (dict(layout='coco16'), 'unknown joint layout'), (dict(classes=[1, 1]), 'a label twice')])
def test_dataset_names_bad_options(ann_file, options, words):
    with pytest.raises(ValueError, match=words):
        MotionDataset(ann_file, **options)


def test_dataset_names_missing_file(tmp_path):
    with pytest.raises(AnnotationError, match='no such file'):
        MotionDataset(str(tmp_path / 'none.pkl'))


@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
def test_file_with_normalized_coordinates_is_refused_at_opening(suffix, tmp_path):
    """They would put every body into one pixel."""
    if suffix == '.arrow':
        pytest.importorskip('pyarrow')
    rng = np.random.default_rng(0)
    anns = [dict(frame_dir=f'{i}', label=0, img_shape=(480, 640), total_frames=9,
                 keypoint=rng.uniform(.1, .9, (1, 9, 17, 2)),
                 keypoint_score=np.ones((1, 9, 17))) for i in range(3)]
    dump_annotations(dict(split={}, annotations=anns), tmp_path / f'a{suffix}')
    with pytest.raises(AnnotationError, match='(?s)none of 3 annotations.*annotation 0: keypoint'
                       ': found coordinates from 0.1 to 0.89.*expected pixels'):
        MotionDataset(str(tmp_path / f'a{suffix}'))
    anns[1]['keypoint'] = anns[1]['keypoint'] * [640, 480]
    dump_annotations(dict(split={}, annotations=anns), tmp_path / f'a{suffix}')
    dataset = MotionDataset(str(tmp_path / f'a{suffix}'))
    assert len(dataset) == 1
    assert len(dataset.problems) == 2


@pytest.mark.parametrize('split', [None, 'train'])
def test_names_of_several_clips_are_logged_with_their_number(tmp_path, monkeypatch, split):
    lines = []
    monkeypatch.setattr(motion_dataset, 'print_log', lambda text, *_: lines.append(text))
    file = spoil(tmp_path, clip(name='good0'), clip(name='good0'), good=3,
                 split=dict(train=['good0', 'good1']))
    assert len(MotionDataset(file, split=split)) == (5, 4)[split == 'train']
    line, = lines
    assert "found names of several clips: 'good0' (3 clips), expected one clip per" in line
    MotionDataset(spoil(tmp_path, good=3))
    assert len(lines) == 1
