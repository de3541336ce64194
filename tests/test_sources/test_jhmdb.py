"""JHMDB in its own files and in those of DD-Net: joints, labels, splits."""

from pathlib import Path

import numpy as np
import pytest

from mofm.annotations import LABEL_NAMES, AnnotationError, load_annotations
from mofm.sources import JHMDB, JHMDBPickles
from mofm.sources.prepare import prepare
from mofm.sources.recognition import resolve
from mofm.structures import LAYOUTS
from mofm.utils.config import load_config
from tests.test_sources.native_files import write
from tests.test_sources.native_files.jhmdb import (
    BOW,
    CLAP,
    DDNET_FILES,
    FILES,
    ddnet,
    joint_positions,
    puppet,
    world,
)

# The published order of the joints.
JOINTS = ('neck', 'belly', 'nose', 'right_shoulder', 'left_shoulder', 'right_hip', 'left_hip',
          'right_elbow', 'left_elbow', 'right_knee', 'left_knee', 'right_wrist', 'left_wrist',
          'right_ankle', 'left_ankle')
COCO = LAYOUTS['coco17'].joints
ROOT = Path(__file__).resolve().parents[2]
CLAP_FILE = f'joint_positions/clap/{CLAP}/joint_positions.mat'


def items(source):
    return {ann['frame_dir']: (ann, splits) for ann, splits in source}


def test_jhmdb_joints_are_the_pixels_of_the_files_from_0(tmp_path):
    source = JHMDB(write(tmp_path, FILES), strict=True)
    ann, _ = items(source)[CLAP]
    assert ann['img_shape'] == (240, 320)
    for i, joint in enumerate(JOINTS):
        if joint in COCO:
            np.testing.assert_allclose(ann['keypoint'][0, :, COCO.index(joint)],
                                       puppet()[:, i] - 1, atol=.13)  # of float16
    missing = [joint for joint, score in zip(COCO, ann['keypoint_score'][0, 0], strict=True)
               if not score]
    assert missing == ['left_eye', 'right_eye', 'left_ear', 'right_ear']
    assert source.classes[ann['label']] == 'clap'


@pytest.mark.parametrize('folder', ['joint_positions', 'joint_positions/clap'])
def test_jhmdb_splits_are_those_of_the_lists_wherever_they_are(tmp_path, folder):
    """In the path, or elsewhere; sub-JHMDB has splits of its own."""
    root = write(tmp_path, FILES)
    found = items(JHMDB(root, strict=True))
    assert {name: splits for name, (_, splits) in found.items()} == {
        CLAP: ('fit1', 'test2', 'train1'), BOW: ('sub_fit3', 'sub_train3', 'test1')}
    with pytest.raises(AnnotationError, match='found no list .*--splits'):
        JHMDB(root / folder)
    apart = JHMDB(root / folder, splits=[root / 'splits', root / 'sub_splits'])
    assert items(apart)[CLAP][1] == found[CLAP][1]


def test_jhmdb_validation_has_videos_of_its_own(tmp_path):
    """Five videos of 4, 1, 1, 3 and 11 clips: 3 of 20 clips."""
    clips = {f'{video}_clap_u_nm_np1_fr_goo_{i}': video for video, count in zip(
        'abcde', (4, 1, 1, 3, 11), strict=True) for i in range(count)}
    files = {f'joint_positions/clap/{clip}/joint_positions.mat': joint_positions(puppet())
             for clip in clips}
    files['splits/clap_test_split2.txt'] = '\n'.join(f'{c}.avi 1' for c in clips).encode()
    found = items(JHMDB(write(tmp_path, files), strict=True))
    split = {part: {clip for clip, (_, splits) in found.items() if part in splits}
             for part in ('train2', 'fit2', 'val2')}
    assert split['train2'] == {*clips}
    assert split['fit2'] == {*clips} - split['val2']
    assert 1 <= len(split['val2']) <= 3
    assert not {clips[c] for c in split['fit2']} & {clips[c] for c in split['val2']}


def test_ddnet_validation_is_a_share_of_every_class(tmp_path):
    labels = ['clap'] * 20 + ['walk'] * 40
    folder = write(tmp_path, {'GT_train_2.pkl': ddnet([world(puppet())] * 60, labels)})
    val = [ann['label'] for ann, splits in JHMDBPickles(folder, strict=True) if 'val2' in splits]
    assert [val.count(LABEL_NAMES['jhmdb'].index(name)) for name in ('clap', 'walk')] == [3, 6]


