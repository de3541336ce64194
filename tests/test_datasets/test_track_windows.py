"""TrackWindowDataset: windows against the rule of STG-NF, and their contents."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from mmengine.registry import init_default_scope
from torch.utils.data import DataLoader

from mofm.annotations import AnnotationError, dump_annotations, load_annotations, validate
from mofm.datasets import TrackWindowDataset, track_windows
from mofm.registry import DATASETS
from tests.test_annotations.samples import clip


def track(frames, name='v/0', **fields):
    """A person whose x is the frame of the video."""
    frames = np.arange(frames) if isinstance(frames, int) else np.asarray(frames)
    ann = clip(frames=len(frames), name=name, dtype=np.float32, clip=name.split('/')[0],
               track_id=int(name.split('/')[1]), frame_inds=frames, **fields)
    ann['keypoint'][..., 0] = frames[:, None]
    return ann


@pytest.fixture
def build(tmp_path):
    def build(*anns, file='tracks.pkl', **options):
        path = tmp_path / file
        dump_annotations(dict(split={}, annotations=copy.deepcopy(list(anns))), path)
        return TrackWindowDataset(str(path), **options)

    return build


def starts(dataset):
    return [item['keypoint'][0, 0, 0, 0] for item in dataset]


def windows_of_stg_nf(frames, seg_len, stride, max_missing):
    """Start frames, by the loops of the protocol."""
    out = []
    for i in range(int(np.ceil((len(frames) - seg_len) / stride))):
        start = frames[i * stride]
        rows = frames[i * stride:i * stride + seg_len]
        if len(set(rows) & set(range(start, start + seg_len))) >= seg_len - max_missing:
            out.append(start)
    return out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from([1, 1, 1, 1, 1, 1, 2, 3]), min_size=1, max_size=40),
                min_size=1, max_size=3),
       st.integers(1, 12), st.integers(1, 5), st.integers(0, 4))
def test_track_windows_equal_stg_nf(tmp_path_factory, steps, seg_len, stride, max_missing):
    frames = [np.cumsum(s) for s in steps]
    expected = [start for f in frames
                for start in windows_of_stg_nf(f.tolist(), seg_len, stride, max_missing)]
    assume(expected)
    path = tmp_path_factory.mktemp('tracks') / 'a.pkl'
    dump_annotations(dict(split={}, annotations=[
        track(f, f'v/{i}') for i, f in enumerate(frames)]), path)
    dataset = TrackWindowDataset(str(path), seg_len=seg_len, stride=stride, min_len=seg_len + 1,
                                 max_missing=max_missing)
    assert starts(dataset) == expected
    assert [d['frame'] for d in dataset] == [start + seg_len // 2 for start in expected]
    assert {d['total_frames'] for d in dataset} == {seg_len}


@pytest.mark.parametrize(('rows', 'windows'), [
    (23, []), (24, [12]), (47, [23]), (48, [24]), (49, [24]), (54, [24]), (55, [24, 30])])
def test_track_windows_of_short_tracks_hold_all_rows(build, rows, windows):
    """Up to 48 rows: one window of all of them; beyond: ceil((T - 48) / 6) windows of 48."""
    dataset = build(track(rows, 'v/0'), track(60, 'w/3'), stride=6)
    mine = [d for d in dataset if d['clip'] == 'v']
    assert [d['frame'] for d in mine] == windows
    assert all(d['keypoint'].shape == (1, 48, 17, 2) for d in mine)
    assert [d['frame'] for d in dataset if d['clip'] == 'w'] == [24, 30]
    assert dataset.empty_clips == ([] if windows else ['v'])


def test_track_window_holds_its_rows(build):
    frames = np.r_[100:130, 132:160]
    ann = track(frames, 'v/7', frame_label=(frames > 130).astype(np.int8))
    dataset = build(ann, seg_len=10, stride=4)
    item = dataset[5]  # from row 20
    np.testing.assert_array_equal(item['keypoint'], ann['keypoint'][:, 20:30])
    np.testing.assert_array_equal(item['keypoint_score'], ann['keypoint_score'][:, 20:30])
    assert item['keypoint'].dtype == item['keypoint_score'].dtype == np.float32
    del item['keypoint'], item['keypoint_score']
    assert item == dict(total_frames=10, img_shape=(480, 640), label=0, frame_dir='v', clip='v',
                        track_id=7, frame=125, sample_idx=5)
    item['keypoint'] = 0
    assert dataset[5]['keypoint'].any()


def test_track_windows_of_dense_annotation_equal_single_tracks(build):
    """Persons of one annotation, absent in some frames, or one annotation each."""
    dense = clip(3, 40, dtype=np.float32, name='v',
                 frame_label=(np.arange(120).reshape(3, 40) > 50).astype(int))
    dense['keypoint_score'][0, 30:] = 0
    dense['keypoint'][1, :5] = 0
    dense['keypoint_score'][2] = 5e-5
    rows = [np.arange(30), np.arange(5, 40)]
    sparse = [dict(clip(frames=len(r), dtype=np.float32, name=f'v/{m}'), clip='v', track_id=m,
                   frame_inds=r, keypoint=dense['keypoint'][m:m + 1, r],
                   keypoint_score=dense['keypoint_score'][m:m + 1, r],
                   frame_label=dense['frame_label'][m, r]) for m, r in enumerate(rows)]
    a, b = (build(*anns, file=f'{name}.pkl', seg_len=10)
            for name, anns in (('dense', [dense]), ('sparse', sparse)))
    assert len(a) == len(b) == 20 + 25
    for x, y in zip(a, b, strict=True):
        np.testing.assert_equal(x, y)


LABELS = np.zeros(30, int)
LABELS[12:18], LABELS[25] = 1, 2


@pytest.mark.parametrize(('options', 'expected'), [
    (dict(), range(7, 13)), (dict(label_at='start'), range(12, 18)),
    (dict(abnormal_labels=[1, 2], label_at='start'), range(12, 18)),
    (dict(abnormal_labels=[2]), [20]),
    (dict(abnormal_labels=[0]), [*range(7), *range(13, 20)])])
def test_track_window_label_follows_rule(build, options, expected):
    """Windows of 10 start at 0...19, their middle row is 5 later."""
    dataset = build(track(30, frame_label=LABELS), seg_len=10, **options)
    assert [d['frame'] - 5 for d in dataset if d['label']] == [s for s in expected if s < 20]
    assert [dataset.get_cat_ids(i) for i in range(20)] == [[d['label']] for d in dataset]


def test_track_window_stretches_short_track(build):
    """Every row in order, the first and the last where they were."""
    ann = track(25)
    item = build(ann, seg_len=48)[0]
    rows = [np.flatnonzero((ann['keypoint'][0] == k).all((1, 2)))[0] for k in item['keypoint'][0]]
    assert rows[0] == 0
    assert rows[-1] == 24
    assert set(rows) == set(range(25))
    assert set(np.diff(rows)) == {0, 1}
    assert item['total_frames'] == 48


def test_track_window_of_short_track_has_label_of_its_middle(build):
    label = np.zeros(25, int)
    label[12] = 1
    assert build(track(25, frame_label=label))[0]['label'] == 1
    assert build(track(25))[0]['label'] == 0


def test_track_windows_share_label_of_clip_frames(build):
    dataset = build(clip(2, 30, frame_label=LABELS), seg_len=10)
    assert [d['frame'] for d in dataset if d['label']] == [*range(12, 18)] * 2


def test_track_windows_normal_only_drops_abnormal_rows(build):
    dataset = build(track(30, frame_label=LABELS), seg_len=10, normal_only=True)
    assert starts(dataset) == [0, 1, 2, 18, 19]
    with pytest.raises(AnnotationError, match='none of 20 windows is left.*normal_only'):
        build(track(30, frame_label=np.ones(30, int)), seg_len=10, normal_only=True)


@pytest.mark.parametrize(('balance', 'times'), [(.25, 1), (.5, 2), (1, 3), (2, 5)])
def test_track_windows_balance_repeats_abnormal_ones(build, balance, times):
    """6 of 20 windows are abnormal: ceil(balance * 14 / 6) times, the least that is enough."""
    dataset = build(track(30, frame_label=LABELS), seg_len=10, balance=balance)
    labels = [d['label'] for d in dataset]
    assert labels.count(0) == 14
    assert labels.count(1) == 6 * times
    assert 6 * times >= balance * 14
    assert (times == 1 or 6 * (times - 1) < balance * 14)
    assert [d['sample_idx'] for d in dataset] == list(range(len(dataset)))


@pytest.mark.parametrize(('anns', 'options', 'words'), [
    ([track(20), track(23, 'w/0')], {}, 'none of 2 tracks is long enough.*seg_len=48.*min_len=24.*'
     'longest has 23 frames'),
    ([track(48)], dict(min_len=49), 'longest has 48 frames'),
    ([track(np.arange(60) * 2)], {}, '12 miss more than max_missing=2 frames'),
    ([track(60)], dict(balance=.25), r'balance=0.25 requires abnormal.*abnormal_labels=\(1,\)')])
def test_track_windows_without_any_say_why(build, anns, options, words):
    with pytest.raises(AnnotationError, match=words):
        build(*anns, **options)


def test_track_windows_count_clips_without_a_window(build, monkeypatch):
    printed = []
    monkeypatch.setattr(track_windows, 'print_log', lambda text, *_: printed.append(text))
    empty = clip(0, 5, name='nobody')
    dataset = build(track(60), track(10, 'w/0'), track(5, 'v/1'), empty, test_mode=True)
    assert dataset.empty_clips == ['w', 'nobody']
    assert len(printed) == 1
    assert '2 of 3 clips have no window' in printed[0]


WRONG = {
    'clip': (dict(clip=3), 'clip: found 3'),
    'track_id': (dict(track_id='a'), "track_id: found 'a'"),
    'track_id of two': (dict(track_id=1, persons=2), 'track_id: found .*for one person'),
    'descending': (dict(frame_inds=np.arange(60)[::-1]), 'frame_inds: .*ascend'),
    'twice': (dict(frame_inds=np.arange(60) // 2), 'frame_inds: .*ascend'),
    'negative': (dict(frame_inds=np.arange(60) - 1), 'frame_inds: .*negative'),
    'unsigned descending': (dict(frame_inds=np.arange(60, dtype=np.uint8)[::-1]), 'ascend'),
    'large': (dict(frame_inds=np.arange(60) + 2**40), 'frame_inds: .*too large'),
    'short': (dict(frame_inds=np.arange(59)), r'frame_inds: found shape \(59,\)'),
    'float': (dict(frame_inds=np.arange(60.)), 'frame_inds: found array .* type float64'),
    'list': (dict(frame_inds=list(range(60))), 'frame_inds: found list'),
    'labels': (dict(frame_label=np.zeros((2, 60), int)), r'frame_label: found shape \(2, 60\)'),
    'text': (dict(frame_label=np.full(60, 'a')), 'frame_label: found array .* type <U1'),
}


@pytest.mark.parametrize('name', sorted(WRONG))
def test_track_windows_report_wrong_optional_fields(build, name):
    fields, words = WRONG[name]
    fields = dict(fields)
    bad = clip(fields.pop('persons', 1), 60, **fields)
    dataset = build(bad, track(60))
    assert len(dataset) == 12
    assert len(dataset.problems) == 1
    with pytest.raises(AnnotationError, match=f'annotation 0: .*{words}'):
        build(bad, track(60), on_error='raise')


def test_validate_checks_optional_fields_of_empty_clips():
    assert validate(clip(0, 5, frame_label=np.zeros(4, int)), allow_empty=True) is not None
    assert validate(clip(0, 5, frame_label=np.zeros((0, 5), int)), allow_empty=True) is None


def test_tracks_are_written_as_json_and_refused_as_npz(build, tmp_path):
    anns = [track(60, frame_label=np.arange(60) % 2)]
    for a, b in zip(build(*anns), build(*anns, file='a.json'), strict=True):
        np.testing.assert_equal(a, b)
    with pytest.raises(AnnotationError, match='.npz does not support tracks'):
        dump_annotations(dict(split={}, annotations=anns), tmp_path / 'a.npz')
    (tmp_path / 'a.json').write_text((tmp_path / 'a.json').read_text().replace('[0, 1', '[[0], 1'))
    ann, = load_annotations(tmp_path / 'a.json')['annotations']
    assert 'frame_inds: found list [[0], 1, 2' in str(validate(ann))


def test_track_windows_convert_layout_and_choose_split(build, tmp_path):
    anns = [clip(frames=60, joints=13, name=f'v{i}') for i in range(2)]
    path = tmp_path / 'split.pkl'
    dump_annotations(dict(split=dict(test=['v1']), annotations=anns), path)
    dataset = TrackWindowDataset(str(path), split='test', layout='penn13')
    assert {d['clip'] for d in dataset} == {'v1'}
    assert dataset[0]['keypoint'].shape == (1, 48, 17, 2)
    assert not dataset[0]['keypoint_score'][..., 1:5].any()
    assert dataset.metainfo['classes'] == ['normal', 'abnormal']


def test_track_windows_have_mmengine_interface(build):
    dataset = build(track(70))
    lazy = build(track(70), lazy_init=True)
    assert not lazy._fully_initialized
    assert len(lazy) == len(dataset) == 22
    assert lazy.get_cat_ids(0) == [0]
    assert starts(build(track(70), indices=3)) == [0, 1, 2]
    assert starts(build(track(70), indices=[5, 1])) == [5, 1]
    subset = dataset.get_subset([4, 2])
    assert starts(subset) == [4, 2]
    assert len(dataset) == 22
    assert starts(dataset.get_subset(-2)) == [20, 21]
    assert dataset[-1]['frame'] == 21 + 24
    assert dataset[-1]['sample_idx'] == 21
    assert len(build(track(70), repeat=2)) == 44
    with pytest.raises(IndexError, match='22 windows'):
        dataset[22]


def test_track_windows_need_eight_bytes_per_window(build):
    anns = [track(3000, f'v/{i}') for i in range(4)]
    for ann in anns:
        ann['keypoint'] = ann['keypoint'].astype(np.float16)
    dataset = build(*anns)
    tracks = dataset.tracks
    assert tracks.keypoint.dtype == np.float16
    assert len(tracks.keypoint) == 12000
    assert dataset.data_list.nbytes == 8 * len(dataset)
    assert dataset.get_subset(10).tracks is tracks
    assert len(pickle.dumps(dataset)) < 1.3 * (tracks.keypoint.nbytes + 17 * 4 * 12000)


def test_track_windows_from_config_collate_to_a_batch(build, tmp_path):
    """A short and a long track through the pipeline and workers to one batch."""
    build(track(30, 'v/1'), track(50, 'w/2'))
    init_default_scope('mofm')
    dataset = DATASETS.build(dict(
        type='TrackWindowDataset', ann_file=str(tmp_path / 'tracks.pkl'), test_mode=True,
        pipeline=[dict(type='UniformSampleFrames', clip_len=48, test_mode=True),
                  dict(type='ThermalCubeFormat'), dict(type='PackMotionInputs')]))
    from mofm.datasets import motion_collate
    batch, = DataLoader(dataset, 3, num_workers=2, collate_fn=motion_collate)
    assert batch['inputs']['keypoints'].shape == (3, 1, 17, 48, 3)
    assert [(s.clip, s.track_id, s.frame) for s in batch['data_samples']] == [
        ('v', 1, 15), ('w', 2, 24), ('w', 2, 25)]
    assert batch['labels'].tolist() == [0, 0, 0]
    # The middle frame of a full window is the frame that it counts for.
    scale = 72 / 640
    np.testing.assert_allclose(batch['inputs']['keypoints'][1, 0, 0, 24, 0], 24 * scale, rtol=1e-5)


@pytest.mark.parametrize(('options', 'words'), [
    (dict(seg_len=0), 'seg_len: found 0'), (dict(stride=0), 'stride: found 0'),
    (dict(max_missing=-1), 'max_missing: found -1'), (dict(label_at='end'), "found 'end'"),
    (dict(balance=0), 'balance: found 0')])
def test_track_windows_name_bad_options(build, options, words):
    with pytest.raises(ValueError, match=words):
        build(track(60), **options)
