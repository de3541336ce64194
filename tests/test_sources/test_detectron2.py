"""Detectron2: fields of instances as JSON, the evaluator's files."""

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.pose_programs.detectron2 import Detectron2
from tests.test_sources.native_files import write
from tests.test_sources.native_files.estimators import SIZE, coco_poses, detectron2
from tests.test_sources.native_files.pose_detectors import dump, people


def read(tmp_path, files):
    source = Detectron2(write(tmp_path, files), strict=True, tracks=True)
    anns = [ann for ann, _ in source]
    return sorted(anns, key=lambda a: a['keypoint'][0, 0, 5, 0]), source.notes


@pytest.mark.parametrize('form', ['list', 'wrapped', 'numbered', 'files', 'predictions',
                                  'results'])
def test_detectron2_forms_equal_the_file(tmp_path, form):
    values = people()
    data = [detectron2(frame, ID=[8, 9]) for frame in values]
    files = {
        'list': lambda: {'walk.json': dump(data)},
        'wrapped': lambda: {'walk.json': dump([dict(file_name=f'{t:03d}.jpg', instances=frame)
                                               for t, frame in enumerate(data)])},
        'numbered': lambda: {'walk.json': dump({f'{t}': dict(instances=frame)
                                                for t, frame in enumerate(data)})},
        'files': lambda: {f'walk/{t}.json': dump(frame) for t, frame in enumerate(data)},
        'predictions': lambda: {'walk.json': dump([
            dict(image_id=t, instances=coco_poses(frame[None], t, False, False))
            for t, frame in enumerate(values)])},
        'results': lambda: {'walk.json': dump(coco_poses(values, 0, False, False))}}[form]()
    anns, _ = read(tmp_path, files)
    if form not in ('predictions', 'results'):
        assert [a['track_id'] for a in anns] == [8, 9]
    for m, ann in enumerate(anns):
        assert ann['clip'] == 'walk'
        np.testing.assert_array_equal(ann['keypoint'][0], values[:, m, :, :2].astype(np.float16))
        np.testing.assert_array_equal(ann['keypoint_score'][0],
                                      values[:, m, :, 2].astype(np.float16))
        low, high = values[:, m, :, :2].min(1), values[:, m, :, :2].max(1)
        np.testing.assert_allclose(ann['box'][0], np.concatenate([low, high], 1), atol=.2)


def test_detectron2_frames_without_persons_and_other_classes(tmp_path):
    values = people(persons=1)
    data = [detectron2(frame, image_size=list(SIZE)) for frame in values]
    data[2] = dict(pred_boxes=[], scores=[], pred_classes=[], pred_keypoints=[])
    for key in ('pred_boxes', 'scores', 'pred_keypoints'):
        data[4][key] = data[4][key] * 2
    data[4]['pred_classes'] = [0, 16]
    anns, notes = read(tmp_path, {'walk.json': dump(data)})
    assert len(anns) == 1
    assert anns[0]['img_shape'] == SIZE
    assert anns[0]['total_frames'] == 6  # interpolated
    assert any('other classes' in note for note in notes)


@pytest.mark.parametrize(('change', 'words'), [
    (dict(pred_keypoints=[[1, 2, 3]]), 'pred_keypoints'), (dict(pred_classes=[0]), 'pred_classes'),
    (dict(pred_boxes=[[1, 2, 3, 4]]), 'pred_boxes')])
def test_detectron2_bad_field_is_named(tmp_path, change, words):
    data = [dict(detectron2(frame), **change) for frame in people()]
    with pytest.raises(AnnotationError, match=f'walk.json.*{words}'):
        read(tmp_path, {'walk.json': dump(data)})
