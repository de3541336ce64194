"""Validation splits of published training splits: the lists against the published files."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from mofm.sources import NWUCLA, PennAction, UTKinect, UTKinectUntrimmed
from mofm.sources.data_sets.validation import validation_list


@pytest.fixture(scope='module')
def published(real_data):
    """Name, label and splits of every recording, without cameras."""
    def read(reader, name):
        source = reader(real_data(name), strict=True)
        items = getattr(source, 'recordings', source.annotations)
        return [(ann['frame_dir'], ann['label'], splits)
                for file in source.files for ann, splits in items(file, source.load(file))]

    return dict(penn_action=read(PennAction, 'penn_action.zip'),
                nw_ucla=read(NWUCLA, 'nw_ucla.zip'), utkinect=read(UTKinect, 'utkinect.zip'),
                utkinect_untrimmed=read(UTKinectUntrimmed, 'utkinect.zip'))


#: Part of a name that is that of the recording, clip or subject in the lists.
UNITS = dict(penn_action=slice(None), nw_ucla=slice(11), utkinect=slice(3),
             utkinect_untrimmed=slice(3))


@pytest.mark.parametrize('name', UNITS)
def test_fit_and_val_divide_train(published, name):
    """Each clip of train is in one of them, no clip of test in any, no unit in both."""
    assert {splits for _, _, splits in published[name]} == {
        ('train', 'fit'), ('train', 'val'), ('test', )}
    units = defaultdict(set)
    for clip, _, splits in published[name]:
        units[splits[-1]].add(clip[UNITS[name]])
    assert not units['fit'] & units['val']
    assert units['val'] == validation_list(name.removesuffix('_untrimmed'))


def _cut_runs(units):
    """Cut sorted clips of Penn Action where their numbers are not consecutive."""
    return np.split(units, np.flatnonzero(np.diff(units.astype(int)) > 1) + 1)


@pytest.mark.parametrize(('name', 'group'), [
    ('penn_action', _cut_runs), ('nw_ucla', lambda units: np.split(units, len(units)))])
def test_val_is_stratified_and_drawn_as_its_head_says(published, name, group):
    units = defaultdict(set)
    for clip, label, splits in published[name]:
        if 'train' in splits:
            units[label].add(clip[UNITS[name]])
    rng, drawn = np.random.default_rng(0), set()
    for label in sorted(units):
        groups = group(np.array(sorted(units[label])))
        before, room = len(drawn), round(.15 * len(units[label]))
        for number in rng.permutation(len(groups)):
            if len(groups[number]) <= room:
                drawn.update(groups[number].tolist())
                room -= len(groups[number])
        assert .1 < (len(drawn) - before) / len(units[label]) < .2
    assert drawn == validation_list(name)


def test_val_of_utkinect_is_one_subject_of_five_with_all_classes(published):
    subject, = validation_list('utkinect')
    assert subject == np.random.default_rng(0).choice(['s01', 's03', 's05', 's07', 's09'])
    labels = Counter(label for clip, label, splits in published['utkinect'] if 'val' in splits)
    assert labels == dict.fromkeys(range(10), 2)
