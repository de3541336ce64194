"""DeepLabCut, Lightning Pose and SLEAP: values, names of joints, forms and hostile HDF5."""

import io
import json

import h5py
import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources import SLEAP, Anipose, DeepLabCut, LightningPose
from mofm.sources.joint_order import named_order
from mofm.sources.recognition import recognize
from mofm.utils.hdf5 import HDF5File
from tests.test_sources.native_files import write
from tests.test_sources.native_files.behavior import (
    BODY,
    JOINTS,
    PLACES,
    analysis,
    analysis_csv,
    anipose,
    csv,
    pandas_h5,
    poses,
    project,
    walk,
)

IMAGES = [('labeled-data', 'walk', f'img{i:03}.png') for i in (0, 5, 9, 12)]


def read(reader, folder, files, **kwargs):
    """The only annotation of a source, and its notes."""
    source = reader(write(folder, files), strict=True, max_gap=0, **kwargs)
    (ann, _), = source
    return ann, source.notes


def check(ann, values):
    """Compare an annotation with values (T, P, J, 3), persons by their score."""
    values = values[:, np.argsort(-np.nansum(values[..., :10, 2], (0, 2)), kind='stable')]
    seen = ~np.isnan(values[:, :, :10, :2]).any(-1).transpose(1, 0, 2)  # (P, T, J)
    found = ann['keypoint'][:, :, PLACES].astype(float)
    expected = values[:, :, :10].transpose(1, 0, 2, 3)
    np.testing.assert_allclose(found[seen], expected[seen][:, :2], atol=.13)
    np.testing.assert_allclose(ann['keypoint_score'][:, :, PLACES][seen], expected[seen][:, 2],
                               atol=1e-3)
    assert not ann['keypoint_score'][:, :, PLACES][~seen].any()
    assert not ann['keypoint_score'][:, :, [1, 2, 3, 4, 14, 15, 16]].any()


def test_table_of_deeplabcut_has_the_values_of_its_columns(tmp_path):
    values = poses(1)
    ann, notes = read(DeepLabCut, tmp_path, {
        'a/walkDLC_resnet50_walkJan1shuffle1_5000.csv': csv(values)})
    assert ann['frame_dir'] == 'a/walk'
    check(ann, values)
    assert any("'tail'" in note and "'left_ankle'" in note for note in notes)


def test_individuals_are_persons_in_tables_and_hdf5(tmp_path):
    values = poses(3, frames=5)
    persons = ('ind1', 'ind2', 'ind3')
    table, _ = read(DeepLabCut, tmp_path / 'a', {'walk.csv': csv(values, persons)})
    check(table, values)
    for i, content in enumerate((pandas_h5(values, persons), pandas_h5(values, persons, True))):
        ann, _ = read(DeepLabCut, tmp_path / str(i), {'walk.h5': content})
        np.testing.assert_equal(ann, table)


def test_labels_of_images_have_numbers_of_frames_and_full_scores(tmp_path):
    values = poses(1)
    values[..., 2] = 1
    table, _ = read(DeepLabCut, tmp_path / 'a', {
        'CollectedData_me.csv': csv(values, index=IMAGES, coords=('x', 'y'))})
    assert table['frame_inds'].tolist() == [0, 5, 9, 12]
    check(table, values)
    ann, _ = read(DeepLabCut, tmp_path / 'b', {
        'CollectedData_me.h5': pandas_h5(values, fixed=True, images=IMAGES)})
    np.testing.assert_equal(ann, table)


def test_video_is_read_once_although_it_has_several_tables(tmp_path):
    values = poses(1)
    ann, notes = read(DeepLabCut, tmp_path, {
        'walk.csv': csv(values + 9), 'walk.h5': pandas_h5(values + 9),
        'walk_filtered.csv': csv(values), 'walk_filtered.h5': pandas_h5(values)})
    assert ann['frame_dir'] == 'walk'
    check(ann, values)
    assert any('beside a .csv, 2' in note for note in notes)
    assert any('beside filtered, 1' in note for note in notes)


