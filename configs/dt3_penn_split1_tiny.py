# DT3 on Penn Action, the first of three leave-classes-out splits: every third class is normal, the
# others are abnormal. Classes are in alphabetical order, so that similar ones (baseball_pitch and
# baseball_swing, tennis_forehand and tennis_serve) are on different sides in each split, and every
# class is normal in one. The backbone is pre-trained on other data sets.
_base_ = 'dt3_penn_tiny.py'
normal = [0, 3, 6, 9, 12]  # baseball_pitch, bowl, jump_rope, pushup, strum_guitar
model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/mofm/pretrain_without_penn_tiny/epoch_60.pth')))
