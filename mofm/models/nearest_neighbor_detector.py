"""NearestNeighborDetector: normality by the distance to windows of normal motion (DT3)."""

import torch
from mmengine.dist import all_gather_object
from mmengine.logging import print_log
from mmengine.model import BaseModel
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import MotionFeatures, ThermalCubes

from .precision import full_precision


@MODELS.register_module()
class NearestNeighborDetector(BaseModel):
    """Anomaly detector by the distance to the nearest normal windows, the gallery.

    Nothing is learned: training steps collect the pooled features of the windows, and
    :class:`FitHook` makes the gallery of them at the end of the epoch. With
    :class:`PoseMirror` in the pipeline of the training, the gallery has their mirror images, too.

    Args:
        backbone (dict): Features of a clip, :class:`KeypointFeatures` or a frozen encoder.
        in_channels (int): D, width of the pooled features.
        gallery_size (int): Largest number of windows N in the gallery, which has the first ones
            of the shuffled training set. Defaults to 20000.
        neighbors (int): Number k of neighbors whose distances are averaged. Defaults to 1.
        norm (float): p of the distance, 1 for the sum of the absolute differences, 2 for
            Euclidean. Defaults to 1.
        local_scale (int): Divide the distance to a window of the gallery by the square root of
            the mean distance from that window to so many others, its own nearest ones, as in
            self-tuning spectral clustering (Zelnik-Manor and Perona, NIPS 2004): rare kinds of
            motion may differ more. Defaults to 0, no division.
        data_preprocessor (dict, optional): Renderer of the clips.

    Raises:
        ValueError: If there is no neighbor, or more than the gallery has; in 'predict' also if
            the gallery is empty.
    """

    approach = 'the distance to the nearest normal windows'

    def __init__(self,
                 backbone: dict,
                 in_channels: int,
                 gallery_size: int = 20_000,
                 neighbors: int = 1,
                 norm: float = 1.,
                 local_scale: int = 0,
                 data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        if not 1 <= neighbors <= gallery_size:
            raise ValueError(f'neighbors: found {neighbors}, expected 1 to gallery_size='
                             f'{gallery_size}')
        self.backbone = MODELS.build(backbone)
        self.gallery_size = gallery_size
        self.neighbors = neighbors
        self.norm = norm
        self.local_scale = local_scale
        # a parameter, as a Runner needs one to optimize
        self.gallery = nn.Parameter(torch.zeros(gallery_size, in_channels), requires_grad=False)
        self.register_buffer('scale', torch.ones(gallery_size))
        self.register_buffer('count', torch.tensor(0))
        self._collected: list[Tensor] = []

    @torch.no_grad()
    def train_step(self, data: dict, optim_wrapper) -> dict:
        """Collect the features of a batch."""
        data = self.data_preprocessor(data, True)
        room = self.gallery_size - sum(map(len, self._collected))
        if room > 0:
            self.eval()
            self._collected.append(self.backbone(data['inputs']).pooled[:room].float().cpu())
        return dict(windows=torch.tensor(float(sum(map(len, self._collected)))))

    def fit(self):
        """Make the gallery of the collected windows.

        Raises:
            ValueError: If fewer windows than neighbors were collected.
        """
        rows = torch.cat(sum(all_gather_object(self._collected), []))[:self.gallery_size]
        self._collected.clear()
        if len(rows) < self.neighbors:
            raise ValueError(f'windows: found {len(rows)} in training, expected at least '
                             f'neighbors={self.neighbors}')
        print_log(f'gallery: {len(rows)} windows of {rows.shape[1]} features', 'current')
        rows = rows.to(self.gallery)
        self.gallery.data[:len(rows)] = rows
        self.count.fill_(len(rows))
        if self.local_scale:
            count = min(self.local_scale + 1, len(rows))  # the first is the window itself
            own = torch.cat([
                torch.cdist(part, rows, p=self.norm).topk(count, largest=False).values
                for part in rows.split(1024)]).sum(1) / max(count - 1, 1)
            floor = own.median() / 10  # copies have no distance
            self.scale[:len(rows)] = own.clamp(min=floor).clamp(min=1e-6).rsqrt()

    def distances(self, features: MotionFeatures) -> Tensor:
        """Compute the mean distance (B,) of the pooled features of B clips to their neighbors.

        Raises:
            ValueError: If the gallery is empty.
        """
        if not self.count:
            raise ValueError('gallery: found no window, expected those of a training; fit it by '
                             'tools/train.py with FitHook')
        with full_precision(features.pooled):
            distance = torch.cdist(features.pooled.float(), self.gallery[:self.count].float(),
                                   p=self.norm) * self.scale[:self.count].float()
        return distance.topk(self.neighbors, largest=False).values.mean(1)

    def forward(self, inputs: ThermalCubes, data_samples: list | None = None,
                mode: str = 'tensor'):
        """Return samples with ``normality`` ('predict') or :class:`MotionFeatures` ('tensor').

        Normality is minus the distance, averaged over the clips of a sample.
        """
        features = self.backbone(inputs)
        if mode == 'tensor':
            return features
        if mode == 'loss':
            raise NotImplementedError('nothing is learned by gradients; train_step collects')
        normality = -self.distances(features).view(len(data_samples), -1).mean(1)
        for sample, value in zip(data_samples, normality, strict=True):
            sample.normality = value
        return data_samples
