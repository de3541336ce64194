# SD-TCN on frozen features.
_base_ = 'localize_charades_probe.py'
model = dict(head=dict(type='SDTCNHead'))
