"""One-cycle schedule: rates of the paper, and a state that loads safely."""

import torch
from mmengine.optim import build_optim_wrapper

from mofm.engine import OneCycleLR
from mofm.registry import PARAM_SCHEDULERS

CONFIG = dict(type='OneCycleLR', eta_max=6e-4, total_steps=1, pct_start=0.3,
              div_factor=6e-4 / 1e-8, final_div_factor=1, convert_to_iter_based=True)


def build(steps=100):
    model = torch.nn.Linear(1, 1)
    optimizer = build_optim_wrapper(model, dict(optimizer=dict(type='Adam', lr=6e-4))).optimizer
    cls = PARAM_SCHEDULERS.get('OneCycleLR')
    options = {k: v for k, v in CONFIG.items() if k not in ('type', 'convert_to_iter_based')}
    return optimizer, cls.build_iter_from_epoch(optimizer, **options, epoch_length=steps)


def run(optimizer, scheduler, steps):
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return rates


def test_one_cycle_rates_equal_torch():
    """1e-8 to 6e-4 within 30 % of the iterations of one epoch, and back; momentum stays."""
    optimizer, scheduler = build()
    assert isinstance(scheduler, OneCycleLR)
    rates = run(optimizer, scheduler, 100)
    peer = torch.optim.Adam(torch.nn.Linear(1, 1).parameters())
    expected = run(peer, torch.optim.lr_scheduler.OneCycleLR(
        peer, 6e-4, 101, pct_start=0.3, div_factor=6e4, final_div_factor=1,
        cycle_momentum=False), 100)
    assert abs(rates[0] - 1e-8) < 1e-12
    assert abs(max(rates) - 6e-4) < 1e-8
    assert rates.index(max(rates)) in (28, 29, 30)
    assert rates[-1] < 1e-6
    torch.testing.assert_close(torch.tensor(rates), torch.tensor(expected), atol=2e-5, rtol=0.)
    assert optimizer.param_groups[0]['betas'] == (0.9, 0.999)


def test_one_cycle_state_loads_safely_and_continues(tmp_path):
    unbroken = run(*build(), 60)
    optimizer, scheduler = build()
    run(optimizer, scheduler, 40)
    torch.save(dict(o=optimizer.state_dict(), s=scheduler.state_dict()), tmp_path / 'state.pth')
    state = torch.load(tmp_path / 'state.pth', weights_only=True)
    optimizer, scheduler = build()
    optimizer.load_state_dict(state['o'])
    scheduler.load_state_dict(state['s'])
    assert run(optimizer, scheduler, 20) == unbroken[40:]
