"""Resumption of a training: settings of the config, state of the checkpoint."""

import copy
import warnings

import torch
from mmengine.hooks import EMAHook, Hook

from mofm.hub.checkpoint import check_state, get_state
from mofm.utils.config import compare_settings

from .access import get_model, is_resumed, loaded_from

#: What a schedule remembers; everything else in its state is a setting.
_PROGRESS = {'last_step', '_global_step', '_last_value', 'best', 'num_bad_epochs',
             'cooldown_counter'}
#: States of an optimizer that have the shape of the parameter.
_SHAPED = {'exp_avg', 'exp_avg_sq', 'max_exp_avg_sq', 'momentum_buffer'}


class ResumeHook(Hook):
    """Settings of the config in place of those that MMEngine restores from a checkpoint.

    MMEngine loads rates, weight decay and the like with the state of the optimizer, and the
    settings of schedules with their state, so another config changes nothing or only half. Here
    weights, moments, counters and random seeds come from the checkpoint, and every setting from
    the config. A schedule that differs, also because the number of batches has changed, is
    computed from the start to the position of the training, as an uninterrupted training with
    these settings would have. The log lists the settings that differ.

    States of hooks with ``state_dict`` and ``load_state_dict`` are part of the checkpoint.
    :class:`ResumableTrainLoop` registers this hook.

    Raises:
        ValueError: If the checkpoint has weights only, or does not fit the model, the optimizer
            or its schedules; with the settings that differ.
    """

    priority = 'HIGHEST'  # before EMAHook swaps weights

    def __init__(self):
        self._built = None

    def before_save_checkpoint(self, runner, checkpoint: dict):
        """Add the states of hooks and the names of the parameters in the optimizer's order."""
        checkpoint['resume'] = dict(
            hooks={name: hook.state_dict() for name, hook in _stateful(runner).items()},
            parameters=_parameter_names(runner))

    def after_load_checkpoint(self, runner, checkpoint: dict):
        """Compare the settings, and keep those of the optimizer and its schedules."""
        if not is_resumed(runner):
            return
        source = loaded_from(runner) or f'{runner.work_dir}: the last checkpoint'
        if 'optimizer' not in checkpoint or not (
                {'epoch', 'iter'} <= checkpoint.get('meta', {}).keys()
                and {'log_scalars', 'runtime_info', 'resumed_keys'}
                <= checkpoint.get('message_hub', {}).keys()):
            raise ValueError(f'{source}: found weights only, expected a checkpoint of a training '
                             'to resume; to start from weights use --cfg-options load_from=')
        self._changes = compare_settings(checkpoint['meta'].get('cfg', ''),
                                         runner.cfg.pretty_text)
        if self._changes:
            runner.logger.info('Settings that differ from the checkpoint:\n'
                               + _lines(self._changes))
        try:
            check_state(get_model(runner), get_state(checkpoint), str(source))
        except ValueError as error:
            raise ValueError(f'{error}{self._advice()}') from None
        self._source = source
        _restore_trained_weights(runner, checkpoint)
        if any(name.startswith(('default_hooks.checkpoint.save_best',
                                'default_hooks.checkpoint.rule')) for name in self._changes):
            for values in map(checkpoint['message_hub'].get, ('runtime_info', 'resumed_keys')):
                for name in [name for name in values if name.startswith('best_')]:
                    del values[name]  # of another metric
        seed = runner.cfg.get('randomness', {}).get('seed')
        if seed is not None:
            checkpoint['meta']['seed'] = seed  # MMEngine would take that of the checkpoint
        saved = checkpoint.get('resume', {})
        self._fit_optimizer(runner.optim_wrapper, checkpoint['optimizer'],
                            saved.get('parameters'), _parameter_names(runner))
        self._built = copy.deepcopy((
            [_hyperparameters(group) for group in runner.optim_wrapper.param_groups],
            [scheduler.state_dict() for scheduler in runner.param_schedulers or ()]))
        self._saved_schedulers = checkpoint.setdefault('param_schedulers', [])
        hooks = _stateful(runner)
        for name, state in saved.get('hooks', {}).items():
            if name in hooks:
                hooks[name].load_state_dict(state)

    def _fit_optimizer(self, wrapper, saved: dict, saved_names: list | None, names: list | None):
        """Order the state of the optimizer by the parameters of the one that is built."""
        changed = [name for name in self._changes if name == 'optim_wrapper.optimizer.type']
        missing = changed or _state_names(wrapper.optimizer) - {
            name for state in saved['state'].values() for name in state}
        if saved['state'] and missing:
            self._refuse(f'{self._source}: found the state of another optimizer')
        if any(name.startswith('optim_wrapper.loss_scale') for name in self._changes):
            saved.pop('loss_scaler', None)
        if wrapper.base_param_settings is None:
            saved.pop('base_param_settings', None)
        sizes, saved_sizes = ([len(group['params']) for group in groups] for groups in (
            wrapper.optimizer.param_groups, saved['param_groups']))
        if names and saved_names:
            if set(names) != set(saved_names):
                self._refuse(f'{self._source}: found the state of other parameters in the '
                             f'optimizer, {sorted(set(names) ^ set(saved_names))[:5]}')
            place = {name: index for index, name in enumerate(saved_names)}
            saved['state'] = {index: saved['state'][place[name]]
                              for index, name in enumerate(names)
                              if place[name] in saved['state']}
        elif sizes != saved_sizes:
            self._refuse(f'{self._source}: found groups of {saved_sizes} parameters in the '
                         f'optimizer, expected {sizes}')
        for index, parameter in enumerate(p for group in wrapper.optimizer.param_groups
                                          for p in group['params']):
            for name in _SHAPED & saved['state'].get(index, {}).keys() if names else ():
                shape = getattr(saved['state'][index][name], 'shape', None)
                if shape != parameter.shape:
                    self._refuse(f'{self._source}: optimizer.state.{names[index]}.{name}: found '
                                 f'the shape {shape}, expected {parameter.shape}')
        if sizes != saved_sizes:
            saved['param_groups'] = wrapper.optimizer.state_dict()['param_groups']

    def _refuse(self, message: str):
        raise ValueError(f'{message}{self._advice()}')

    def _advice(self) -> str:
        return ('\nResume with the settings of the checkpoint, or start a new training from its '
                'weights with --cfg-options load_from=\nSettings that differ:\n'
                f'{_lines(self._changes) or "  none"}')

    def before_train(self, runner):
        """Set the settings of the optimizer for the position of the training."""
        if self._built is None:
            return
        groups, states = self._built
        schedulers = runner.param_schedulers or []
        scheduled = {state['param_name'] for state in states}  # not of the checkpoint's
        kept = self._keep_schedules(runner, schedulers, groups, states, scheduled)
        for group, settings in zip(runner.optim_wrapper.param_groups, groups, strict=True):
            group.update({name: value for name, value in settings.items()
                          if not (kept and name in scheduled)})
        if not kept:
            for scheduler, state in zip(schedulers, states, strict=True):
                scheduler.load_state_dict(state)
            _replay(runner.train_loop, schedulers)
            groups = runner.optim_wrapper.optimizer.param_groups
            now = ', '.join(f'{name} {max(group[name] for group in groups):.4g}'
                            for name in sorted(scheduled)) or 'none'
            runner.logger.info(f'Schedules computed anew for iteration {runner.iter}: {now}')

    def _keep_schedules(self, runner, schedulers: list, groups: list, states: list,
                        scheduled: set[str]) -> bool:
        """Return whether the values of the checkpoint are those of the settings."""
        places = [runner.epoch if scheduler.by_epoch else runner.iter for scheduler in schedulers]
        same = len(states) == len(self._saved_schedulers) and all(
            group.get(f'initial_{name}') == settings.get(f'initial_{name}')
            for group, settings in zip(runner.optim_wrapper.param_groups, groups, strict=True)
            for name in scheduled)
        changed = [scheduler for scheduler, place, state, saved in zip(
            schedulers, places, states, self._saved_schedulers, strict=False)
            if _settings(state) != _settings(saved) or place != saved['_global_step']]
        if same and not changed:
            return True
        plateaus = [s for s in schedulers if getattr(s, 'need_val_args', False)]
        if not plateaus:
            return False
        if not same or not set(map(id, changed)) <= set(map(id, plateaus)):
            self._refuse(f'{self._source}: found a schedule that depends on past validations, '
                         f'{type(plateaus[0]).__name__}, so the values of other settings are '
                         'unknown')
        for scheduler, state in zip(schedulers, states, strict=True):
            scheduler.load_state_dict(_settings(state))
        return True


