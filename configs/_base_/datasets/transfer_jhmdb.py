# JHMDB for tools/analysis/frozen_features.py: its three splits.
data_sets = {
    f'jhmdb{i}': dict(
        title=f'JHMDB, split {i}', ann_file='data/jhmdb.pkl', val=f'val{i}', train=f'train{i}',
        test=f'test{i}')
    for i in (1, 2, 3)
}
