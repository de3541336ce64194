"""tools/data/one_shot.py, on a file in the layout of PYSKL's NTU-120 pickle."""

import pickle

import numpy as np
import pytest
from tool_runner import python

from mofm.datasets import MotionDataset, load_annotations


def write(path, gone=()):
    """All names of two setups, cameras and persons, with their official splits."""
    names = [f'S{s:03}C{c:03}P{p:03}R001A{a:03}' for s in (1, 18) for c in (1, 3) for p in (7, 8)
             for a in (range(1, 61) if s == 1 else range(61, 121))]
    annotations = [
        dict(frame_dir=n, label=int(n[-3:]) - 1, img_shape=(1080, 1920),
             original_shape=(1080, 1920), total_frames=3,
             keypoint=np.full((1, 3, 17, 2), 500, np.float16),
             keypoint_score=np.ones((1, 3, 17), np.float16)) for n in names if n not in gone]
    split = dict(xsub_train=names[:200], xsub_val=names[200:])
    path.write_bytes(pickle.dumps(dict(split=split, annotations=annotations)))
    return names


def test_adds_the_splits_and_keeps_the_rest(tmp_path):
    source, target = tmp_path / 'ntu120_hrnet.pkl', tmp_path / 'ntu120_oneshot.pkl'
    names = write(source)
    done = python('data/one_shot.py', source, target)
    assert done.stdout.splitlines()[:3] == [
        'oneshot_train        400 samples of 100 classes',
        'oneshot_val           60 samples of  20 classes',
        'oneshot_exemplar      20 samples of  20 classes']
    data = load_annotations(target)
    assert data['split']['xsub_train'] == names[:200] and len(data['annotations']) == 480
    dataset = MotionDataset(str(target), split='oneshot_val', exemplar_split='oneshot_exemplar',
                            num_classes=120, test_mode=True)
    exemplars = [d for d in dataset if d['exemplar']]
    assert len(dataset) == 80 and len(exemplars) == 20
    assert {d['label'] for d in dataset} == set(range(0, 120, 6))
    assert {d['frame_dir'][4:16] for d in exemplars} == {'C003P008R001'}


@pytest.mark.parametrize('gone', ['S018C003P008R001A067'])
def test_missing_exemplar_is_named(tmp_path, gone):
    source = tmp_path / 'ntu120.pkl'
    write(source, gone=[gone])
    done = python('data/one_shot.py', source, tmp_path / 'out.pkl', check=False)
    assert done.returncode == 1 and f'ntu120.pkl: exemplar {gone}: found no' in done.stderr
    assert 'Traceback' not in done.stderr and not (tmp_path / 'out.pkl').exists()
