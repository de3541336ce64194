"""Table of class scores."""

import csv

import pytest
import torch

from mofm.evaluation import ScoreTable


def test_score_table_has_one_row_per_sample(tmp_path):
    table = ScoreTable(str(tmp_path / 'new/scores.csv'))
    sample = dict(frame_dir='a', gt_label=torch.tensor([1]), pred_label=torch.tensor([0]),
                  pred_score=torch.tensor([.75, .25]))
    table.process({}, [sample])
    assert table.evaluate(1) == {}
    with open(tmp_path / 'new/scores.csv', newline='') as file:
        rows = list(csv.reader(file))
    assert rows == [['name', 'label', 'prediction', 'score_0', 'score_1'],
                    ['a', '1', '0', '0.75', '0.25']]


def test_score_table_names_model_without_classes(tmp_path):
    with pytest.raises(ValueError, match='scores.csv: found no class scores'):
        ScoreTable(str(tmp_path / 'scores.csv')).process({}, [dict(embedding=torch.ones(2))])
