"""Penn Action: published counts, raw files, and bad files."""

import io
import runpy
import sys
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from mofm.annotations import AnnotationError, load_annotations
from mofm.datasets import MotionDataset
from mofm.sources import PennAction

TOOL = Path(__file__).resolve().parents[2] / 'tools/data/prepare.py'


def native(frames=5, **changes):
    """Bytes of a `.mat` file as published; `None` leaves a field out."""
    rng = np.random.default_rng(0)
    fields = dict(
        action='bowl', pose='front', train=-1, nframes=np.uint8(frames),
        dimensions=np.array([[270, 480, frames]], np.uint16),
        x=rng.random((frames, 13)) * 400 + 2, y=rng.random((frames, 13)) * 200 + 2,
        visibility=np.ones((frames, 13), np.uint8))
    fields.update(changes)
    buffer = io.BytesIO()
    savemat(buffer, {k: v for k, v in fields.items() if v is not None}, do_compression=True)
    return buffer.getvalue()


def folder(path, **files):
    (path / 'labels').mkdir()
    for name, content in files.items():
        (path / 'labels' / f'{name}.mat').write_bytes(content)
    return path


@pytest.fixture(scope='module')
def clips(real_data):
    """(annotation, splits, raw fields) of every published clip."""
    path = real_data('penn_action.zip')
    source = PennAction(path, strict=True)
    with zipfile.ZipFile(path) as archive:
        out = [(ann, splits, loadmat(io.BytesIO(archive.read(name))))
               for (ann, splits), name in zip(source, sorted(archive.namelist()), strict=True)]
    assert len(source) == len(out)
    assert source.problems == []
    return out


def test_penn_action_has_published_counts(clips):
    assert len(clips) == 2326
    assert sum(ann['total_frames'] for ann, _, _ in clips) == 163841
    assert Counter(splits[0] for _, splits, _ in clips) == dict(train=1258, test=1068)


def test_penn_action_joints_equal_raw_files(clips):
    """Each joint of each clip by its published column, invisible ones left out."""
    columns = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11]
    joints = [0, *range(5, 17)]
    for ann, splits, raw in clips:
        visible = raw['visibility'][:, columns] == 1
        assert ann['img_shape'] == tuple(raw['dimensions'][0, :2])
        assert splits[0] == ('train' if raw['train'] == 1 else 'test')
        assert PennAction.classes[ann['label']] == raw['action'][0]
        keypoint, score = ann['keypoint'][0], ann['keypoint_score'][0]
        np.testing.assert_array_equal(score[:, joints] == 1, visible)
        assert not score[:, 1:5].any()
        assert not keypoint[:, 1:5].any()
        for axis, field in enumerate('xy'):
            expected = np.where(visible, raw[field][:, columns], 0)
            np.testing.assert_allclose(keypoint[:, joints, axis], expected, rtol=0, atol=.2501)


def test_penn_action_left_is_the_persons_left(clips):
    """In front views it lies on the right of the image, and most people strum with the right."""
    front, strum = [], []
    for ann, _, raw in clips:
        keypoint = ann['keypoint'][0].astype(np.float64)
        seen = ann['keypoint_score'][0] == 1
        both = seen[:, 5] & seen[:, 6]
        if raw['pose'][0] == 'front' and both.any():
            front.append((keypoint[both, 5, 0] - keypoint[both, 6, 0]).mean() > 0)
        if raw['action'][0] == 'strum_guitar':
            moved = np.linalg.norm(np.diff(keypoint, axis=0), axis=-1)
            moved = [moved[seen[1:, j] & seen[:-1, j], j] for j in (9, 10)]
            if min(map(len, moved)) > 5:
                strum.append(np.percentile(moved[1], 95) > np.percentile(moved[0], 95))
    assert np.mean(front) > .9
    assert np.mean(strum) > .9


def test_penn_action_zip_equals_folder(tmp_path):
    root = folder(tmp_path, **{'0001': native(), '0002': native(train=1, action='squat')})
    with zipfile.ZipFile(tmp_path / 'penn.zip', 'w') as archive:
        for file in sorted(root.rglob('*.mat')):
            archive.write(file, f'Penn_Action/labels/{file.name}')
        archive.writestr('__MACOSX/._0001.mat', b'x')
    a, b = list(PennAction(root)), list(PennAction(tmp_path / 'penn.zip'))
    assert [s for _, s in a] == [s for _, s in b] == [('test',), ('train', 'fit')]
    for (x, _), (y, _) in zip(a, b, strict=True):
        np.testing.assert_array_equal(x.pop('keypoint'), y.pop('keypoint'))
        np.testing.assert_array_equal(x.pop('keypoint_score'), y.pop('keypoint_score'))
        assert x == y


