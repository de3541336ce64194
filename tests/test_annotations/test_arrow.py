"""Annotations in a memory-mapped Arrow file."""
import pickle
import re
import resource

import numpy as np
import pyarrow as pa
import pytest
from torch.utils.data import DataLoader

from mofm.annotations import AnnotationError, dump_annotations, load_annotations, validate
from mofm.annotations.arrow import ArrowFile
from mofm.datasets import MotionDataset, TrackWindowDataset, motion_collate


def clip(i, persons=1, joints=17, **fields):
    """A valid annotation with ``3 + i`` frames."""
    rng = np.random.default_rng(i)
    shape = (persons, 3 + i, joints)
    return dict(frame_dir=f'clip{i}', label=i % 3, img_shape=(100 + i, 200), total_frames=3 + i,
                keypoint=(rng.random((*shape, 2)) * 90 + 1).astype(np.float16),
                keypoint_score=rng.random(shape).astype(np.float16) / 2 + np.float16(.5), **fields)


def boxes(persons, frames):
    """Boxes (M, T, 4) that grow."""
    low = np.arange(persons * frames, dtype=np.float16).reshape(persons, frames, 1)
    return np.concatenate([low, low, 2 * low + 1, 2 * low + 1], -1)


@pytest.fixture
def data():
    """Clips of one to three persons, tracks, labels of frames, segments, and an empty one."""
    clips = [clip(i, 1 + i % 3) for i in range(6)]
    clips[2].update(box=boxes(3, 5), track_id=np.array([3, 1, 2]), fps=25.)
    clips += [clip(6, clip='video', track_id=4, frame_inds=np.arange(9) * 3,
                   frame_label=np.arange(9) - 1),
              clip(7, 2, box=boxes(2, 10), track_id=np.array([5, 2**40]), fps=29.97,
                   frame_label=np.arange(20).reshape(2, 10),
                   segments=np.array([[1, 0, 4], [2, 3, 9]])),
              dict(clip(8), keypoint=np.zeros((0, 11, 17, 2), np.float16),
                   keypoint_score=np.zeros((0, 11, 17), np.float16))]
    return dict(split=dict(train=['clip1', 'clip3', 'clip6', 'clip8'], test=['clip0', 'clip3']),
                annotations=clips, metainfo=dict(classes=['a', 'b', 'c']))


@pytest.fixture
def file(data, tmp_path):
    dump_annotations(data, tmp_path / 'a.arrow')
    return tmp_path / 'a.arrow'


def test_arrow_round_trip_keeps_every_field(data, file):
    read = load_annotations(file)
    assert read['split'] == data['split']
    assert read['metainfo'] == data['metainfo']
    for ann, expected in zip(read['annotations'], data['annotations'], strict=True):
        assert ann.keys() == expected.keys()
        for name, value in expected.items():
            assert np.array_equal(ann[name], value), name
        assert isinstance(ann['label'], int)
        assert isinstance(ann['img_shape'], tuple)


def test_arrow_batch_size_does_not_change_rows(data, tmp_path, monkeypatch):
    monkeypatch.setattr('mofm.annotations.arrow._ROWS', 2)
    dump_annotations(data, tmp_path / 'b.arrow')
    file = ArrowFile(tmp_path / 'b.arrow')
    assert len(file._batches) == 5
    assert len(file) == 9
    assert file.ids() == [ann['frame_dir'] for ann in data['annotations']]
    assert {k: v.tolist() for k, v in file.splits().items()} == dict(train=[1, 3, 6, 8],
                                                                     test=[0, 3])
    for row in (8, 0, 5, 3):
        np.testing.assert_array_equal(file[row]['keypoint'], data['annotations'][row]['keypoint'])


