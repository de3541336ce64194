"""Overrides that train on ``fit`` and validate on ``val``: what is chosen sees no test clip."""

from pathlib import Path

import pytest

from mofm.utils.config import load_config

ROOT = Path(__file__).resolve().parents[1]
CHOOSE = {'split.train': 'fit', 'split.test': 'val'}
TMOR, MOTIONBERT = 'projects/tmor/configs', 'projects/motionbert/configs'


def splits(part):
    """All settings ``split`` in a part of a config."""
    if isinstance(part, dict):
        return {value for key, value in part.items() if key == 'split'}.union(
            *(splits(value) for value in part.values()))
    return set().union(*map(splits, part)) if isinstance(part, list) else set()


@pytest.mark.parametrize('path', [
    'configs/mofm/dved_teacher_tiny.py', 'configs/mofm/pretrain_corpus_tiny.py',
    'configs/mofm/pretrain_without_ucla_tiny.py', 'configs/dt1_penn_probe_tiny.py',
    'configs/dt1_penn.py', 'configs/dt3_penn_split2_tiny.py', 'configs/dt3_ucla_split1_tiny.py',
    'configs/dt3_utkinect_tiny.py', 'configs/dt4_utkinect_tiny.py',
    f'{MOTIONBERT}/action_penn_tiny.py', f'{MOTIONBERT}/anomaly_utkinect_tiny.py',
    f'{TMOR}/action_penn_tiny.py', f'{TMOR}/action_ucla_64frames.py',
    f'{TMOR}/localize_utkinect.py', f'{TMOR}/localize_utkinect_mofm_tiny.py',
    f'{TMOR}/pretrain_stage1_tiny.py'])
def test_splits_of_choices_reach_every_loader_and_evaluator(path):
    for options, train, test in (({}, 'train', 'test'), (CHOOSE, 'fit', 'val')):
        cfg = load_config(ROOT / path, options).to_dict()
        assert splits(cfg['train_dataloader']) == {train}
        for name in ('val', 'test'):
            assert splits(cfg[f'{name}_dataloader']) == {test}
            assert splits(cfg[f'{name}_evaluator']) <= {test}


@pytest.mark.parametrize('path', [
    'configs/dt2_penn_tiny.py', 'configs/dt2_ucla_tiny.py', f'{MOTIONBERT}/oneshot_penn_tiny.py',
    f'{TMOR}/oneshot_penn_tiny.py'])
def test_one_shot_choices_hold_out_auxiliary_classes(path):
    cfg = load_config(ROOT / path)
    assert not set(cfg.auxiliary) & set(cfg.novel)
    chosen = load_config(ROOT / path, dict(auxiliary=cfg.auxiliary[:5], novel=cfg.auxiliary[5:]))
    assert chosen.train_dataloader.dataset.classes == cfg.auxiliary[:5]
    for loader in (chosen.val_dataloader, chosen.test_dataloader):
        assert not set(loader.dataset.classes) & set(cfg.novel)