def test_lightning_pose_has_further_columns(tmp_path):
    values = poses(1)
    more = np.concatenate([values, values[..., :1] + 5], -1)
    ann, _ = read(LightningPose, tmp_path, {'walk.csv': csv(
        more, scorer='heatmap_tracker', coords=('x', 'y', 'likelihood', 'x_ens_median'))})
    check(ann, values)


@pytest.mark.parametrize(('reader', 'file'), [
    (DeepLabCut, 'walkDLC_resnet50_walkJan1shuffle1_5000.csv'), (DeepLabCut, 'walk_filtered.csv'),
    (DeepLabCut, 'walkDLC_Resnet50_walkJan1shuffle1_snapshot_200_filtered.csv'),
    (DeepLabCut, 'walk.csv'), (SLEAP, 'walk.mp4.predictions.slp'), (SLEAP, 'walk.analysis.h5')])
def test_recording_has_the_name_of_its_video(tmp_path, reader, file):
    content = project(poses(1)) if '.slp' in file else analysis(poses(1)) if '.h5' in file else (
        csv(poses(1)))
    ann, _ = read(reader, tmp_path, {f'a/{file}': content})
    assert ann['frame_dir'] == 'a/walk'
    (ann, _), = reader(tmp_path / 'a' / file)
    assert ann['frame_dir'] == 'walk'


@pytest.mark.parametrize('form', ['bom', 'crlf', 'blank', 'quotes', 'upper', 'semicolon', 'tab'])
def test_tables_of_other_programs_read_the_same(tmp_path, form):
    content = csv(poses(1))
    content = dict(
        bom=b'\xef\xbb\xbf' + content, crlf=content.replace(b'\n', b'\r\n'),
        blank=content + b'\n\n', quotes=content.replace(b'nose', b'"nose"'),
        semicolon=content.replace(b',', b';').replace(b'.', b','),
        tab=content.replace(b',', b'\t'), upper=content.replace(b'coords', b'Coords'))[form]
    ann, _ = read(DeepLabCut, tmp_path, {'walk.csv': content})
    check(ann, poses(1))


def test_names_that_are_not_of_humans_are_listed_and_mapped(tmp_path):
    mouse = dict.fromkeys(['snout', 'leftear', 'rightear', 'tailbase', 'tailend', 'paw1', 'paw2',
                           'paw3', 'paw4', 'back', 'neck'])
    files = {'walk.csv': csv(poses(1), joints=mouse)}
    with pytest.raises(AnnotationError, match=r'walk.csv: names of joints: found snout leftear '
                       '.*neck, expected .*--map'):
        read(DeepLabCut, tmp_path, files)
    (tmp_path / 'map.json').write_text(json.dumps(dict(nose='snout', left_hip=['paw1', 'paw2'])))
    ann, _ = read(DeepLabCut, tmp_path / 'a', files, joint_map=tmp_path / 'map.json')
    values = poses(1)[:, 0]
    np.testing.assert_allclose(ann['keypoint'][0, :, 0], values[:, 0, :2], atol=.13)
    np.testing.assert_allclose(ann['keypoint'][0, :, 11], values[:, 5:7, :2].mean(1), atol=.13)


@pytest.mark.parametrize(('names', 'joint'), [
    (['LShoulder', 'Left shoulder', 'left_shoulder', 'shoulder_left', 'shoulderL', 'shoulder.l',
      'leftShoulder', 'leftshoulder', 'l-shoulder', 'SHOULDER_LEFT'], 5),
    (['right_ear', 'ear_right', 'REar', 'earR', 'rightear'], 4), (['Nose', 'nose'], 0)])
def test_usual_forms_of_names_are_known(names, joint):
    others = [joint for joint in JOINTS if JOINTS[joint] not in (joint, 5, 4, 0, None)]
    for name in names:
        assert named_order([*others, 'rear', name])[joint] == [len(others) + 1], name


