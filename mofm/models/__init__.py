"""Models: thermal cubes, tokenizers, backbones, heads, losses and what joins them."""

from .backbones import *  # noqa: F401,F403
from .data_preprocessor import MotionDataPreprocessor, SkeletonDataPreprocessor
from .heads import *  # noqa: F401,F403
from .jigsaw_detector import JigsawDetector
from .losses import *  # noqa: F401,F403
from .pretrainer import MotionPretrainer
from .recognizer import MotionRecognizer
from .thermal_cubes import CubeGrid, RenderedCubes, ThermalCubes
from .tokenizers import *  # noqa: F401,F403

__all__ = [
    'CubeGrid', 'JigsawDetector', 'MotionDataPreprocessor', 'MotionPretrainer',
    'MotionRecognizer', 'RenderedCubes', 'SkeletonDataPreprocessor', 'ThermalCubes'
]
