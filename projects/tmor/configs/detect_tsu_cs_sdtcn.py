# The baseline head of the data set on frozen features.
_base_ = 'detect_tsu_cs_probe.py'
model = dict(head=dict(type='SDTCNHead'))
