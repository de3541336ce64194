# The baseline head of the data set on frozen features, cross-view.
_base_ = 'localize_tsu_cv_probe.py'
model = dict(head=dict(type='SDTCNHead'))
