"""Objective of the dVED guided by k-means, which uses the whole MotionBook.

With reconstruction alone most tokens stay unused: a blank output is nearly right, and the first
tokens to change attract all others (docs/tokenizer.md). Here a k-means tokenizer of the same
vocabulary assigns a token to every cube. The encoder learns these tokens by cross entropy; the
decoder is trained on them first and gradually on the encoder's own samples.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from ..layers.teacher import TeacherMixin


@MODELS.register_module()
class GuidedDVEDLoss(TeacherMixin, nn.Module):
    """Loss ``rec_weight * smooth_l1(reconstruction, U_R) + cross_entropy(logits, guide)``.

    With the default weight both terms are per cube.

    Args:
        guide (dict): A :class:`KMeansTokenizer` with the same cubes and vocabulary, and with
            ``init_cfg``.
        rec_weight (float, optional): Weight of the mean reconstruction loss. Defaults to the
            number of elements of a cube, F * patch^2.
        foreground (float): Weight of elements with heat above 0.01 relative to others. Defaults
            to 1.
        forcing (float): Share of clips that are decoded from the tokens of the guide, scheduled by
            :class:`AnnealHook`. Defaults to 0.
    """

    def __init__(self, guide: dict, rec_weight: float | None = None, foreground: float = 1.,
                 forcing: float = 0.):
        super().__init__()
        self.build_teacher(guide)
        grid = self.guide.grid
        self.rec_weight = grid.num_frames * grid.patch**2 if rec_weight is None else rec_weight
        self.foreground = foreground
        self.forcing = forcing

    @property
    def guide(self):
        """K-means tokenizer."""
        return self.teacher

    @torch.no_grad()
    def warm_start(self, tokenizer: nn.Module):
        """Load the guide and initialize by the principal components P of its centers.

        The MotionBook starts as P, so that similar cubes have similar codes; from a random book
        the decoder needs thousands of iterations to distinguish codes. The logits start as
        ``-s |f - P|^2`` of the encoder's features f (|f|^2 cancels in the softmax), which is
        a linear layer with weights ``2 s P``.
        """
        if not self.guide.init_cfg:
            raise ValueError("guide: found no init_cfg, expected init_cfg=dict(type='Pretrained', "
                             'checkpoint=PATH) of a fitted tokenizer; fit one with '
                             'tools/train.py configs/mofm/kmeans.py')
        self.guide.init_weights()
        centers = self.guide.centers - self.guide.centers.mean(0)
        u, s, _ = torch.linalg.svd(centers, full_matrices=False)
        components = u * s  # (V, dims)

        book, layer = tokenizer.codebook.weight, tokenizer.to_logits
        codes = components[:, :book.shape[1]]
        book.zero_()
        book[:, :codes.shape[1]] = codes / codes.std()

        distance = torch.cdist(components, components).square().fill_diagonal_(torch.inf)
        scale = 1 / distance.amin(1).median()
        prototypes = components[:, :layer.in_channels]
        weight = 2 * scale * prototypes / layer.kernel_size[0]  # shared by the remaining frames
        layer.weight.zero_()
        layer.weight[:, :weight.shape[1]] = weight[:, :, None, None, None]
        layer.bias.copy_(-scale * prototypes.square().sum(1))

    def forward(self, tokenizer: nn.Module, inputs: ThermalCubes, logits: Tensor) -> dict:
        """Compute the losses of a batch.

        Args:
            tokenizer (DVEDTokenizer): Tokenizer to sample and reconstruct.
            inputs (ThermalCubes): B clips.
            logits (Tensor): (B, V, rows, cols).

        Returns:
            dict: ``loss_rec``, ``loss_guide`` and ``guide_acc``, agreement on occupied cubes.

        Raises:
            ValueError: If guide and tokenizer differ in vocabulary or cubes.
        """
        if (self.guide.vocab_size, self.guide.grid) != (tokenizer.vocab_size, tokenizer.grid):
            raise ValueError(f'guide: found {self.guide.vocab_size} tokens on {self.guide.grid}, '
                             f'expected {tokenizer.vocab_size} on {tokenizer.grid}')
        ids = self.guide.encode(inputs)  # (B, K)
        targets = ids.view(len(ids), *logits.shape[2:])
        weights = tokenizer.sample(logits)
        if self.forcing > 0:
            forced = torch.rand(len(ids), 1, 1, 1, device=ids.device) < self.forcing
            one_hot = F.one_hot(targets, tokenizer.vocab_size).movedim(-1, 1).to(weights)
            weights = torch.where(forced, one_hot, weights)
        occupied = inputs.occupied()
        agree = (logits.argmax(1).flatten(1) == ids)[occupied]
        heat = inputs.union()
        error = F.smooth_l1_loss(tokenizer.rebuild(weights), heat, reduction='none')
        error = error * torch.where(heat > 0.01, self.foreground, 1.)
        return dict(
            loss_rec=self.rec_weight * error.mean(),
            loss_guide=F.cross_entropy(logits, targets),
            guide_acc=agree.float().mean())