@pytest.mark.parametrize(('dims', 'order'), [
    (True, ('track', 'xy', 'node', 'frame')), (True, ('frame', 'track', 'node', 'xy')),
    (True, ('node', 'frame', 'xy', 'track')), (False, ('track', 'xy', 'node', 'frame')),
    (False, ('frame', 'node', 'xy', 'track'))])
def test_analysis_of_sleap_has_its_values_in_every_order_of_axes(tmp_path, dims, order):
    values = poses(2, frames=5)
    ann, _ = read(SLEAP, tmp_path, {'walk.h5': analysis(values, order, dims)})
    check(ann, values)


@pytest.mark.parametrize('tracks', [('a', 'b'), ('', '')])
def test_analysis_table_of_sleap_has_its_values(tmp_path, tracks):
    values = np.tile(poses(2, frames=1, missing=False), (5, 1, 1, 1))
    values[..., 0] += np.arange(5)[:, None, None]
    ann, _ = read(SLEAP, tmp_path, {'walk.csv': analysis_csv(values, tracks)})
    check(ann, values)
    values[:, 0, :, 2] = np.nan  # by hand
    values[1, 0, 3] = np.nan
    ann, _ = read(SLEAP, tmp_path, {'walk.csv': analysis_csv(values, tracks)})
    values[:, 0, :, 2] = 1
    check(ann, values)


@pytest.mark.parametrize('persons', ['inst{}', 'track_{}'])
def test_table_of_sleap_io_with_a_row_a_frame_has_its_values(tmp_path, persons):
    """Columns of every person, who may be in few frames; only some files have their tracks."""
    values = np.tile(poses(2, frames=1, missing=False), (5, 1, 1, 1))
    values[1, 1] = np.nan
    titles = [persons.format(i) for i in range(2)]
    names = [f'{title}.{joint}.{part}' for title in titles for joint in JOINTS
             for part in ('x', 'y', 'score')]
    lines = ['frame_idx,video_path,' + ','.join(names)]
    for t, frame in enumerate(values):
        cells = ['' if np.isnan(cell) else repr(float(cell)) for cell in frame.ravel()]
        lines.append(f'{t},walk.mp4,' + ','.join(cells))
    ann, _ = read(SLEAP, tmp_path, {'walk.csv': '\n'.join(lines).encode()})
    check(ann, values)
    assert ('track_id' in ann) == (persons == 'track_{}')


def test_joints_of_sleap_whose_names_have_points_are_no_persons(tmp_path):
    table = analysis_csv(poses(1), ['a']).replace(b'left_', b'l.').replace(b'right_', b'r.')
    ann, _ = read(SLEAP, tmp_path, {'walk.csv': table.replace(b'nose', b'n.nose')})
    assert len(ann['keypoint']) == 1


@pytest.mark.parametrize('scores', [True, False])
def test_table_of_sleap_io_has_its_values(tmp_path, scores):
    """The track is in any column, in quotes, and labels by hand have no columns of scores."""
    values = np.tile(poses(2, frames=1, missing=False), (5, 1, 1, 1))
    if not scores:
        values[..., 2] = 1
    parts = ['x', 'y', 'score'][:2 + scores]
    lines = ['frame_idx,track,score,' + ','.join(f'{j}.{part}' for j in JOINTS for part in parts)]
    lines += [f'{t},"{track}",0.9,' + ','.join(str(v) for v in pose[:, :len(parts)].ravel())
              for t, persons in enumerate(values)
              for track, pose in zip(('a,1', 'b'), persons, strict=True)]
    files = {'walk.csv': '\n'.join(lines).encode()}
    ann, _ = read(SLEAP, tmp_path, files)
    check(ann, values)
    assert [match.source for match in recognize(tmp_path)] == ['sleap']


