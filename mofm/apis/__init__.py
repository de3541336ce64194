"""What programs call: models, inference, streaming, publishing, export, poses from video."""

from .export import ExportableModel, export_onnx
from .extract import extract_video, extracted, read_boxes
from .gallery import Gallery
from .inferencer import MotionInferencer
from .model import init_model
from .pose_extractor import DETECTOR, MODEL, PersonDetector, PoseExtractor, whole_frame
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
from .video import Video, find_videos

__all__ = ['ActionResult', 'AnomalyResult', 'DETECTOR', 'DetectResult', 'ExportableModel',
           'FeaturesResult', 'Gallery', 'LiftResult', 'MODEL', 'MotionInferencer', 'MotionStream',
           'OneShotResult', 'PersonDetector', 'PoseExtractor', 'ReconstructResult', 'Result',
           'StreamResult', 'TokensResult', 'Video', 'export_onnx', 'extract_video', 'extracted',
           'find_videos', 'from_pretrained', 'init_model', 'read_boxes', 'whole_frame']
