# action_penn.py with 5 % of the training clips of each class, few-shot transfer.
# Another draw: --cfg-options train_dataloader.dataset.seed=1
_base_ = 'action_penn.py'
train_dataloader = dict(dataset=dict(type='FewShotDataset', share=0.05))
