# AdamW for transformers, as many epochs over the same recordings as localize_tiny.py.
_base_ = 'localize_tiny.py'
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='AdamW', lr=1e-3, betas=(0.9, 0.999), weight_decay=0.05, fused=True))