@pytest.mark.parametrize(('files', 'match'), [
    ({CLAP_FILE: joint_positions(puppet()[:0])}, 'pos_img: found'),
    ({CLAP_FILE: joint_positions(puppet()[:, :14])}, r'shape \(2, 14, 4\)'),
    ({f'dance/{CLAP}/joint_positions.mat': joint_positions(puppet())}, "class: found 'dance'"),
    ({'splits/clap_test_split1.txt': b'clip.avi 3\n'}, "line 1: found 'clip.avi 3'")])
def test_jhmdb_error_names_file_and_field(tmp_path, files, match):
    with pytest.raises(AnnotationError, match=match):
        list(JHMDB(write(tmp_path, {**FILES, **files}), strict=True))


def test_ddnet_clip_is_the_clip_of_jhmdb_but_for_place_and_size(tmp_path):
    """One factor and one shift for all joints, frames and axes; all joints in the image."""
    found = items(JHMDBPickles(write(tmp_path, DDNET_FILES), strict=True))
    assert {name: splits for name, (_, splits) in found.items()} == {
        'train1/000': ('train1', 'fit1'), 'train1/001': ('train1', 'fit1'),
        'test3/000': ('test3', )}
    ann, _ = found['train1/000']
    pixels, _ = items(JHMDB(write(tmp_path / 'mat', FILES), strict=True))[CLAP]
    known = pixels['keypoint_score'] > 0
    ours, theirs = (a['keypoint'][known].astype(float) for a in (ann, pixels))
    ratio = (ours - ours.mean(0)).std(0) / (theirs - theirs.mean(0)).std(0)
    assert ratio[0] == pytest.approx(ratio[1], rel=2e-3)
    np.testing.assert_allclose(ours - ours.mean(0), (theirs - theirs.mean(0)) * ratio[0], atol=.3)
    assert ((ours >= 0) & (ours <= [320, 240])).all()
    assert ann['label'] == pixels['label']


@pytest.mark.parametrize(('poses', 'labels', 'match'), [
    ([world(puppet())], ['clap', 'walk'], 'two lists of equal length'),
    ([world(puppet())[:, :13]], ['clap'], r'pose 0: found shape \(4, 13, 2\)'),
    ([np.ones((4, 15, 2))], ['clap'], 'pose 0: found no frame or one place'),
    ([world(puppet())], [np.ones(2)], 'class: found')])
def test_ddnet_error_names_file_and_field(tmp_path, poses, labels, match):
    folder = write(tmp_path, {'GT_test_2.pkl': ddnet(poses, labels)})
    with pytest.raises(AnnotationError, match=match):
        list(JHMDBPickles(folder, strict=True))


@pytest.mark.parametrize(('files', 'source', 'clips'), [(FILES, 'jhmdb', 2),
                                                        (DDNET_FILES, 'jhmdb_ddnet', 3)])
def test_jhmdb_file_is_prepared_by_its_content(tmp_path, files, source, clips):
    folder = write(tmp_path / 'in', files)
    assert resolve(folder).source == source
    reader = dict(jhmdb=JHMDB, jhmdb_ddnet=JHMDBPickles)[source]
    prepare(reader(folder), tmp_path / 'out.pkl')
    data = load_annotations(tmp_path / 'out.pkl')
    assert len(data['annotations']) == clips
    assert data['metainfo']['classes'][1] == 'catch'
    assert 'train1' in data['split']


@pytest.mark.parametrize('name', ['dt1_jhmdb_tiny', 'dt1_jhmdb14_tiny'])
def test_jhmdb_config_has_a_split_to_override_and_is_tested_once(name):
    """Overrides of the split reach both loaders, those of the epochs the only validation."""
    cfg = load_config(ROOT / f'configs/{name}.py', {
        'split.train': 'train3', 'split.test': 'test3', 'train_cfg.max_epochs': 5})
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    assert (train.split, test.split) == ('train3', 'test3')
    assert cfg.val_dataloader == cfg.test_dataloader
    assert cfg.train_cfg.val_interval == 5
    classes = train.get('classes', range(21))
    assert classes == test.get('classes', range(21))
    assert len(classes) == cfg.model.cls_head.num_classes
    if '14' in name:
        assert [LABEL_NAMES['jhmdb'][c] for c in classes] == [
            action for action in LABEL_NAMES['jhmdb'] if '_' not in action]
