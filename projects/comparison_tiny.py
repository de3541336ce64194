"""Comparison of three foundation models at tiny size on the same tasks, data and epochs.

python tools/analysis/compare.py projects/comparison_tiny.py
python tools/analysis/compare.py projects/comparison_tiny.py --split val --tasks actions

Pre-training excludes the novel classes of the one-shot task. MoFM, here recipe v2,
and stage 1 of T-MOR need keypoints only, MotionBERT the 3D poses of Bandai-Namco, stage 2 of T-MOR
texts, here those of the classes of Penn Action and NW-UCLA.
"""

mofm, motionbert, tmor = 'configs/', 'projects/motionbert/configs/', 'projects/tmor/configs/'
pretraining = dict(
    mofm=[mofm + f'mofm/{name}_v2_auxiliary_classes_tiny.py' for name in ('kmeans', 'pretrain')],
    motionbert=[motionbert + 'pretrain_dstformer_tiny.py'],
    tmor_stage1=[tmor + 'pretrain_stage1_tiny.py'],
    tmor_stage2=[tmor + 'pretrain_stage1_tiny.py', tmor + 'pretrain_stage2_tiny.py'])
checkpoints = dict(
    mofm='work_dirs/mofm/pretrain_v2_auxiliary_classes_tiny/epoch_75.pth',
    motionbert='work_dirs/motionbert/pretrain_dstformer_tiny/epoch_60.pth',
    tmor_stage1='work_dirs/tmor/pretrain_stage1_tiny/epoch_12.pth',
    tmor_stage2='work_dirs/tmor/pretrain_stage2_tiny/epoch_12.pth')
tasks = {
    title: dict(metric=metric, scale=100, configs=dict(
        mofm=of_mofm, motionbert=of_motionbert, tmor_stage1=of_tmor, tmor_stage2=of_tmor))
    for title, metric, of_mofm, of_motionbert, of_tmor in (
        ('actions, Penn Action', 'acc/top1', mofm + 'dt1_penn_v2_tiny.py',
         motionbert + 'action_penn_tiny.py', tmor + 'action_penn_tiny.py'),
        ('one-shot, Penn Action', 'one_shot/top1', mofm + 'dt2_penn_v2_tiny.py',
         motionbert + 'oneshot_penn_tiny.py', tmor + 'oneshot_penn_tiny.py'),
        ('localization, UTKinect', 'localization/frame_mAP',
         tmor + 'localize_utkinect_mofm_v2_tiny.py', tmor + 'localize_utkinect_motionbert_tiny.py',
         tmor + 'localize_utkinect.py'),
        ('anomaly, UTKinect', 'anomaly/micro_auc', mofm + 'dt4_utkinect_v2_tiny.py',
         motionbert + 'anomaly_utkinect_tiny.py', tmor + 'anomaly_utkinect_tiny.py'))
}
