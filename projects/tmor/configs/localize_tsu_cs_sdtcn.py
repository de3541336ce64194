# The baseline head of the data set on frozen features.
_base_ = 'localize_tsu_cs_probe.py'
model = dict(head=dict(type='SDTCNHead'))
