"""Grid of trainings from scratch on Penn Action: learning rate, epochs, augmentation.

python tools/analysis/compare.py projects/scratch_grid_tiny.py --split val --seeds 0 \
    --out work_dirs/scratch_grid

The model of recipe v2 without pre-training. 96 epochs take 22 of the 32 CPU minutes that its
pre-training and fine-tuning take together. The best setting on the validation split is
configs/dt1_penn_v2_scratch_tiny.py.
"""

config = 'configs/dt1_penn_v2_scratch_tiny.py'
pipeline = 'train_dataloader.dataset.pipeline'
augmentations = dict(
    light={},
    strong={f'{pipeline}.0.ratio': (0.5, 1.), f'{pipeline}.3.scale': (0.7, 1.3),
            f'{pipeline}.3.shift': 0.1, f'{pipeline}.3.rotation': 15})
options = {
    f'lr{lr:g}_epochs{epochs}_{name}': {
        'optim_wrapper.optimizer.lr': lr, 'train_cfg.max_epochs': epochs, **augmentation}
    for lr in (5e-4, 1e-3, 2e-3) for epochs in (32, 96)
    for name, augmentation in augmentations.items()}
tasks = {'actions, Penn Action': dict(
    metric='acc/top1', scale=100, configs=dict.fromkeys(options, config))}
