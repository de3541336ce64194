"""JigsawDetector: normality of motion from a token jigsaw, learned without labels (DT3)."""

from mmengine.model import BaseModel

from mofm.registry import MODELS
from mofm.structures import ThermalCubes

from .precision import full_precision


@MODELS.register_module()
class JigsawDetector(BaseModel):
    """Anomaly detector by the jigsaw of normal motion; motion it cannot solve is abnormal.

    Args:
        backbone (dict): Encoder of thermal cubes.
        head (dict): :class:`JigsawHead` with the canvas and patch of the backbone.
        data_preprocessor (dict, optional): Renderer of the clips.
    """

    approach = 'a token jigsaw'

    def __init__(self, backbone: dict, head: dict, data_preprocessor: dict | None = None):
        super().__init__(data_preprocessor and MODELS.build(data_preprocessor))
        self.backbone = MODELS.build(backbone)
        self.head = MODELS.build(head)
        cubes = self.head.cubes.numel()
        if cubes != self.backbone.segments * self.backbone.grid.num_cubes:
            raise ValueError(f'head: found {cubes} cubes, expected '
                             f'{self.backbone.segments * self.backbone.grid.num_cubes}; set the '
                             'canvas and patch of the backbone, which must have one segment')

    def forward(self, inputs: ThermalCubes, data_samples: list | None = None,
                mode: str = 'tensor'):
        """Return losses ('loss'), samples ('predict') or :class:`MotionFeatures` ('tensor')."""
        if mode == 'tensor':
            return self.backbone(inputs)
        occupied = self.head.occupied(inputs.peaks())
        if mode == 'loss':
            perm = self.head.shuffle(len(inputs))
            features = self.backbone(inputs, order=self.head.order(perm))
            with full_precision(features.pooled):
                return self.head.loss(features, perm, occupied)
        return self.head.predict(self.backbone(inputs), occupied, data_samples)