def test_analysis_of_labels_by_hand_has_full_scores(tmp_path):
    values = poses(2, frames=5)
    values[2, 0, :, 2] = 0
    ann, _ = read(SLEAP, tmp_path, {'walk.h5': analysis(values)})
    values[2, 0, :, 2] = 1
    check(ann, values)


def test_project_of_sleap_prefers_labels_by_hand(tmp_path):
    values = poses(2, frames=5)
    ann, _ = read(SLEAP, tmp_path, {'walk.slp': project(
        values, numbers=[0, 1, 2, 3, 7], by_hand=[3, 4])})
    values[3:, 0, :, 0] += 50
    values[3:, 0, :, 2] = 1
    assert ann['frame_inds'].tolist() == [0, 1, 2, 3, 7]
    assert ann['img_shape'] == (480, 640)
    check(ann, values)


def test_old_projects_of_sleap_have_their_origin_at_the_corner_of_a_pixel(tmp_path):
    values = poses(2)
    ann, _ = read(SLEAP, tmp_path, {'walk.slp': project(values, version=1.0)})
    values[..., :2] -= .5
    check(ann, values)


def test_videos_of_a_project_are_recordings_of_their_own(tmp_path):
    values = poses(1, missing=False)
    source = SLEAP(write(tmp_path, {'all.slp': project(values, videos=2)}), strict=True)
    (first, _), (second, _) = source
    assert [first['frame_dir'], second['frame_dir']] == ['all/0_walk0', 'all/1_walk1']
    check(first, values[:2])
    assert second['frame_inds'].tolist() == [2, 3]


def test_persons_without_tracks_are_tracked(tmp_path):
    values = np.tile(poses(2, frames=1, missing=False), (6, 1, 1, 1))
    values[..., 0] += np.arange(6)[:, None, None]
    ann, _ = read(SLEAP, tmp_path, {'walk.slp': project(values, track=False)})
    assert ann['keypoint'].shape == (2, 6, 17, 2)
    check(ann, values)


BROKEN = {
    'delimiter': (csv(poses(1)).replace(b',', b'|'), 'header', "'bodyparts'"),
    'no header': (b'frame,x,y\n0,1,2\n', 'header', "'bodyparts'"),
    'ragged header': (csv(poses(1)).replace(b'coords,x', b'coords'), 'header', 'cells'),
    'ragged rows': (csv(poses(1)) + b'4,1,2\n', 'rows', 'numbers per row'),
    'text': (csv(poses(1)) + b'4' + b',a' * 33 + b'\n', 'rows', 'numbers per row'),
    'no rows': (b'\n'.join(csv(poses(1)).split(b'\n')[:3]), 'rows', 'numbers per row'),
    'no y': (csv(poses(1), coords=('x', 'likelihood')), 'columns', 'x and y'),
    '3D': (csv(poses(1), coords=('x', 'y', 'z')), 'columns', 'no z'),
    'twice': (csv(poses(1), coords=('x', 'y', 'y')), 'columns', 'twice'),
    'no frame': (csv(poses(1), index=[['0'], [''], ['2'], ['3']]), 'rows', 'a frame or an image'),
    'frame twice': (csv(poses(1), index=[['0'], ['1'], ['1'], ['2']]), 'frames', 'twice'),
    'individuals': (csv(poses(1), ('a', )).replace(b'a,a,a,a,a,a', b'b,b,b,a,a,a', 1),
                    'individuals', 'same joints'),
}


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', sorted(BROKEN))
def test_bad_table_is_skipped_with_its_reason(tmp_path, name):
    content, field, words = BROKEN[name]
    write(tmp_path, {'bad.csv': content, 'good.csv': csv(poses(1))})
    source = DeepLabCut(tmp_path)
    assert [ann['frame_dir'] for ann, _ in source] == ['good']
    with pytest.raises(AnnotationError, match=rf'(?s)bad.csv: {field}: found .*{words}'):
        list(DeepLabCut(tmp_path, strict=True))


