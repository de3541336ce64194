"""Training step of DSTformer compared with the same formulas written out, with explicit softmax.

python benchmarks/motionbert.py                      # CPU
python benchmarks/motionbert.py --device cuda --batch 32

Both have the same weights and give the same result. A step is forward, MPJPE, backward and AdamW.
Runs are interleaved, medians reported.
"""

import torch
import torch.nn.functional as F
from common import against_formulas

from projects.motionbert.dstformer import DSTformer

#: Options, batch on the CPU.
SIZES = dict(mb=(dict(), 2), lite=(dict(embed_dims=256, mlp_ratio=4), 2),
             tiny=(dict(embed_dims=64, rep_dims=64, depth=2, num_heads=8, max_frames=16), 32))


def transcription(w: dict, x: torch.Tensor, num_heads: int) -> torch.Tensor:
    """Compute DSTformer by the formulas of MotionBERT, Sec. 3.2, with the released names.

    Args:
        w (dict): Weights by name.
        x (Tensor): (B, T, J, 3).
        num_heads (int): Attention heads.

    Returns:
        Tensor: (B, T, J, 3).
    """
    def linear(x, name):
        return F.linear(x, w[f'{name}.weight'], w[f'{name}.bias'])

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], w[f'{name}.weight'], w[f'{name}.bias'], 1e-6)

    def attention(x, name, axis):
        b, t, j, c = x.shape
        qkv = linear(x, f'{name}.qkv').view(b, t, j, 3, num_heads, c // num_heads)
        # (B, T, heads, J, d) over joints, (B, J, heads, T, d) over frames
        q, k, v = qkv.permute(3, 0, 1, 4, 2, 5) if axis == 's' else qkv.permute(3, 0, 2, 4, 1, 5)
        weight = (q @ k.transpose(-2, -1) * q.shape[-1]**-.5).softmax(-1)
        x = weight @ v
        x = x.permute(0, 1, 3, 2, 4) if axis == 's' else x.permute(0, 3, 1, 2, 4)
        return linear(x.reshape(b, t, j, c), f'{name}.proj')

    def half(x, name, axis):
        x = x + attention(norm(x, f'{name}.norm1_{axis}'), f'{name}.attn_{axis}', axis)
        hidden = F.gelu(linear(norm(x, f'{name}.norm2_{axis}'), f'{name}.mlp_{axis}.fc1'))
        return x + linear(hidden, f'{name}.mlp_{axis}.fc2')

    x = linear(x, 'joints_embed') + w['pos_embed'][:, None] + w['temp_embed'][:, :x.shape[1]]
    for i in range(sum(name.startswith('ts_attn') for name in w) // 2):
        st = half(half(x, f'blocks_st.{i}', 's'), f'blocks_st.{i}', 't')
        ts = half(half(x, f'blocks_ts.{i}', 't'), f'blocks_ts.{i}', 's')
        alpha = linear(torch.cat([st, ts], -1), f'ts_attn.{i}').softmax(-1)
        x = st * alpha[..., 0:1] + ts * alpha[..., 1:2]
    return linear(torch.tanh(linear(norm(x, 'norm'), 'pre_logits.fc')), 'head')


def step(forward, parameters, x, target):
    """Return a function that does a training step."""
    optimizer = torch.optim.AdamW(parameters, lr=5e-4, weight_decay=.01, fused=True)

    def run():
        optimizer.zero_grad()
        (forward(x) - target).norm(dim=-1).mean().backward()
        optimizer.step()

    return run


def prepare(size: tuple, batch: int | None, device: torch.device) -> tuple:
    """See :func:`against_formulas`."""
    kwargs, usual = size
    batch = batch or usual
    model = DSTformer(**kwargs).to(device)
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    frames, heads = model.temp_embed.shape[1], kwargs.get('num_heads', 8)
    x, target = torch.randn(2, batch, frames, 17, 3, device=device)
    with torch.no_grad():
        difference = (model(x) - transcription(weights, x, heads)).abs().max().item()
    return batch, frames, difference, dict(
        ours=step(model, model.parameters(), x, target),
        reference=step(lambda x: transcription(weights, x, heads), weights.values(), x, target))


if __name__ == '__main__':
    against_formulas(__doc__, SIZES, prepare)
