# Data sets of tools/analysis/frozen_features.py: files of training and test clips, `test_file`
# where the test has one of its own. Splits are `val`, `train` and `test` unless named;
# `val` is a part of `train`, what remains is for fitting.
data_sets = dict(
    penn_action=dict(title='Penn Action', ann_file='data/penn_action.pkl'),
    nw_ucla=dict(  # sensors 1 and 2 in 4 virtual cameras, sensor 3 in one
        title='NW-UCLA', ann_file='data/nw_ucla.pkl', test_file='data/nw_ucla_test.pkl'),
    utkinect=dict(title='UTKinect', ann_file='data/utkinect.pkl'))
