# JHMDB for tools/analysis/frozen_features.py: its three splits. It has no validation split: 15 %
# of the training clips of each class are drawn.
data_sets = {
    f'jhmdb{i}': dict(
        title=f'JHMDB, split {i}', ann_file='data/jhmdb.pkl', train=f'train{i}', test=f'test{i}')
    for i in (1, 2, 3)
}
