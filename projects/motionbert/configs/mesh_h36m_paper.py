# mesh_h36m.py with the paper's settings: clips of 81 frames, hidden width 2048, 140 epochs, L1
# distance of joints, no parameter norm.
_base_ = 'mesh_h36m.py'
model = dict(head=dict(hidden_dims=2048), loss=dict(joint_norm=1, norm=0.))
train_dataloader = dict(dataset=dict(clip_len=81, stride=27))
val_dataloader = dict(dataset=dict(clip_len=81, stride=81))
test_dataloader = val_dataloader
train_cfg = dict(max_epochs=140)