@pytest.mark.parametrize('options', [
    dict(), dict(split='train'), dict(split='train', test_mode=True), dict(classes=[2, 0]),
    dict(split='test', exemplar_split='train', test_mode=True), dict(repeat=3),
    dict(indices=[3, 1])
])
def test_arrow_dataset_equals_pickle(data, file, tmp_path, options):
    dump_annotations(data, tmp_path / 'a.pkl')
    mapped, loaded = (MotionDataset(str(path), **options)
                      for path in (file, tmp_path / 'a.pkl'))
    assert len(mapped) == len(loaded)
    assert mapped.metainfo == loaded.metainfo
    for a, b in zip(mapped, loaded, strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert np.array_equal(a[name], b[name]), name


def test_arrow_windows_equal_pickle(data, file, tmp_path):
    dump_annotations(data, tmp_path / 'a.pkl')
    mapped, loaded = (TrackWindowDataset(str(path), seg_len=4, min_len=3)
                      for path in (file, tmp_path / 'a.pkl'))
    assert len(mapped) == len(loaded) > 10
    for a, b in zip(mapped, loaded, strict=True):
        np.testing.assert_array_equal(a['keypoint'], b['keypoint'])
        assert (a['clip'], a['frame'], a['track_id']) == (b['clip'], b['frame'], b['track_id'])


def test_arrow_workers_share_the_file(file):
    dataset = MotionDataset(str(file), split='train', pipeline=[
        dict(type='mofm.UniformSampleFrames', clip_len=4), dict(type='mofm.PoseCompact'),
        dict(type='mofm.ThermalCubeFormat', num_frames=4, canvas=12, patch=4),
        dict(type='mofm.PackMotionInputs')])
    for context in ('fork', 'spawn'):
        loader = DataLoader(dataset, 3, num_workers=1, collate_fn=motion_collate,
                            multiprocessing_context=context)
        (batch, ) = loader
        assert batch['inputs']['keypoints'].shape == (3, 2, 17, 4, 3)


def test_arrow_file_opens_without_memory(tmp_path):
    """100 MB of keypoints, of which 10 clips are read."""
    big = clip(0)
    big.update(total_frames=15000, keypoint=np.full((1, 15000, 17, 2), 50, np.float16),
               keypoint_score=np.ones((1, 15000, 17), np.float16))
    dump_annotations(dict(split={}, annotations=[dict(big, frame_dir=f'{i}') for i in range(66)]),
                     tmp_path / 'big.arrow')
    assert (tmp_path / 'big.arrow').stat().st_size > 1e8
    with open('/proc/self/statm') as f:
        before = int(f.read().split()[5])  # data pages of this process alone
    dataset = MotionDataset(str(tmp_path / 'big.arrow'))
    assert dataset[3]['keypoint'].shape == (1, 15000, 17, 2)
    with open('/proc/self/statm') as f:
        grown = (int(f.read().split()[5]) - before) * resource.getpagesize()
    assert grown < 3e7


def test_arrow_annotations_of_another_layout_are_reported_at_opening(file):
    with pytest.raises(AnnotationError, match='keypoint: found 17, expected 20 joints'):
        MotionDataset(str(file), layout='kinect20', on_error='raise')


def test_arrow_label_out_of_range_is_reported_at_opening(data, tmp_path):
    del data['metainfo']
    dump_annotations(data, tmp_path / 'a.arrow')
    with pytest.raises(AnnotationError, match=r'label: found 2, expected an integer in \[0, 2\)'):
        MotionDataset(str(tmp_path / 'a.arrow'), num_classes=2, on_error='raise')


def change_rows(file, **columns):
    """Write other values to columns of an ``.arrow`` file, by row; null for None."""
    table = pa.ipc.open_file(file).read_all()
    for name, rows in columns.items():
        values = table.column(name).to_pylist()
        for row, value in rows.items():
            values[row] = value
        i = table.schema.get_field_index(name)
        table = table.set_column(i, table.schema.field(i), pa.array(values, table.schema.types[i]))
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)


