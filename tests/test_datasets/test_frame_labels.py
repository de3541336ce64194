"""Frame-level ground truth: published counts, and damaged files."""

import io
import pickle
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError, dump_annotations
from mofm.datasets.frame_labels import CLIPS_LEFT_OUT, read_frame_labels


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def count(labels):
    return len(labels), sum(map(len, labels.values())), int(sum(map(sum, labels.values())))


def test_shanghaitech_labels_have_published_counts(real_data, tmp_path):
    path = real_data('shanghaitech_gt.zip')
    labels = read_frame_labels('shanghaitech', path)
    assert count(labels) == (107, 40791, 17326)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path)
    folder = read_frame_labels('shanghaitech', tmp_path / 'test_frame_mask')
    assert count(folder) == (107, 40791, 17326)
    np.testing.assert_equal(folder, labels)
    human = {c: v for c, v in labels.items() if c not in CLIPS_LEFT_OUT['hr_shanghaitech']}
    assert count(human) == (101, 38697, 16122)


def test_ubnormal_labels_have_published_counts(real_data):
    """Clips called normal have no abnormal frame, those called abnormal have some."""
    path = real_data('ubnormal_gt.zip')
    labels = read_frame_labels('ubnormal', path)
    assert count(labels)[:2] == (211, 92640)
    kinds = [clip.split('_')[0] for clip in labels]
    assert (kinds.count('abnormal'), kinds.count('normal')) == (158, 53)
    assert all(v.any() == clip.startswith('abnormal') for clip, v in labels.items())
    with zipfile.ZipFile(path) as archive:
        names = archive.read('abnormal_test_video_names.txt').decode().split()
    assert set(names) == {clip for clip in labels if clip.startswith('abnormal')}
    assert 'normal_scene_1_scenario1_10' in labels


def test_ubnormal_labels_are_inverted_and_text_is_skipped(tmp_path):
    (tmp_path / 'abnormal_a_tracks.txt').write_bytes(npy(np.array([1., 0., 0.])))
    (tmp_path / 'abnormal_b_tracks.txt').write_bytes(b'1,0,450\r\n')
    labels = read_frame_labels('ubnormal', tmp_path)
    np.testing.assert_equal(labels, {'abnormal_a': np.array([False, True, True])})


def annotation(frames, labels, clip, persons=1):
    shape = (persons, len(frames), 17)
    return dict(frame_dir=f'{clip}/{id(frames)}', clip=clip, label=0, img_shape=(9, 9),
                total_frames=len(frames), frame_inds=np.array(frames),
                frame_label=np.array(labels), keypoint=np.ones((*shape, 2)),
                keypoint_score=np.ones(shape))


def test_frame_labels_of_annotations_join_the_persons(tmp_path):
    """A frame is abnormal if it is so for anyone; labels are per frame or per person and frame."""
    path = tmp_path / 'a.pkl'
    anns = [annotation([2, 3, 7], [0, 1, -1], 'v'), annotation([0, 3, 4], [2, 0, 1], 'v'),
            annotation([0, 1, 2], [[0, 0, 1], [0, 2, 0]], 'w', 2)]
    del anns[2]['frame_inds']
    unlabeled = annotation([0, 1], [0, 0], 'x')
    del unlabeled['frame_label'], unlabeled['clip']
    ids = [ann['frame_dir'] for ann in anns]
    dump_annotations(dict(split=dict(test=ids[2:]), annotations=[*anns, unlabeled]), path)
    labels = read_frame_labels('annotations', path)
    expected = {'v': [3, 4], 'w': [2], unlabeled['frame_dir']: []}
    assert {clip: np.flatnonzero(v).tolist() for clip, v in labels.items()} == expected
    assert [len(v) for v in labels.values()] == [8, 3, 2]
    labels = read_frame_labels('annotations', path, abnormal_labels=(1, 2))
    assert np.flatnonzero(labels['v']).tolist() == [0, 3, 4]
    assert list(read_frame_labels('annotations', path, split='test')) == ['w']
    dump_annotations(dict(split={}, annotations=[unlabeled]), path)
    with pytest.raises(AnnotationError, match='no annotation has frame_label'):
        read_frame_labels('annotations', path)


class Hostile:
    def __reduce__(self):
        return print, ('executed', )


HUGE = npy(np.zeros(3)).replace(b'(3,)', b'(3' + b'0' * 12 + b',)')
BROKEN = {
    'pickle': (pickle.dumps(Hostile()), 'file'),
    'objects': (npy(np.array([Hostile()], object)), 'file'),
    'truncated': (npy(np.zeros(50))[:-8], 'file'),
    'huge': (HUGE, 'file'),
    'text': (b'1,2,3', 'file'),
    'two axes': (npy(np.zeros((2, 3))), 'labels'),
    'empty': (npy(np.zeros(0)), 'labels'),
    'values': (npy(np.array([0, 1, 2])), 'labels'),
    'NaN': (npy(np.array([0, np.nan])), 'labels'),
    'words': (npy(np.array(['a'])), 'labels'),
}


@pytest.mark.parametrize('name', sorted(BROKEN))
def test_frame_labels_refuse_broken_masks(tmp_path, capsys, name):
    content, field = BROKEN[name]
    (tmp_path / 'a.npy').write_bytes(npy(np.array([0, 1], np.uint8)))
    (tmp_path / 'b.npy').write_bytes(content)
    with pytest.raises(AnnotationError, match=rf'b\.npy: {field}: found .*, expected'):
        read_frame_labels('shanghaitech', tmp_path)
    assert 'executed' not in capsys.readouterr().out


def test_frame_labels_name_mistakes(tmp_path):
    for folder in 'ab':
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'c.npy').write_bytes(npy(np.zeros(3, np.uint8)))
    with pytest.raises(AnnotationError, match="'c' twice"):
        read_frame_labels('shanghaitech', tmp_path)
    with pytest.raises(AnnotationError, match='found no .txt file'):
        read_frame_labels('ubnormal', tmp_path)
    (tmp_path / 'd_tracks.txt').write_text('1,0,450')
    with pytest.raises(AnnotationError, match='no frame labels in 1 .txt'):
        read_frame_labels('ubnormal', tmp_path)
    with pytest.raises(AnnotationError, match='neither a folder nor a readable archive'):
        read_frame_labels('shanghaitech', tmp_path / 'none')
    with pytest.raises(ValueError, match="'avenue', expected one of .*'shanghaitech'"):
        read_frame_labels('avenue', tmp_path)
