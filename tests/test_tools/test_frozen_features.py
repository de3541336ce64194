"""Table of frozen features: what it reads, chooses and prints."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mofm.annotations.files import dump_annotations
from mofm.apis.model import init_model
from mofm.datasets import SyntheticMotion
from mofm.evaluation.functional import frozen_features
from mofm.registry import MODELS
from tests.test_tools.tool_runner import as_module, here


def write(path, **splits):
    """Clips of three actions; splits are given as ranges of clips."""
    source = SyntheticMotion(num_clips=60, actions=('walk', 'wave', 'squat'), num_frames=(16, 20))
    clips = [source.get_data_info(i) for i in range(60)]
    keys = 'frame_dir', 'label', 'img_shape', 'total_frames', 'keypoint', 'keypoint_score'
    dump_annotations(dict(
        annotations=[{key: clip[key] for key in keys} for clip in clips],
        split={name: [clips[i]['frame_dir'] for i in part] for name, part in splits.items()}),
        path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Config of a data set with all splits, of one without test, and of one without val."""
    monkeypatch.setattr(frozen_features, 'OPTIONS', frozen_features.OPTIONS[3::7])
    fit, val, test = range(30), range(30, 42), range(42, 60)
    write(tmp_path / 'a.pkl', fit=fit, val=val, train=range(42), test=test)
    write(tmp_path / 'b.pkl', fit=fit, val=val, train=range(42))
    write(tmp_path / 'c.pkl', train=range(42), test=test)
    path = tmp_path / 'data.py'
    path.write_text('data_sets = ' + repr(dict(
        all=dict(title='All', ann_file=str(tmp_path / 'a.pkl')),
        no_test=dict(title='No test', ann_file=str(tmp_path / 'b.pkl')),
        no_val=dict(title='No val', ann_file=str(tmp_path / 'c.pkl')))))
    return path


def test_frozen_features_prints_and_writes_model_beside_raw_keypoints(config, data, tmp_path):
    torch.manual_seed(0)
    torch.save(dict(state_dict=init_model(config).state_dict()), tmp_path / 'a.pth')
    done = here('analysis/frozen_features.py', config, tmp_path / 'a.pth', '--data', data,
                '--sets', 'all', '--out', tmp_path / 'out.json')
    results = json.loads((tmp_path / 'out.json').read_text())
    rows = [line for line in done.stdout.splitlines() if line.startswith('| ')]
    assert len(rows) == 2 + 2
    raw, model = results['data_sets']['All'].values()
    assert (raw['dimensions'], model['dimensions']) == (544, 32)
    assert raw['clips'] == model['clips'] == dict(fit=30, val=12, train=42, test=18)
    assert raw['linear']['accuracy'] > .6
    assert len(model['1%']['accuracies']) == 5
    assert rows[2].startswith('| All | raw keypoints | 544 |')
    for kind in ('linear', 'knn'):
        assert f'| {100 * raw[kind]["accuracy"]:.1f} |' in rows[2]
    assert f'{100 * np.std(raw["10%"]["accuracies"], ddof=1):.1f}' in rows[2]
    assert results['parameters'] == sum(
        p.numel() for p in init_model(config).backbone.parameters())
    assert results['command'] in done.stdout


def test_frozen_features_of_pipelines_with_mirror_images_are_those_of_single_clips(tmp_path):
    write(tmp_path / 'a.pkl', train=range(5))
    init_default_scope('mofm')
    grid, both = dict(num_frames=16, canvas=36), []
    for mirror in ([], [dict(type='PoseMirror')]):
        pipeline = [
            dict(type='UniformSampleFrames', clip_len=16, test_mode=True), *mirror,
            dict(type='ThermalCubeFormat', **grid), dict(type='PackMotionInputs')]
        both.append(frozen_features.extract_features(
            dict(batch_size=2, num_workers=0, collate_fn=dict(type='mofm.motion_collate'),
                 dataset=dict(pipeline=pipeline)),
            MODELS.build(dict(type='MotionDataPreprocessor', **grid)),
            MODELS.build(dict(type='KeypointFeatures')), str(tmp_path / 'a.pkl'), 'train', False))
    for alone, mirrored in zip(*both, strict=True):
        np.testing.assert_array_equal(alone, mirrored)
    assert (both[0].clips != both[0].mirrored).any()


