# DT3 on NW-UCLA, the first of three leave-classes-out splits: every third class is normal, so that
# similar ones (pick_up_with_one_hand and _two_hands, sit_down and stand_up, donning and doffing)
# are on different sides in each split. Sensors 1 and 2 in 4 virtual cameras train, sensor 3 in one
# tests. The backbone is pre-trained on other data sets.
_base_ = 'dt3_penn_tiny.py'
normal = [0, 3, 6, 9]  # pick_up_with_one_hand, walk_around, donning, carry
model = dict(
    backbone=dict(
        init_cfg=dict(checkpoint='work_dirs/mofm/pretrain_without_ucla_tiny/epoch_60.pth')))
train_dataloader = dict(dataset=dict(ann_file='data/nw_ucla.pkl'))
val_dataloader = dict(dataset=dict(ann_file='data/nw_ucla_test.pkl'))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=30)
