# lifting.py for short trainings of tiny models. A config sets the learning rates over time.
_base_ = 'lifting.py'
optim_wrapper = dict(optimizer=dict(lr=2e-3), clip_grad=dict(max_norm=1.))
