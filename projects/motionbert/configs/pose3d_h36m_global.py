# pose3d_h36m.py that also finds the place in the image and the way in depth, for use in the wild.
_base_ = 'pose3d_h36m.py'
model = dict(root_relative=False)