# ------------------------------------------------------------------------------------------ 3D
@pytest.mark.parametrize('form', ['anipose', 'deeplabcut', 'deeplabcut_h5'])
def test_triangulated_joints_are_in_meters_with_y_up(tmp_path, form):
    joints = walk(5)
    coords = dict(coords=('x', 'y', 'z'))
    files = {'walk.csv': anipose(joints) if form == 'anipose' else csv(joints[:, None], **coords)}
    if form == 'deeplabcut_h5':
        files = {'walk.h5': pandas_h5(joints[:, None], **coords)}
    assert [match.source for match in recognize(write(tmp_path, files))] == ['anipose']
    source = Anipose(tmp_path, strict=True, keep_3d=True)
    (ann, _), = source
    assert ann['frame_dir'] == 'walk'
    expected = BODY[PLACES] + np.arange(5)[:, None, None] * [0, .02, 0]
    x, y, z = np.moveaxis(expected, -1, 0)
    found = ann['keypoint'][0].astype(float)
    seen = ann['keypoint_score'][0][:, PLACES] > 0
    assert seen.sum() == seen.size - 1
    assert not seen[1, 1]
    np.testing.assert_allclose(found[:, PLACES][seen], np.stack([x, z, -y], -1)[seen], atol=2e-3)
    assert not ann['keypoint_score'][0][:, [1, 2, 3, 4, 14, 15, 16]].any()
    assert not any('upright' in note or '--up' in note for note in source.notes)


def test_frames_that_anipose_lacks_have_no_joints(tmp_path):
    source = Anipose(write(tmp_path, {'walk.csv': anipose(walk(4), [3, 4, 6, 7])}), keep_3d=True)
    (ann, _), = source
    assert ann['keypoint_score'].any(-1).tolist() == [[True, True, False, True, True]]
    assert any('without a row' in note for note in source.notes)


def test_triangulated_joints_with_unknown_names_are_listed(tmp_path):
    content = anipose(walk()).replace(b'shoulder', b'sho').replace(b'hip', b'pelvis')
    with pytest.raises(AnnotationError, match=r'columns: found nose Lsho sho_right .*--map'):
        list(Anipose(write(tmp_path, {'walk.csv': content}), strict=True))


BROKEN_3D = {
    'no joints': (b'a,b\n1,2\n', '0 joints'),
    'no rows': (anipose(walk()).split(b'\n')[0], '0 rows'),
    'text': (anipose(walk()).replace(b'1.5', b'abc', 1).replace(b'0.9', b'x') + b'a\n', 'columns'),
    'frames': (anipose(walk(3), [0, 2, 1]), 'do not ascend'),
    'far': (anipose(walk(3), [0, 1, 10**6]), 'far apart'),
}


@pytest.mark.parametrize('name', sorted(BROKEN_3D))
def test_bad_table_of_3d_joints_is_named(tmp_path, name):
    content, words = BROKEN_3D[name]
    with pytest.raises(AnnotationError, match=rf'walk.csv: (columns|frames): found .*{words}'):
        list(Anipose(write(tmp_path, {'walk.csv': content}), strict=True))


# --------------------------------------------------------------------------------- hostile HDF5
def hdf5(build):
    out = io.BytesIO()
    with h5py.File(out, 'w') as file:
        build(file)
    return out.getvalue()


