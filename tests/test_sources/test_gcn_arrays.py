"""Arrays of CTR-GCN and 2s-AGCN: joints, padding, labels, splits, memory."""
import io
import pickle
import tracemalloc
import zipfile

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources import AGCN, CTRGCN
from mofm.sources.data_sets.gcn_arrays import _CHUNK
from mofm.sources.recognition import resolve
from mofm.utils.untrusted import map_array
from tests.test_sources.native_files import write
from tests.test_sources.native_files.gcn_arrays import (
    AGCN_FILES,
    CTR_FILES,
    FRAMES,
    LABELS,
    agcn,
    centered,
    ctr,
    names,
    npy,
    people,
    turned,
)

XSUB = ['xsub/train_data_joint.npy', 'xsub/train_label.pkl']


def read(reader, path, **options):
    source = reader(path, strict=True, keep_3d=True, **options)
    return {ann['frame_dir']: (ann, splits) for ann, splits in source}, source


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_ctr_gcn_recordings_lose_the_padding(tmp_path, save):
    found, source = read(CTRGCN, write(tmp_path, {
        'NTU60_CS.npz': ctr(centered(people()), LABELS, save)}))
    assert list(found) == ['NTU60_CS_train_000000', 'NTU60_CS_train_000001',
                           'NTU60_CS_test_000000']
    expected = centered(people())
    for i, (ann, splits) in enumerate(found.values()):
        persons = 2 if i == 1 else 1
        assert ann['keypoint'].shape == (persons, 5 + i, 25, 3)
        np.testing.assert_allclose(ann['keypoint'], expected[i, :persons, :5 + i], atol=2e-3)
        assert ann['label'] == LABELS[i]
        assert splits == (('xsub_val' if i == 2 else 'xsub_train'), )
    second = found['NTU60_CS_train_000001'][0]['keypoint_score']
    assert second.all((0, 2)).tolist() == [False, False, True, True, True, False]
    assert source.classes[49] == 'punching/slapping other person'
    assert len(source.classes) == 60


@pytest.mark.parametrize(('file', 'split'), [
    ('NTU60_CV', 'xview_train'), ('NTU120_CSub', 'xsub_train'), ('NTU120_CSet', 'xset_train'),
    ('mine', 'train')])
def test_ctr_gcn_file_names_its_protocol(tmp_path, file, split):
    found, _ = read(CTRGCN, write(tmp_path, {f'{file}.npz': CTR_FILES['NTU60_CS.npz']}))
    assert found[f'{file}_train_000000'][1] == (split, )


def test_agcn_recordings_lose_what_fills_them_up(tmp_path):
    """z is up there, and frames are repeated; x stays, and who faces the sensor faces it."""
    found, source = read(AGCN, write(tmp_path, {f: AGCN_FILES[f] for f in XSUB}) / 'xsub')
    assert sorted(found) == list(found) == [
        'S001C001P001R001A001', 'S001C001P001R002A050', 'S001C001P001R003A060']
    joints = people()
    expected = joints - joints[:, :1, :, 1:2]
    for i, (ann, splits) in enumerate(found.values()):
        persons = 2 if i == 1 else 1
        assert ann['keypoint'].shape == (persons, 5 + i, 25, 3)
        np.testing.assert_allclose(ann['keypoint'][0], expected[i, 0, :5 + i], atol=2e-3)
        assert splits == ('xsub_train', )
        assert ann['label'] == LABELS[i]
    both = found['S001C001P001R002A050'][0]
    assert both['keypoint_score'][1].all(1).tolist() == [False, False, True, True, True, False]
    np.testing.assert_allclose(both['keypoint'][1, 2:5], expected[1, 1, 2:5], atol=2e-3)
    assert list(source.notes) == [
        'z is up in the array', 'frames that an array repeats to fill it up are dropped']


def test_agcn_joints_as_of_the_sensor_have_y_up(tmp_path):
    """ST-GCN's arrays, of the same shape; folders and splits by their names."""
    found, source = read(AGCN, write(tmp_path, AGCN_FILES))
    ann, splits = found['xview/S001C001P001R001A001']
    assert splits == ('xview_val', )
    np.testing.assert_allclose(ann['keypoint'][0], people()[0, 0, :5], atol=2e-3)
    assert len(found) == 6
    assert {name.split('/')[0] for name in found} == {'xsub', 'xview'}
    assert not any('bone' in name for name in source.files)


def test_agcn_unclear_axes_are_refused(tmp_path):
    leaning = people()[..., [1, 0, 2]]  # along x
    files = dict(zip(XSUB, (agcn(leaning), names(LABELS)), strict=True))
    with pytest.raises(AnnotationError, match='trunks along .* expected y or z up'):
        read(AGCN, write(tmp_path, files))


