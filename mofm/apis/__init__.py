"""What programs call: models, inference, streaming, publishing and export."""

from .export import ExportableModel, export_onnx
from .gallery import Gallery
from .inferencer import MotionInferencer
from .model import init_model
from .pretrained import from_pretrained
from .results import (
    ActionResult,
    AnomalyResult,
    DetectResult,
    FeaturesResult,
    LiftResult,
    OneShotResult,
    ReconstructResult,
    Result,
    TokensResult,
)
from .stream import MotionStream, StreamResult

__all__ = ['ActionResult', 'AnomalyResult', 'DetectResult', 'ExportableModel', 'FeaturesResult',
           'Gallery', 'LiftResult', 'MotionInferencer', 'MotionStream', 'OneShotResult',
           'ReconstructResult', 'Result', 'StreamResult', 'TokensResult', 'export_onnx',
           'from_pretrained', 'init_model']
