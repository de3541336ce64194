"""Readers of the results of pose estimators."""

from .alphapose import AlphaPose
from .coco import COCO
from .deeplabcut import DeepLabCut, LightningPose
from .detectron2 import Detectron2
from .mediapipe import MediaPipe, MediaPipeWorld
from .mmpose import MMPoseJSON
from .mmpose_3d import MMPose3D
from .named_json import NamedJSON
from .openpose import OpenPose
from .sleap import SLEAP
from .table import Table
from .trc_2d import TRC2D
from .yolo import YOLO

__all__ = ['COCO', 'SLEAP', 'TRC2D', 'YOLO', 'AlphaPose', 'DeepLabCut', 'Detectron2',
           'LightningPose', 'MMPose3D', 'MMPoseJSON', 'MediaPipe', 'MediaPipeWorld', 'NamedJSON',
           'OpenPose', 'Table']
