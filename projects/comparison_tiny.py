"""Three foundation models at tiny size on the same tasks, with the same data and epochs.

python tools/analysis/compare.py projects/comparison_tiny.py

The pre-trainings leave out the novel classes of the one-shot and zero-shot tasks.
"""

mofm, motionbert, tmor = 'configs/', 'projects/motionbert/configs/', 'projects/tmor/configs/'
pretraining = dict(
    mofm=[mofm + f'mofm/{name}_aux_tiny.py' for name in ('kmeans', 'dved', 'pretrain')],
    motionbert=[motionbert + 'pretrain_tiny.py'],
    tmor=[tmor + 'pretrain_stage1_tiny.py'])
checkpoints = dict(
    mofm='work_dirs/pretrain_aux_tiny/epoch_60.pth',
    motionbert='work_dirs/motionbert_pretrain_tiny/epoch_60.pth',
    tmor='work_dirs/pretrain_stage1_tiny/epoch_12.pth')
tasks = {
    'actions, Penn Action': dict(
        metric='acc/top1', scale=100, configs=dict(
            mofm=mofm + 'dt1_penn_tiny.py',
            motionbert=motionbert + 'action_penn_tiny.py',
            tmor=tmor + 'action_penn_tiny.py')),
    'one-shot, Penn Action': dict(
        metric='one_shot/top1', scale=100, configs=dict(
            mofm=mofm + 'dt2_penn_tiny.py',
            motionbert=motionbert + 'oneshot_penn_tiny.py',
            tmor=tmor + 'oneshot_penn_tiny.py')),
    'zero-shot, Penn Action': dict(
        metric='zero_shot/unseen_mean_class', scale=100, configs=dict(
            mofm=tmor + 'zero_shot_penn_mofm.py',
            motionbert=tmor + 'zero_shot_penn_motionbert.py',
            tmor=tmor + 'zero_shot_penn.py')),
    'detection, UTKinect': dict(
        metric='detection/frame_mAP', scale=100, configs=dict(
            mofm=tmor + 'detect_utkinect_mofm.py',
            motionbert=tmor + 'detect_utkinect_motionbert.py',
            tmor=tmor + 'detect_utkinect.py')),
    'anomaly, UTKinect': dict(
        metric='anomaly/micro_auc', scale=100, configs=dict(
            mofm=mofm + 'dt4_utkinect_tiny.py',
            motionbert=motionbert + 'anomaly_utkinect_tiny.py',
            tmor=tmor + 'anomaly_utkinect_tiny.py')),
}