def external(file):
    file.create_dataset('a', (8, ), 'u1', external=[('/etc/passwd', 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((8, ), 'u1')
    layout[:] = h5py.VirtualSource('/etc/passwd', 'a', (8, ))
    file.create_virtual_dataset('a', layout)


def linked(file):
    file['a'] = h5py.ExternalLink('other.h5', '/b')


def huge(file):
    file.create_dataset('a', (10**6, 10**6), 'f8', chunks=(10, 10))


def packed(file):
    file.create_dataset('a', data=np.zeros(2**27, 'u1'), compression='gzip', chunks=(2**20, ))


def objects(file):
    file.create_dataset('a', data=np.array([file.ref], h5py.ref_dtype))


@pytest.mark.parametrize(('build', 'words'), [
    (external, 'other files'), (virtual, 'other files'), (linked, 'is a link'),
    (huge, 'expansion'), (packed, 'expansion'), (objects, 'has the type')])
def test_hdf5_that_reads_other_files_or_unpacks_to_too_much_is_refused(build, words):
    with HDF5File(hdf5(build)) as file, pytest.raises(ValueError, match=words):
        file.array('a')


def test_texts_that_share_their_bytes_are_counted():
    out = io.BytesIO()
    with h5py.File(out, 'w') as file:
        texts = file.create_dataset('a', (3000, ), h5py.string_dtype())
        texts[:] = ['x' * 50000] + ['y'] * 2999
        start = texts.id.get_offset()
    content = bytearray(out.getvalue())
    content[start:start + 16 * 3000] = content[start:start + 16] * 3000  # length and address
    with HDF5File(bytes(content)) as file, pytest.raises(ValueError, match='expansion'):
        file.texts('a')


def test_many_texts_of_hdf5_are_refused():
    content = hdf5(lambda file: file.create_dataset(
        'a', (2**20, ), h5py.string_dtype(), chunks=(2**16, ), compression='gzip'))
    with HDF5File(content) as file, pytest.raises(ValueError, match='shape'):
        file.texts('a')


@pytest.mark.parametrize('layout', ['coco17', None])
def test_layout_says_the_order_of_names_that_tell_nothing(tmp_path, layout):
    names = dict.fromkeys(f'j{i}' for i in range(17))
    values = np.random.default_rng(0).uniform(1, 400, (3, 1, 17, 3))
    values[..., 2] = .9
    files = {'walk.csv': csv(values, joints=names)}
    if layout is None:
        with pytest.raises(AnnotationError, match='--map'):
            read(DeepLabCut, tmp_path, files)
    else:
        ann, _ = read(DeepLabCut, tmp_path, files, layout=layout)
        np.testing.assert_allclose(ann['keypoint'][0], values[:, 0, :, :2], atol=.13)


def test_pickled_names_of_columns_are_not_run(tmp_path):
    content = bytearray(pandas_h5(poses(1)))
    code = b'cos\nmkdir\n(S"' + str(tmp_path / 'run').encode() + b'"\ntR.'
    out = io.BytesIO(bytes(content))
    with h5py.File(out, 'r+') as file:
        file['df_with_missing/table'].attrs['values_block_0_kind'] = np.bytes_(code)
    with pytest.raises(AnnotationError, match='refused the class os.mkdir'):
        read(DeepLabCut, tmp_path / 'data', {'walk.h5': out.getvalue()})
    assert not (tmp_path / 'run').exists()


def test_missing_h5py_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'h5py', None)
    folder = write(tmp_path, {'walk.csv': csv(poses(1))})
    assert len(list(DeepLabCut(folder, strict=True))) == 1
    write(tmp_path, {'other.h5': b'\x89HDF'})
    with pytest.raises(ImportError, match=r'mofm\[sources\]'):
        DeepLabCut(folder)


def test_values_are_those_that_the_library_reads(tmp_path):
    sleap_io = pytest.importorskip('sleap_io')
    values = poses(2, frames=5)
    for name, content in {'a.slp': project(values, by_hand=[2]), 'b.h5': analysis(values)}.items():
        ann, _ = read(SLEAP, tmp_path / name, {name: content})
        labels = (sleap_io.load_slp if '.slp' in name else sleap_io.load_analysis_h5)(
            str(tmp_path / name / name), **(dict(open_videos=False) if '.slp' in name else {}))
        order = [labels.skeletons[0].node_names.index(joint) for joint in JOINTS][:10]
        theirs = labels.numpy(user_instances=True)[:5][:, :, order]
        for person in ann['keypoint'][:, :, PLACES].astype(float):
            gaps = [np.abs(np.nan_to_num(theirs[:, i]) - person).max() for i in range(2)]
            assert min(gaps) < .13
