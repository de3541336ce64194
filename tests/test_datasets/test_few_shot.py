"""Few-shot data set: a share of each class, drawn by a seed, the same from any format."""

from collections import Counter

import numpy as np
import pytest

from mofm.annotations import dump_annotations
from mofm.datasets import FewShotDataset

SIZES = (40, 20, 3)


@pytest.fixture(scope='module', params=['.pkl', '.arrow'])
def path(request, tmp_path_factory):
    labels = np.repeat(range(3), SIZES)
    clips = [dict(frame_dir=f'clip{i}', label=int(label), img_shape=(100, 100), total_frames=2,
                  keypoint=np.full((1, 2, 17, 2), 9., np.float16),
                  keypoint_score=np.ones((1, 2, 17), np.float16))
             for i, label in enumerate(labels)]
    path = tmp_path_factory.mktemp('data') / f'a{request.param}'
    dump_annotations(dict(split={}, annotations=clips), path)
    return str(path)


@pytest.mark.parametrize(('share', 'counts'), [(.1, (4, 2, 1)), (.05, (2, 1, 1)), (1, SIZES)])
def test_few_shot_data_set_has_the_share_of_each_class(path, share, counts):
    dataset = FewShotDataset(path, share=share)
    samples = [dataset[i] for i in range(len(dataset))]
    assert Counter(s['label'] for s in samples) == dict(enumerate(counts)) == dataset.label_counts
    assert len({s['frame_dir'] for s in samples}) == len(samples) == len(dataset.name_hashes)


def test_few_shot_data_set_draws_by_its_seed(path):
    def names(**kwargs):
        dataset = FewShotDataset(path, share=.1, **kwargs)
        return [dataset.get_data_info(i)['frame_dir'] for i in range(len(dataset))]

    assert names() == names(seed=0) != names(seed=1)
    with pytest.raises(ValueError, match='FewShotDataset: share: found 0'):
        FewShotDataset(path, share=0)
