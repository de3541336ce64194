"""Training step of UNIK compared with the same formulas written out, head by head.

python benchmarks/unik.py                      # CPU
python benchmarks/unik.py --device cuda --batch 32

Both have the same weights and give the same result. A step is forward, cross entropy, backward and
SGD. Runs are interleaved, medians reported.
"""

import torch
import torch.nn.functional as F
from common import against_formulas

from projects.tmor.unik import UNIK

#: Options, frames and classes, batch on the CPU.
SIZES = {
    'Penn Action': (dict(num_persons=1, num_classes=15), 64, 8),
    'Posetics': (dict(num_classes=320), 150, 2),
    'NTU-60 3D': (dict(in_channels=3, num_joints=25, num_heads=4, num_classes=60), 300, 1),
}


def transcription(w: dict, x: torch.Tensor, training: bool = True) -> torch.Tensor:
    """Compute UNIK by its formulas with the released names; without neighboring frames.

    Args:
        w (dict): Weights and statistics by name; training changes the statistics.
        x (Tensor): (N, C, T, V, M).
        training (bool): Whether batch norms use the statistics of the batch. Defaults to True.

    Returns:
        Tensor: (N, K).
    """
    def norm(x, name):
        return F.batch_norm(x, w[f'{name}.running_mean'], w[f'{name}.running_var'],
                            w[f'{name}.weight'], w[f'{name}.bias'], training)

    def conv(x, name, **kwargs):
        return F.conv2d(x, w[f'{name}.weight'], w[f'{name}.bias'], **kwargs)

    def spatial(x, name):
        n, c, t, v = x.shape
        total = 0
        for h, learned in enumerate(w[f'{name}.DepM']):
            a = conv(x, f'{name}.conv_a.{h}').permute(0, 3, 1, 2).reshape(n, v, -1)
            b = conv(x, f'{name}.conv_b.{h}').reshape(n, -1, v)
            mixing = learned + (a @ b / b.shape[1]).softmax(-2)
            mixed = (x.reshape(n, c * t, v) @ mixing).view(n, c, t, v)
            total = total + conv(mixed, f'{name}.conv_d.{h}')
        y = norm(total, f'{name}.bn')
        if f'{name}.down.0.weight' in w:
            x = norm(conv(x, f'{name}.down.0'), f'{name}.down.1')
        return F.relu(y + x)

    n, c, t, v, m = x.shape
    x = norm(x.permute(0, 4, 3, 1, 2).reshape(n, m * v * c, t), 'data_bn')
    x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i in range(1, 11):
        stride = (2 if i in (5, 8) else 1, 1)
        y = conv(spatial(x, f'l{i}.s_unit'), f'l{i}.t_unit.conv', stride=stride, padding=(4, 0))
        y = norm(y, f'l{i}.t_unit.bn')
        if f'l{i}.residual.conv.weight' in w:
            x = norm(conv(x, f'l{i}.residual.conv', stride=stride), f'l{i}.residual.bn')
        x = F.relu(y + x if i > 1 else y)
    return F.linear(x.view(n, m, x.shape[1], -1).mean(3).mean(1), w['fc.weight'], w['fc.bias'])


def step(forward, parameters, x, labels):
    """Return a function that does a training step."""
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, nesterov=True)

    def run():
        optimizer.zero_grad()
        F.cross_entropy(forward(x), labels).backward()
        optimizer.step()

    return run


def prepare(size: tuple, batch: int | None, device: torch.device) -> tuple:
    """See :func:`against_formulas`."""
    kwargs, frames, usual = size
    batch = batch or usual
    model = UNIK(**kwargs).to(device)
    weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
    names = [name for name, p in model.named_parameters() if p.requires_grad]
    persons, joints, channels = model.input_shape
    x = torch.randn(batch, channels, frames, joints, persons, device=device)
    labels = torch.arange(batch, device=device) % kwargs['num_classes']
    with torch.no_grad():
        difference = (model(x) - transcription(weights, x)).abs().max().item()
    return batch, frames, difference, dict(
        ours=step(model, [p for p in model.parameters() if p.requires_grad], x, labels),
        reference=step(lambda x: transcription(weights, x),
                       [weights[name].requires_grad_() for name in names], x, labels))


if __name__ == '__main__':
    against_formulas(__doc__, SIZES, prepare)
