"""Temporal localization of actions in untrimmed recordings (arXiv 2606.21607, Sec. III-B)."""

from .datasets import UntrimmedDataset
from .events import event_ap
from .heads import FrameBCELoss, FrameCELoss, FrameHead, SDTCNHead
from .inferencer import LocalizeInferencer, LocalizeResult
from .metrics import EventMAP, FrameMAP
from .model import MotionDetector
from .segments import argmax_segments, threshold_segments

__all__ = [
    'EventMAP', 'FrameBCELoss', 'FrameCELoss', 'FrameHead', 'FrameMAP', 'LocalizeInferencer',
    'LocalizeResult', 'MotionDetector', 'SDTCNHead', 'UntrimmedDataset', 'argmax_segments',
    'event_ap', 'threshold_segments'
]