def test_penn_action_invisible_joints_are_missing(tmp_path):
    visibility = np.ones((5, 13), np.uint8)
    visibility[2, 5] = 0  # the person's right wrist
    (ann, _), = PennAction(folder(tmp_path, a=native(visibility=visibility)))
    assert not ann['keypoint'][0, 2, 10].any()
    assert ann['keypoint_score'][0, 2, 10] == 0
    assert ann['keypoint_score'].sum() == 5 * 13 - 1


NAN = np.full((5, 13), np.nan)
BROKEN = {
    'no mat': (b'nothing of the kind', 'file', 'MATLAB 5'),
    'empty': (b'', 'file', 'MATLAB 5'),
    'truncated': (native()[:300], 'file', 'MATLAB 5'),
    'too large': (b'x' * (PennAction.max_size + 1), 'file', 'usual size'),
    'no x': (native(x=None), 'x', 'found nothing'),
    'no action': (native(action=None), 'action', 'found nothing'),
    'other action': (native(action='juggle'), 'action', "'juggle'"),
    'frames differ': (native(nframes=6), 'x', r'shape \(5, 13\)'),
    'no frames': (native(0), 'x', 'at least 1'),
    'twelve joints': (native(x=np.ones((5, 12))), 'x', '13 joints'),
    'NaN': (native(y=NAN), 'y', 'finite'),
    'too far': (native(x=np.full((5, 13), 1e9)), 'keypoint', 'infinite'),
    'text': (native(x='abc'), 'x', 'finite numbers'),
    'struct': (native(x={'a': 1}), 'x', 'finite numbers'),
    'split': (native(train=0), 'train', '1 or -1'),
    'image': (native(dimensions=np.zeros((1, 3))), 'dimensions',
              r'found \(0.0, 0.0\), expected a height and width'),
    'short image': (native(dimensions=1), 'dimensions', 'at least 2'),
    'huge': (native(bbox=None, x=np.zeros((1, 10**7 + 1), np.uint8)), 'x', 'at most'),
}


@pytest.mark.filterwarnings('ignore:overflow')
@pytest.mark.parametrize('name', sorted(BROKEN))
def test_penn_action_bad_file_is_skipped_with_its_reason(tmp_path, name):
    content, field, words = BROKEN[name]
    root = folder(tmp_path, bad=content, good=native())
    source = PennAction(root)
    assert [ann['frame_dir'] for ann, _ in source] == ['good']
    assert len(source.problems) == 1
    with pytest.raises(AnnotationError, match=rf'(?s)labels/bad\.mat: {field}: .*{words}'):
        list(PennAction(root, strict=True))


def test_penn_action_damaged_zip_member_is_skipped(tmp_path):
    path = tmp_path / 'penn.zip'
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('a.mat', native())
        archive.writestr('b.mat', native())
    content = bytearray(path.read_bytes())
    content[content.index(native()) + 200] ^= 255
    path.write_bytes(content)
    source = PennAction(path)
    assert len(list(source)) == 1
    assert 'a.mat' in str(source.problems[0])


@pytest.mark.parametrize(('make', 'words'), [
    (lambda p: p / 'none', 'neither a folder nor a readable archive'),
    (lambda p: p, 'found no .mat file'),
    (lambda p: p.joinpath('a.zip').write_bytes(b'PK') and p / 'a.zip', 'neither a folder')])
def test_penn_action_wrong_path_is_named(tmp_path, make, words):
    with pytest.raises(AnnotationError, match=words):
        PennAction(make(tmp_path))


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['prepare.py', *map(str, arguments)])
    runpy.run_path(str(TOOL), run_name='__main__')


@pytest.mark.parametrize('suffix', ['.pkl', '.npz', '.json'])
def test_prepare_writes_penn_action_that_dataset_reads(tmp_path, monkeypatch, capsys, suffix):
    root = folder(tmp_path, a=native(), b=native(train=1), c=b'broken')
    out = tmp_path / f'new/penn{suffix}'
    run_tool(monkeypatch, 'penn_action', root, out)
    printed = capsys.readouterr().out
    assert '2 clips, 10 frames, 1 of 3 files skipped' in printed
    assert 'c.mat' in printed
    data = load_annotations(out)
    assert data['split'] == {'test': ['a'], 'train': ['b'], 'fit': ['b']}
    dataset = MotionDataset(str(out), split='train')
    assert len(dataset) == 1
    assert dataset.metainfo['classes'][3] == 'bowl'


@pytest.mark.parametrize(('files', 'strict'), [(dict(a=b'broken'), []),
                                           (dict(a=b'broken', b=native()), ['--strict'])])
def test_prepare_of_bad_penn_action_exits_without_file(tmp_path, monkeypatch, files, strict):
    out = tmp_path / 'penn.pkl'
    with pytest.raises(SystemExit, match='(?s)error: .*a.mat: file: found'):
        run_tool(monkeypatch, 'penn_action', folder(tmp_path, **files), out, *strict)
    assert not out.exists()