F2 = np.float16
#: Values of row 4, which has 7 frames of 2 persons, and the field of the problem.
BAD_ROWS = {
    'null id': (dict(frame_dir=None), 'frame_dir: found nothing'),
    'name': (dict(frame_dir='a\nb'), 'frame_dir: found'),
    'clip': (dict(clip='a\0'), 'clip: found'),
    **{f'null {name}': ({name: None}, f'{name}: found nothing')
       for name in ('label', 'height', 'width', 'num_person', 'total_frames', 'num_joints',
                    'keypoint', 'keypoint_score')},
    'persons': (dict(num_person=1), 'keypoint: found 476 numbers'),
    'negative persons': (dict(num_person=-2), 'keypoint: found 476 numbers'),
    'negative persons and frames': (dict(num_person=-2, total_frames=-7), 'keypoint: found 476'),
    'huge frames': (dict(total_frames=2**31 - 1, num_person=2**31 - 1), 'keypoint: found 476'),
    'huge frames without persons': (dict(total_frames=2**31 - 1, num_person=0, keypoint=[],
                                         keypoint_score=[]), 'total_frames: found 2147483647'),
    'joints': (dict(num_joints=16), 'keypoint: found 476 numbers'),
    'short': (dict(keypoint=[F2(1)]), 'keypoint: found 1 numbers'),
    'empty': (dict(keypoint=[]), 'keypoint: found 0 numbers'),
    'score': (dict(keypoint_score=[F2(1)] * 237), 'keypoint_score: found 237 numbers'),
    'nan': (dict(keypoint=[F2(1)] * 475 + [F2('nan')]), 'keypoint: found nan'),
    'infinite': (dict(keypoint=[F2('-inf')] + [F2(1)] * 475), 'keypoint: found -inf'),
    'far': (dict(keypoint=[F2(-2001)] + [F2(1)] * 475), 'keypoint: found -20'),
    'nan score': (dict(keypoint_score=[F2('nan')] * 238), 'keypoint_score: found nan'),
    'large score': (dict(keypoint_score=[F2(101)] * 238), 'keypoint_score: found 101'),
    'null number': (dict(keypoint=[None] + [F2(1)] * 475), 'keypoint: found a null'),
    'image': (dict(height=0), 'img_shape: found'),
    'track': (dict(track_id=3), 'track_id: found 3 for'),
    'frames': (dict(frame_inds=[0, 1, 2, 3, 4, 5, 5]), 'frame_inds: found negative'),
    'few frames': (dict(frame_inds=[0]), r'frame_inds: found shape \(1,\)'),
    'late frames': (dict(frame_inds=[0, 1, 2, 3, 4, 5, 2**31 - 1]), 'frame_inds: found negative'),
    'negative frames': (dict(frame_inds=[-1, 1, 2, 3, 4, 5, 6]), 'frame_inds: found negative'),
    'null frame': (dict(frame_inds=[0, 1, 2, 3, 4, 5, None]), 'frame_inds: found a null'),
    'labels': (dict(frame_label=[1] * 5), r'frame_label: found shape \(5,\)'),
    'box': (dict(box=[F2(1)] * 55), r'box: found ndarray|box: found float16 of shape \(55,\)'),
    'box of nan': (dict(box=[F2('nan')] * 56), 'box: found other numbers'),
    'box of width': (dict(box=[F2(0)] * 50 + [F2(9), F2(9), F2(3), F2(3)] + [F2(1)] * 2),
                     'box: found other numbers'),
    'null box': (dict(box=[None] * 56), 'box: found a null'),
    'ids': (dict(track_ids=[1, 2, 3]), 'track_id: found'),
    'fps': (dict(fps=0.), 'fps: found 0.0'), 'fps nan': (dict(fps=float('nan')), 'fps: found nan'),
    'segments': (dict(segments=[1, 2]), r'segments: found shape \(2,\)'),
    'segment': (dict(segments=[1, 5, 2]), 'segments: found negative'),
}


@pytest.mark.parametrize('name', sorted(BAD_ROWS))
def test_arrow_bad_row_is_skipped_and_counted(data, tmp_path, name):
    values, words = BAD_ROWS[name]
    path = tmp_path / 'a.arrow'
    dump_annotations(data, path)
    change_rows(path, **{column: {4: value} for column, value in values.items()})
    for test_mode in (False, True):
        dataset = MotionDataset(str(path), test_mode=test_mode)
        (problem, ) = [p for p in dataset.problems if 'all joints missing' not in str(p)]
        assert problem.index == 4
        assert re.search(rf'a\.arrow: annotation 4: {words}', str(problem)), problem
        names = [item['frame_dir'] for item in dataset]
        assert names == [f'clip{i}' for i in range(9) if i != 4 and (test_mode or i != 8)]
    with pytest.raises(AnnotationError, match=rf'annotation 4: {words}'):
        MotionDataset(str(path), on_error='raise', test_mode=True)
    read = load_annotations(path)['annotations']
    assert [validate(ann, allow_empty=True) is None for ann in read] == [i != 4 for i in range(9)]


def test_arrow_valid_rows_are_not_suspects(data, file):
    suspects = ArrowFile(file).suspects()
    assert np.flatnonzero(suspects).tolist() == [7]  # has segments, which are always looked at


def test_arrow_file_without_later_columns_is_read(data, file):
    """As of versions before boxes and IDs of several persons."""
    table = pa.ipc.open_file(file).read_all().drop_columns(['fps', 'box', 'track_ids'])
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    read = load_annotations(file)['annotations']
    assert len(read) == len(data['annotations'])
    for ann, expected in zip(read, data['annotations'], strict=True):
        kept = expected.keys() - {'box', 'fps'} - ({'track_id'} if expected['keypoint'].shape[
            0] > 1 else set())
        assert ann.keys() == kept
        assert np.array_equal(ann['keypoint'], expected['keypoint'])