def test_gcn_arrays_zip_and_single_file_equal_folder(tmp_path):
    folder = write(tmp_path / 'a', CTR_FILES)
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as archive:
        for name, content in CTR_FILES.items():
            archive.writestr(name, content)
    a, b = (list(CTRGCN(path, strict=True)) for path in (folder, tmp_path / 'a.zip'))
    np.testing.assert_equal(sorted(a, key=str), sorted(b, key=str))
    one = list(CTRGCN(folder / 'NTU60_CS.npz', strict=True))
    assert len(one) == 3
    folder = write(tmp_path / 'b', AGCN_FILES)
    assert len(list(AGCN(folder / XSUB[0], strict=True))) == 3


def test_gcn_arrays_are_read_in_pieces(tmp_path):
    """An array of 14 MB takes less than half of it."""
    count = 2000
    joints = np.zeros((count, FRAMES, 150), np.float32)
    joints[:, :4] = centered(people())[0].swapaxes(0, 1).reshape(1, FRAMES, 150)[:, :4]
    labels = np.eye(120)[np.arange(count) % 120]
    path = tmp_path / 'NTU120_CSub.npz'
    np.savez(path, x_train=joints, y_train=labels)
    source = CTRGCN(path, keep_3d=True)
    assert len(source.files) == -(-count // _CHUNK)
    tracemalloc.start()
    seen = 0
    for name in source.files[3:5]:
        seen += len(list(source.convert([name])))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seen == 2 * _CHUNK
    assert peak < joints.nbytes / 2
    last = list(source.convert(source.files[-1:]))
    assert [ann['frame_dir'] for ann, _ in last][-1] == f'NTU120_CSub_train_{count - 1:06d}'
    assert last[-1][0]['label'] == (count - 1) % 120


def test_gcn_arrays_bad_recording_is_skipped_alone(tmp_path):
    joints = centered(people())
    joints[0, 0, 2, 3] = np.inf
    joints[1, 0, 1, 3, 1] = np.nan
    source = CTRGCN(write(tmp_path, {'NTU60_CS.npz': ctr(joints, LABELS)}), keep_3d=True)
    found = {ann['frame_dir']: ann for ann, _ in source}
    assert list(found) == ['NTU60_CS_train_000001', 'NTU60_CS_test_000000']
    assert 'recording 0: found 3 values such as inf' in str(source.problems[0])
    missing = found['NTU60_CS_train_000001']['keypoint_score'][0] == 0
    assert np.argwhere(missing).tolist() == [[1, 3]]


def pair(data, label):
    return dict(zip(XSUB, (data, label), strict=True))


@pytest.mark.parametrize(('reader', 'files', 'words'), [
    (CTRGCN, {'a.npz': b'PK'}, 'a.npz'),
    (CTRGCN, {'a.npz': ctr(centered(people()), LABELS)[:-300]}, 'a.npz'),
    (AGCN, pair(agcn(turned(people())), pickle.dumps(LABELS)), 'names and labels'),
    (AGCN, pair(agcn(turned(people())), names(LABELS[:2])), '2 of 2 names'),
    (AGCN, pair(agcn(turned(people())), names([0, 1, 120])), 'labels from 0 to 119'),
    (AGCN, pair(npy(np.zeros((3, 3, 5, 18, 2))), names(LABELS)), '(N, 3, T, 25, M)'),
    (AGCN, pair(b'', names(LABELS)), 'an array of numbers')])
def test_gcn_arrays_bad_file_is_named(tmp_path, reader, files, words):
    source = reader(write(tmp_path, files))
    assert list(source) == []
    assert len(source.problems) == 1
    assert words in str(source.problems[0])


def test_gcn_arrays_are_recognized(tmp_path):
    for source, files in (('ctr_gcn', CTR_FILES), ('agcn', AGCN_FILES)):
        folder = write(tmp_path / source, files)
        assert resolve(folder).source == source
        assert resolve(folder / min(files)).source == source


def test_map_array_equals_numpy(tmp_path):
    a, b = np.arange(12.).reshape(3, 4), np.asfortranarray(np.arange(6).reshape(2, 3))
    np.savez(tmp_path / 'x.npz', a=a, b=b)
    np.save(tmp_path / 'b.npy', b)
    np.testing.assert_array_equal(map_array(tmp_path / 'x.npz', 'a'), a)
    np.testing.assert_array_equal(map_array(tmp_path / 'x.npz', 'b'), b)
    np.testing.assert_array_equal(map_array(tmp_path / 'b.npy'), b)
    np.savez_compressed(tmp_path / 'y.npz', a=a)
    with pytest.raises(ValueError, match='compressed'):
        map_array(tmp_path / 'y.npz', 'a')
    out = io.BytesIO()
    np.save(out, a)
    (tmp_path / 'c.npy').write_bytes(out.getvalue()[:-8])
    with pytest.raises(ValueError, match='bytes'):
        map_array(tmp_path / 'c.npy')
