"""KMeansTokenizer: nearest cluster centers, the baseline of learned tokenizers."""

import torch
from mmengine.dist import broadcast, is_main_process
from mmengine.logging import print_log
from torch import Tensor, nn

from mofm.registry import MODELS
from mofm.structures import CubeGrid, ThermalCubes

from ..precision import full_precision
from .base import MotionTokenizer


@MODELS.register_module()
class KMeansTokenizer(MotionTokenizer):
    """Tokenizer by k-means: token 0 is an empty cube, others are centers of occupied cubes.

    The descriptor of a cube is its U_R (F * patch^2 values) and, with ``trace_weight``, the trace
    of every joint in it (J * patch^2 values), so that tokens also encode which joints move.

    ``tools/train.py`` fits it like any model: training steps collect cubes and
    :class:`FitHook` runs scikit-learn's k-means at the end of the epoch.

    Args:
        num_joints (int): J. Defaults to 17.
        num_frames, canvas, patch (int): Geometry, see :class:`CubeGrid`.
        segments (int): S, parts of a clip with cubes of their own, see :class:`MoFMBackbone`; K is
            S times the cubes of the canvas. Defaults to 1.
        vocab_size (int): V, including the empty cube. Defaults to 8192.
        trace_weight (float): Weight of the traces. Defaults to 0, U_R only.
        max_cubes (int): Number of cubes to collect. Defaults to 200000.
        mini_batch (bool): Use scikit-learn's ``MiniBatchKMeans``, which uses the vocabulary more
            evenly, instead of ``KMeans``, which reconstructs U_R slightly better and takes ten
            times as long (docs/tokenizer.md). Defaults to True.
        data_preprocessor, init_cfg (dict, optional): See :class:`MotionTokenizer`.
    """

    def __init__(self,
                 num_joints: int = 17,
                 num_frames: int = 48,
                 canvas: int = 72,
                 patch: int = 4,
                 segments: int = 1,
                 vocab_size: int = 8192,
                 trace_weight: float = 0.,
                 max_cubes: int = 200_000,
                 mini_batch: bool = True,
                 data_preprocessor: dict | None = None,
                 init_cfg: dict | None = None):
        super().__init__(CubeGrid(num_frames, canvas, patch), vocab_size, data_preprocessor,
                         init_cfg)
        if num_frames % segments:
            raise ValueError(f'segments: found {segments}, expected a divisor of num_frames='
                             f'{num_frames}')
        self.segments = segments
        self.trace_weight = trace_weight
        self.max_cubes = max_cubes
        self.mini_batch = mini_batch
        self.heat_dims = num_frames // segments * patch**2
        dims = self.heat_dims + (num_joints * patch**2 if trace_weight else 0)
        # a parameter, as a Runner needs one to optimize
        self.centers = nn.Parameter(torch.zeros(vocab_size, dims), requires_grad=False)
        self._collected = []

    def describe(self, inputs: ThermalCubes, select: Tensor | None = None) -> Tensor:
        """Compute descriptors (N, dims) of cubes ``select`` (B, K), by default occupied ones."""
        inputs = inputs.cut(self.segments)
        select = inputs.occupied() if select is None else select.view(-1, self.grid.num_cubes)
        parts = [inputs.grid.split(inputs.union())[select].flatten(1)]
        if self.trace_weight:
            traces = inputs.grid.split(inputs.traces())[select].flatten(1)
            parts.append(self.trace_weight * traces)
        return torch.cat(parts, 1)

    @torch.no_grad()
    def encode(self, inputs: ThermalCubes, select: Tensor | None = None) -> Tensor:
        """See :meth:`MotionTokenizer.encode`."""
        if inputs.grid != self.grid:
            raise ValueError(f'clips: found {inputs.grid}, expected {self.grid}')
        occupied = inputs.occupied(self.segments)  # (B, K)
        selected = occupied if select is None else occupied & select
        ids = selected.long()
        with full_precision(self.centers):
            distances = [torch.cdist(part, self.centers)
                         for part in self.describe(inputs, selected).split(4096)]
        if distances:
            ids[selected] = torch.cat([d.argmin(1) for d in distances])
        return ids if select is None else ids[select]

    def decode(self, ids: Tensor) -> Tensor:
        """See :meth:`MotionTokenizer.decode`."""
        self._check_ids(ids)
        p = self.grid.patch
        cubes = self.centers[ids][..., :self.heat_dims].unflatten(-1, (-1, p, p))
        parts = self.grid.merge(cubes.view(-1, self.grid.num_cubes, *cubes.shape[2:]))
        return parts.view(len(ids), -1, *parts.shape[2:])  # (B, F, H, W)

    @torch.no_grad()
    def loss(self, inputs: ThermalCubes) -> dict:
        """Compute the reconstruction error of U_R, which has no gradient."""
        error = torch.nn.functional.smooth_l1_loss(self.decode(self.encode(inputs)),
                                                   inputs.union())
        return dict(loss_rec=error)

    @torch.no_grad()
    def train_step(self, data: dict, optim_wrapper) -> dict:
        """Collect the occupied cubes of a batch."""
        data = self.data_preprocessor(data, True)
        room = self.max_cubes - sum(map(len, self._collected))
        if room > 0:
            self._collected.append(self.describe(data['inputs'])[:room].cpu())
        return dict(cubes=torch.tensor(float(self.max_cubes - room)))

    def fit(self):
        """Run k-means on the collected cubes.

        Raises:
            ValueError: If fewer cubes than centers were collected.
        """
        from sklearn.cluster import KMeans, MiniBatchKMeans  # heavy

        cubes = torch.cat(self._collected)
        if len(cubes) < self.vocab_size:
            raise ValueError(f'cubes: found {len(cubes)} occupied in training, expected at least '
                             f'vocab_size={self.vocab_size}; use more clips or a smaller '
                             'vocabulary')
        if is_main_process():
            print_log(f'k-means: {self.vocab_size - 1} centers on {len(cubes)} cubes', 'current')
            count = self.vocab_size - 1
            kmeans = MiniBatchKMeans(count, batch_size=max(1024, 2 * count), n_init=1,
                                     random_state=0) \
                if self.mini_batch else KMeans(count, n_init=1, max_iter=25, random_state=0)
            centers = torch.from_numpy(kmeans.fit(cubes.numpy()).cluster_centers_)
            self.centers.data[1:] = centers.to(self.centers)
        broadcast(self.centers.data)
        self._collected.clear()