def _lines(changes: dict) -> str:
    return '\n'.join(f'  {name}: {old} -> {new}' for name, (old, new) in changes.items())


def _stateful(runner) -> dict[str, Hook]:
    """Return the hooks with a state by the name of their class, numbered if there are several."""
    found = {}
    for hook in runner.hooks:
        if hasattr(hook, 'state_dict') and hasattr(hook, 'load_state_dict'):
            name = type(hook).__name__
            count = sum(other.partition(' ')[0] == name for other in found)
            found[f'{name} {count + 1}' if count else name] = hook
    return found


def _parameter_names(runner) -> list[str]:
    """Return the names of the optimized parameters."""
    names = {parameter: name for name, parameter in get_model(runner).named_parameters()}
    return [names.get(parameter, f'parameter {index}') for index, parameter in enumerate(
        p for group in runner.optim_wrapper.optimizer.param_groups for p in group['params'])]


def _restore_trained_weights(runner, checkpoint: dict):
    """Restore the weights that EMAHook has swapped for their averages, if it is removed."""
    if not any(isinstance(hook, EMAHook) for hook in runner.hooks):
        for name, value in checkpoint.get('ema_state_dict', {}).items():
            if name.startswith('module.'):
                checkpoint['state_dict'][name.removeprefix('module.')] = value


def _state_names(optimizer: torch.optim.Optimizer) -> set[str]:
    """Return the names of the tensors that an optimizer keeps per parameter."""
    device = optimizer.param_groups[0]['params'][0].device
    parameter = torch.zeros(1, device=device, requires_grad=True)
    parameter.grad = torch.zeros(1, device=device)
    probe = type(optimizer)([parameter], lr=1.)
    probe.param_groups[0].update(optimizer.defaults)
    probe.step()
    return set(probe.state[parameter])


def _hyperparameters(group: dict) -> dict:
    return {name: value for name, value in group.items() if name != 'params'}


def _settings(state: dict) -> dict:
    return {name: value for name, value in state.items() if name not in _PROGRESS}


def _replay(loop, schedulers: list):
    """Step fresh schedulers to the position of a loop, in the order of a training."""
    if loop.epoch >= loop.max_epochs or loop.iter >= loop.max_iters:
        return  # nothing is left to train; the position in a file may be any number

    def step(by_epoch: bool, times: int = 1):
        for _ in range(times):
            for scheduler in schedulers:
                if scheduler.by_epoch == by_epoch:
                    scheduler.step()

    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # the optimizer makes no steps
        for epoch in range(loop.epoch):
            step(False, loop.iters_before(epoch + 1) - loop.iters_before(epoch))
            step(True)
        step(False, loop.iter - loop.iters_before(loop.epoch))
