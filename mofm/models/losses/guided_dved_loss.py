"""An objective under which the dVED uses its whole MotionBook: k-means shows the way.

With reconstruction alone most tokens stay unused: a blank output is nearly right, and the few
tokens that move first attract all others (docs/tokenizer.md). Here a k-means tokenizer of the
same vocabulary names a token for every cube. The encoder learns these names (cross entropy), and
the decoder starts on them and is handed over to the encoder's own samples.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mofm.registry import MODELS

from ..thermal_cubes import ThermalCubes


@MODELS.register_module()
class GuidedDVEDLoss(nn.Module):
    """``rec_weight * smooth_l1(reconstruction, U_R) + cross_entropy(logits, guide)``.

    The guide is not a submodule of the tokenizer: it is in no optimizer and no checkpoint.

    Args:
        guide (dict): A fitted tokenizer with the same cubes and vocabulary, with ``init_cfg``.
        rec_weight (float): Weight of the reconstruction, whose elements are averaged and small.
            Defaults to 256.
        forcing (float): Share of clips whose decoder sees the tokens of the guide, driven by
            :class:`AnnealHook`. Defaults to 0.
    """

    def __init__(self, guide: dict, rec_weight: float = 256., forcing: float = 0.):
        super().__init__()
        guide = MODELS.build(guide).requires_grad_(False).eval()
        self._guide = [guide]  # a list hides it from nn.Module
        self.rec_weight = rec_weight
        self.forcing = forcing

    @property
    def guide(self):
        """The frozen guide."""
        return self._guide[0]

    def _apply(self, fn, *args, **kwargs):
        self.guide._apply(fn, *args, **kwargs)  # follows .to(device)
        return super()._apply(fn, *args, **kwargs)

    def init_weights(self):
        """Load the guide."""
        if not self.guide.init_cfg:
            raise ValueError("guide: found no init_cfg, expected init_cfg=dict(type='Pretrained', "
                             'checkpoint=PATH) of a fitted tokenizer; fit one with '
                             'tools/train.py configs/mofm/kmeans.py')
        self.guide.init_weights()

    def forward(self, tokenizer: nn.Module, inputs: ThermalCubes, logits: Tensor) -> dict:
        """Losses of a batch.

        Args:
            tokenizer (DVEDTokenizer): Samples and rebuilds.
            inputs (ThermalCubes): B clips.
            logits (Tensor): (B, V, rows, cols).

        Returns:
            dict: ``loss_rec``, ``loss_guide`` and ``guide_acc``, agreement on occupied cubes.

        Raises:
            ValueError: If guide and tokenizer have another vocabulary or other cubes.
        """
        if (self.guide.vocab_size, self.guide.grid) != (tokenizer.vocab_size, tokenizer.grid):
            raise ValueError(f'guide: found {self.guide.vocab_size} tokens on {self.guide.grid}, '
                             f'expected {tokenizer.vocab_size} on {tokenizer.grid}')
        ids = self.guide.encode(inputs)  # (B, K)
        names = ids.view(len(ids), *logits.shape[2:])
        weights = tokenizer.sample(logits)
        if self.forcing > 0:
            forced = torch.rand(len(ids), 1, 1, 1, device=ids.device) < self.forcing
            named = F.one_hot(names, tokenizer.vocab_size).movedim(-1, 1).to(weights)
            weights = torch.where(forced, named, weights)
        occupied = inputs.occupied()
        agree = (logits.argmax(1).flatten(1) == ids)[occupied]
        return dict(
            loss_rec=self.rec_weight * F.smooth_l1_loss(tokenizer.rebuild(weights),
                                                        inputs.union()),
            loss_guide=F.cross_entropy(logits, names),
            guide_acc=agree.float().mean())
