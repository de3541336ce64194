"""Models: tokenizers, backbones, heads, losses, and motion models that combine them."""

import os

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

# oneDNN keeps 1024 primitives by default, one for each shape; batches of occupied tokens always
# have new shapes, whose primitives would fill gigabytes
os.environ.setdefault('ONEDNN_PRIMITIVE_CACHE_CAPACITY', '128')