def test_frozen_features_of_val_need_no_test_clips(config, data, tmp_path):
    done = here('analysis/frozen_features.py', config, 'none', '--data', data, '--sets',
                'no_test', '--split', 'val', '--out', tmp_path / 'out.json')
    assert 'val clips' in done.stdout
    raw, model = json.loads((tmp_path / 'out.json').read_text())['data_sets']['No test'].values()
    assert raw['clips'] == dict(fit=30, val=12)
    assert model['linear']['accuracy'] == model['linear']['val']


def test_frozen_features_of_splits_have_a_mean_row(config):
    """Of the splits alone, draws of labels included."""
    def rows(accuracy):
        few = dict(accuracies=[accuracy - .2, accuracy - .1])
        return {'raw keypoints': {'dimensions': 3, 'linear': dict(accuracy=accuracy),
                                  'knn': dict(accuracy=.5), '1%': few, '10%': few}}

    with as_module('tools/analysis/frozen_features.py') as tool:
        text = tool.report(dict(data_sets={
            'JHMDB, split 1': rows(.6), 'Penn Action': rows(1.), 'JHMDB, split 2': rows(.7)}))
    table = [line.strip('| ').split(' | ') for line in text.splitlines()[2:]]
    assert [row[0] for row in table] == ['JHMDB, split 1', 'Penn Action', 'JHMDB, split 2',
                                         'JHMDB, mean of 2 splits']
    assert table[0][3:6] == ['60.0', '50.0', '45.0 ± 7.1']
    assert table[3][1:7] == ['raw keypoints', '3', '65.0', '50.0', '50.0', '50.0']


def test_frozen_features_name_unknown_data_set(config, data):
    done = here('analysis/frozen_features.py', config, 'none', '--data', data, '--sets', 'ntu',
                check=False)
    assert '--sets: found ntu, expected some of all, no_test, no_val' in done.stderr


@pytest.mark.parametrize(('name', 'message'), [
    ('no_val', 'c.pkl: found the splits train, test, expected val, too'),
    ('no_test', 'b.pkl: found the splits fit, val, train, expected test, too')])
def test_frozen_features_name_file_without_a_split_before_the_first_features(
        config, data, name, message):
    done = here('analysis/frozen_features.py', config, 'none', '--data', data, '--sets', 'all',
                name, check=False)
    assert message in done.stderr
    assert 'a.pkl, train' not in done.stderr


def test_frozen_features_name_a_label_that_is_tested_only(config, data, tmp_path):
    write(tmp_path / 'a.pkl', train=[*range(0, 42, 3), *range(1, 42, 3)], val=range(30, 32),
          test=range(42, 60))
    done = here('analysis/frozen_features.py', config, 'none', '--data', data, '--sets', 'all')
    assert 'a.pkl: test: found clips of the labels 2, of which train has none' in done.stderr
    assert 'val: found' not in done.stderr


def test_ablation_completes_an_interrupted_evaluation_of_features(tmp_path, monkeypatch):
    runs = []

    def write_sets(count):
        (tmp_path / 'frozen_a.json').write_text(json.dumps(dict(data_sets={
            str(i): {} for i in range(count)})))

    with as_module('tools/analysis/ablation_v2_tiny.py') as tool:
        def run(command, **_):
            runs.append(command)
            write_sets(len(tool.SETS))

        monkeypatch.setattr(tool, 'subprocess', SimpleNamespace(run=run, DEVNULL=None))
        write_sets(1)
        for _ in range(2):
            assert len(tool.evaluate(tmp_path, 'a.pth', 'a', {})) == len(tool.SETS)
    assert len(runs) == 1
