# Masked pre-training of the ViT-Base on motion tokens (MoFM, Sec. 4.3): 20 epochs, batch 32.
# The batch size is the total of the paper's six GPUs: with N processes set
# train_dataloader.batch_size to 32 / N.
_base_ = [
    '../_base_/default_runtime.py', '../_base_/grids/base.py',
    '../_base_/models/pretrainer_base.py', '../_base_/datasets/masked_motion.py',
    '../_base_/schedules/adamw_cosine.py'
]
optim_wrapper = dict(optimizer=dict(lr=1.5e-4))
schedule = dict(start_factor=1e-8 / 1.5e-4, eta_min=1e-8)
