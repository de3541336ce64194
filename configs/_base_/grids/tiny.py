# Short clips on a small canvas, for 2 cores.
_base_ = 'base.py'
grid = dict(num_frames=16, canvas=36)
