# skeleton_64.py with 16 frames, as the tiny models of MoFM and MotionBERT.
_base_ = 'skeleton_64.py'
num_frames = 16
