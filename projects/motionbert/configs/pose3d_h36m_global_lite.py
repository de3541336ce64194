# pose3d_h36m_global.py with the Lite backbone and its higher learning rate of the release.
_base_ = 'pose3d_h36m_lite.py'
model = dict(root_relative=False)
optim_wrapper = dict(optimizer=dict(lr=5e-4))
