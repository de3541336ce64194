# dVED whose tokens encode which joint moves: teacher of the tiny pre-training. It reconstructs U_R
# less well than dved_tiny.py but is the better teacher (docs/pretraining.md).
# Fit the guide first: python tools/train.py configs/mofm/kmeans_teacher_tiny.py
_base_ = 'dved_tiny.py'
model = dict(
    loss=dict(
        guide=dict(
            trace_weight=1.,
            init_cfg=dict(checkpoint='work_dirs/mofm/kmeans_teacher_tiny/epoch_1.pth'))))
