# 48 frames on a canvas of 72 x 72 pixels, cubes of 4 x 4 pixels, Gaussians of 0.6 pixels (MoFM,
# Sec. 4.1). The bases refer to it, e.g. '${grid.canvas}', so another canvas is one override:
# --cfg-options grid.canvas=96
grid = dict(num_frames=48, canvas=72, patch=4, sigma=0.6)
