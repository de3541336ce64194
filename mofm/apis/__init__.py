"""Python interface: models, inference and streaming; import publishing and export on their own."""

from mofm.hub.zoo import list_models

from .inferencer import MotionInferencer
from .inferencers import BaseInferencer, EventRule, Gallery, Result, Results, TaskOptions
from .model import init_model
from .motion_index import Hit, MotionIndex, write_hits
from .pretrained import from_pretrained
from .recordings import RecordingOptions
from .stream import MotionStream, StreamResult
from .windows import WindowOptions

__all__ = ['BaseInferencer', 'EventRule', 'Gallery', 'Hit', 'MotionIndex', 'MotionInferencer',
           'MotionStream', 'RecordingOptions', 'Result', 'Results', 'StreamResult', 'TaskOptions',
           'WindowOptions', 'from_pretrained', 'init_model', 'list_models',
           'write_hits']