@pytest.mark.parametrize('compression', ['lz4', 'zstd'])
def test_arrow_compressed_batch_is_refused_unread(file, compression):
    table = pa.ipc.open_file(file).read_all()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table)
    with pytest.raises(AnnotationError, match=r'a\.arrow: .*found a compressed record batch'):
        MotionDataset(str(file))


@pytest.mark.parametrize('metainfo', ['[1]', 'null', '{', '[' * 10**5, '{"classes": 3}',
                                      '{"classes": {"0": "a"}}', '{"a":' * 80 + '1' + '}' * 80])
def test_arrow_metainfo_of_another_form_is_named(file, metainfo):
    table = pa.ipc.open_file(file).read_all().replace_schema_metadata({'mofm': metainfo})
    with pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    with pytest.raises(AnnotationError, match=r'a\.arrow: '):
        MotionDataset(str(file))


@pytest.mark.parametrize(('score', 'visible'), [(5e-5, False), (2e-4, True)])
def test_arrow_joint_is_visible_by_the_score_threshold(score, visible, tmp_path):
    ann = clip(0)
    ann['keypoint_score'] = np.full_like(ann['keypoint_score'], score)
    dump_annotations(dict(split={}, annotations=[ann]), tmp_path / 'a.arrow')
    assert ArrowFile(tmp_path / 'a.arrow').column('visible').tolist() == [visible]
    assert (validate(ann) is None) == visible


def test_arrow_unknown_split_and_missing_file_are_named(file):
    with pytest.raises(AnnotationError, match="no split 'val', expected one of"):
        MotionDataset(str(file), split='val')
    with pytest.raises(AnnotationError, match='no such file'):
        MotionDataset('nowhere.arrow')


def clips_or_error(path):
    try:
        return [dict(item) for item in MotionDataset(str(path), test_mode=True)], None
    except AnnotationError as error:
        return None, str(error)


def test_arrow_truncated_file_is_named(tmp_path):
    path = tmp_path / 'a.arrow'
    dump_annotations(dict(split={}, annotations=[clip(i, 2) for i in range(4)]), path)
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 50, dtype=int):
        path.write_bytes(content[:length])
        _, error = clips_or_error(path)
        assert 'a.arrow' in error


def test_arrow_damaged_file_is_named_or_gives_valid_clips(tmp_path):
    path, rng, errors = tmp_path / 'a.arrow', np.random.default_rng(0), 0
    anns = [clip(i, 2, box=boxes(2, 3 + i), track_id=np.arange(2), fps=30.) for i in range(4)]
    dump_annotations(dict(split={}, annotations=anns), path)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(200):
        damaged = content.copy()
        damaged[rng.integers(0, len(content), rng.integers(1, 9))] = rng.integers(0, 256)
        path.write_bytes(damaged)
        clips, error = clips_or_error(path)
        assert 'a.arrow' in error if clips is None else not any(map(validate, clips))
        errors += clips is None
    assert 10 < errors < 190


def test_arrow_dataset_pickles_without_its_store(file):
    dataset = MotionDataset(str(file))
    assert len(pickle.dumps(dataset)) < 5000


@pytest.mark.parametrize(('field', 'value'), [
    ('keypoint', 65505.), ('keypoint', -1e30), ('keypoint_score', 1e5), ('frame_label', 2**31),
    ('segments', -2**40)])
def test_arrow_numbers_that_overflow_are_refused(data, tmp_path, field, value):
    ann = data['annotations'][0]
    shape = dict(frame_label=(ann['total_frames'], ), segments=(1, 3)).get(field)
    ann[field] = np.zeros(shape, np.int64) if shape else ann[field].astype(np.float64)
    ann[field].flat[0] = value
    with pytest.raises(AnnotationError, match=f"'clip0': {field}: found numbers that are too"):
        dump_annotations(data, tmp_path / 'a.arrow')
    assert not list(tmp_path.iterdir())


def test_arrow_class_names_are_checked_when_opened(data, tmp_path):
    data['metainfo'] = dict(classes=['a', 'b\udcff', 'c'])
    dump_annotations(data, tmp_path / 'a.arrow')
    with pytest.raises(AnnotationError, match=r"a.arrow: metainfo.classes: found 'b\\udcff'"):
        MotionDataset(str(tmp_path / 'a.arrow'))
