"""What programs call: models, inference, streaming, publishing and export."""

from .export import ExportableModel, export_onnx
from .inferencer import MotionInferencer
from .inferencers import BaseInferencer, Gallery, Result, TaskOptions
from .model import init_model
from .pretrained import from_pretrained
from .recordings import RecordingOptions
from .stream import MotionStream, StreamResult
from .windows import WindowOptions

__all__ = ['BaseInferencer', 'ExportableModel', 'Gallery', 'MotionInferencer', 'MotionStream',
           'RecordingOptions', 'Result', 'StreamResult', 'TaskOptions', 'WindowOptions',
           'export_onnx', 'from_pretrained', 'init_model']
