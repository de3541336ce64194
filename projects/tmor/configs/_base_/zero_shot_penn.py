# Zero-shot on Penn Action: every third class is unseen, as in configs/dt2_penn_tiny.py. Labels
# below 10 are seen classes. The backbone is frozen, the projections are trained on the seen
# classes. Over many splits: tools/zero_shot_splits.py.
seen = [1, 2, 4, 5, 7, 8, 10, 11, 13, 14]
unseen = [0, 3, 6, 9, 12]
zero_shot_head = dict(
    type='ZeroShotHead',
    class_table='data/penn_text.npz',
    classes=[
        'baseball_swing', 'bench_press', 'clean_and_jerk', 'golf_swing', 'jumping_jacks',
        'pullup', 'situp', 'squat', 'tennis_forehand', 'tennis_serve', 'baseball_pitch', 'bowl',
        'jump_rope', 'pushup', 'strum_guitar'
    ],
    num_seen=10)
zero_shot_evaluator = dict(type='ZeroShotAccuracy', num_seen=10)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.1))
train_cfg = dict(type='ResumableTrainLoop', max_epochs=20, val_interval='${train_cfg.max_epochs}')
val_cfg = dict()
test_cfg = dict()
param_scheduler = [
    dict(
        type='CosineAnnealingLR', eta_min=1e-6, end='${train_cfg.max_epochs}',
        convert_to_iter_based=True)
]
