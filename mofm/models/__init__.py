"""Models: tokenizers, backbones, heads, losses, and motion models that combine them."""

from .backbones import *  # noqa: F401,F403
from .data_preprocessor import MotionDataPreprocessor, SkeletonDataPreprocessor
from .flow_detector import FlowDetector
from .heads import *  # noqa: F401,F403
from .jigsaw_detector import JigsawDetector
from .losses import *  # noqa: F401,F403
from .nearest_neighbor_detector import NearestNeighborDetector
from .pretrainer import MotionPretrainer
from .recognizer import MotionRecognizer
from .surprise_detector import SurpriseDetector
from .tokenizers import *  # noqa: F401,F403

__all__ = [
    'FlowDetector', 'JigsawDetector', 'MotionDataPreprocessor', 'MotionPretrainer',
    'MotionRecognizer', 'NearestNeighborDetector', 'SkeletonDataPreprocessor', 'SurpriseDetector'
]
