"""Results as tables of poses with predictions, by values."""

import json
from importlib.util import find_spec

import numpy as np
import pyarrow.parquet as pq
import pytest

from mofm.apis.inferencers import ResultIterator, Results
from mofm.apis.inferencers.action import ActionResult
from mofm.apis.inferencers.anomaly import AnomalyResult
from mofm.sources.pose_programs.table import Table
from mofm.writers import write_coco
from tests.test_writers.annotations import tracked


def action(**fields):
    """Three windows: sit, walk, sit, of which the first two overlap in frame 2."""
    return ActionResult('walk', np.array([[0, 2], [2, 3], [5, 5]]), **{
        'fps': None, 'poses': [tracked(frames=range(7))], **fields}, top_k=2,
        classes=('sit', 'walk'), scores=np.array([[.75, .25], [0, 1], [.5, .25]], np.float32))


def column(path, name):
    """A value per pose."""
    return pq.read_table(path)[name].to_pylist()[::17]


def test_action_table_has_the_best_class_of_every_frame(tmp_path):
    path = tmp_path / 'new' / 'a.parquet'
    assert action().save(path) == [path]
    # two persons, the second of whom is not in frame 2
    assert column(path, 'frame') == [0, 0, 1, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    assert column(path, 'predicted') == [
        'sit', 'sit', 'sit', 'sit', 'walk', 'walk', 'walk', '', '', 'sit', 'sit', '', '']
    assert column(path, 'predicted_score') == pytest.approx(
        [.75, .75, .75, .75, .625, 1, 1, None, None, .5, .5, None, None])
    assert column(path, 'label') == [1] * 13


def results(*found):
    return Results(ResultIterator(found, [], []))


def test_table_of_results_has_a_row_per_recording_window_and_class():
    seen = tracked(frames=range(7), track_id=np.array([7, 9]))
    table = results(action(poses=[seen]), action(poses=[])).to_table()
    assert table.column_names == ['recording', 'person', 'first', 'last', 'rank', 'class', 'score']
    rows = table.to_pylist()
    assert len(rows) == 2 * 3 * 2
    assert [tuple(row.values())[2:] for row in rows[:4]] == [
        (0, 2, 1, 'sit', .75), (0, 2, 2, 'walk', .25), (2, 3, 1, 'walk', 1), (2, 3, 2, 'sit', 0)]
    assert {row['person'] for row in rows[:6]} == {'7 9'}
    assert {row['person'] for row in rows[6:]} == {None}  # not tracked


def test_dataframe_is_the_table_or_names_pandas():
    if find_spec('pandas') is None:
        with pytest.raises(ImportError, match=r"'pip install pandas', or use to_table\(\)"):
            results(action()).to_dataframe()
        return
    frame = results(action()).to_dataframe()
    assert frame.to_dict('records') == results(action()).to_table().to_pylist()


def test_anomaly_table_has_normality_of_persons_and_frames(tmp_path):
    result = AnomalyResult(
        'walk', np.zeros((3, 2), int), 25., poses=[tracked(frames=(0, 1, 2, 3),
                                                            track_id=np.array([7, 9]))],
        frame=np.array([0, 1, 1]), person=np.array([7, 7, 9]),
        normality=np.array([.5, .25, .75], np.float32), score=np.array([.5, .25]),
        smoothed=np.array([.375, .3125]))
    path = tmp_path / 'a.parquet'
    result.save(path)
    assert column(path, 'person') == [0, 1, 0, 1, 0, 0, 1]
    assert column(path, 'track') == [7, 9, 7, 9, 7, 7, 9]
    assert column(path, 'normality') == [.5, None, .25, .75, None, None, None]
    assert column(path, 'frame_normality') == [.375, .375, .3125, .3125, None, None, None]


def test_table_counts_frames_of_the_input(tmp_path):
    result = action(poses=[tracked(frames=range(4), ids=(0, ))], pose_ratio=.5, fps=60.)
    result.save(tmp_path / 'a.parquet')
    assert column(tmp_path / 'a.parquet', 'frame') == [0, 2, 4, 6]
    assert column(tmp_path / 'a.parquet', 'predicted') == ['sit', 'walk', '', '']
    result = action(poses=[tracked(frames=range(4), ids=(0, ))], pose_ratio=2., fps=60.)
    result.save(tmp_path / 'a.parquet')
    assert column(tmp_path / 'a.parquet', 'frame') == [0, 1, 2]  # 0, 0.5, 1, 1.5


def test_table_of_a_result_is_read_back(tmp_path):
    action(poses=[tracked(frames=range(4))]).save(tmp_path / 'a.csv')
    (ann, ), = [[ann for ann, _ in Table(tmp_path / 'a.csv', strict=True, max_gap=0)]]
    np.testing.assert_array_equal(ann['keypoint'], tracked()['keypoint'])
    assert ann['label'] == 1


def test_result_is_written_to_coco_with_its_predictions(tmp_path):
    write_coco(tmp_path / 'a.json', action(fps=30.).videos())
    data = json.loads((tmp_path / 'a.json').read_text())
    assert data['videos'][0]['fps'] == 30
    assert [(a['predicted'], a['predicted_score']) for a in data['annotations']][4:9] == [
        ('walk', pytest.approx(.625)), ('walk', 1), ('walk', 1), ('', None), ('', None)]


def test_result_of_other_formats_has_no_poses(tmp_path):
    action().save(tmp_path / 'a.json')
    assert set(json.loads((tmp_path / 'a.json').read_text())) == {
        'task', 'name', 'frames', 'fps', 'scores', 'classes', 'top_k', 'top'}
    action().save(tmp_path / 'a.npz')
    with np.load(tmp_path / 'a.npz') as arrays:
        assert not [name for name in arrays.files if name.startswith('pose')]
