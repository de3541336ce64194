# lifter.py at tiny size: C = 64, two levels, 16 frames, 0.28 M parameters. The velocity has less
# weight, because frames are 1/15 s apart, not 1/50 s.
_base_ = 'lifter.py'
model = dict(
    backbone=dict(
        embed_dims=64, rep_dims=64, depth=2, num_heads=8, max_frames=16, init_std=0.125),
    loss=dict(velocity=6.))
