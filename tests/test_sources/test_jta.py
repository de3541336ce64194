"""JTA: rows of joints to persons."""

import numpy as np
import pytest

from mofm.annotations import AnnotationError
from mofm.sources.data_sets.jta import JTA
from tests.test_sources.native_files import write
from tests.test_sources.native_files.estimators import jta, people_in
from tests.test_sources.native_files.pose_detectors import dump

# Nose is the center of the head; eyes and ears are missing.
COCO = [1, -1, -1, -1, -1, 8, 4, 9, 5, 10, 6, 19, 16, 20, 17, 21, 18]


def read(tmp_path, rows):
    source = JTA(write(tmp_path, {'annotations/val/seq_7.json': dump(rows)}), strict=True,
                 tracks=True)
    return [ann for ann, _ in source]


def test_jta_rows_in_any_order_equal_the_file(tmp_path):
    values = people_in('jta22', frames=5)
    rows = jta(values)
    np.random.default_rng(0).shuffle(rows)
    anns = read(tmp_path, rows)
    assert [(a['frame_dir'], a['track_id'], a['img_shape'], a['fps']) for a in anns] == [
        ('annotations/val/seq_7/11', 11, (1080, 1920), 30),
        ('annotations/val/seq_7/12', 12, (1080, 1920), 30)]
    known = np.array(COCO) >= 0
    for m, ann in enumerate(anns):
        assert ann['frame_inds'].tolist() == [1, 2, 3, 4, 5]
        np.testing.assert_array_equal(ann['keypoint'][0][:, known],
                                      values[:, m, np.array(COCO)[known], :2].astype(np.float16))
        np.testing.assert_array_equal(ann['keypoint_score'][0], np.tile(known, (5, 1)))


@pytest.mark.parametrize(('row', 'words'), [
    ([1, 11, 22, 5., 5., 0, 0, 0, 0, 0], 'joint from 0 to 21'),
    ([1, 11, 0, 5., 5., 0, 0, 0, 0, 0], 'twice in a frame'), ([1, 11], 'rows')])
def test_jta_bad_row_is_named(tmp_path, row, words):
    with pytest.raises(AnnotationError, match=words):
        read(tmp_path, [*jta(people_in('jta22')), row])
