# dt1_penn_tiny.py with the head of this project. Frozen backbone (attentive probe):
# --cfg-options model.backbone.frozen=True
_base_ = '../../../configs/dt1_penn_tiny.py'
custom_imports = dict(imports=['projects.example_head.example_head'])
model = dict(cls_head=dict(type='AttentionPoolHead', num_heads=4))
