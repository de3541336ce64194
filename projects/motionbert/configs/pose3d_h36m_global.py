# pose3d_h36m.py that also predicts the image position and depth trajectory, for use in the wild.
_base_ = 'pose3d_h36m.py'
model = dict(root_relative=False)
