"""Head for supervised anomaly detection (DT4)."""

from mofm.registry import MODELS
from mofm.structures import MotionFeatures

from .cls_head import ActionClsHead


@MODELS.register_module()
class AnomalyClsHead(ActionClsHead):
    """Classifier of normal (0) and abnormal (1) with weighted cross entropy (MoFM, Sec. 5.4).

    Args:
        in_channels (int): D. Defaults to 768.
        dropout (float): Defaults to 0.4.
        class_weight (tuple[float, float]): Weights of normal and abnormal. Defaults to (1, 2).
        **kwargs: Other arguments of :class:`ActionClsHead`.
    """

    def __init__(self,
                 in_channels: int = 768,
                 dropout: float = 0.4,
                 class_weight: tuple = (1., 2.),
                 **kwargs):
        super().__init__(2, in_channels, dropout, class_weight=class_weight, **kwargs)

    def predict(self, features: MotionFeatures, data_samples: list) -> list:
        """Add ``normality``, the probability of class 0, in [0, 1]."""
        for sample in super().predict(features, data_samples):
            sample.normality = sample.pred_score[0]
        return data_samples
