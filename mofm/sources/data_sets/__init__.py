"""Readers of published data sets."""

from .chad import CHAD, PHEVA, PoseLift
from .charades import Charades
from .jta import JTA
from .ntu import NTU60, NTU120, NTU60Joints, NTU120Joints
from .nw_ucla import NWUCLA
from .panoptic import Panoptic
from .penn_action import PennAction
from .pku_mmd import PKUMMD
from .posetrack import PoseTrack
from .pyskl import PYSKL, PYSKL3D, Kinetics
from .stg_nf import ShanghaiTech, UBnormal
from .tsu import TSU, Smarthome
from .utkinect import UTKinect, UTKinectUntrimmed

__all__ = [
    'CHAD', 'Charades', 'JTA', 'Kinetics', 'NTU120', 'NTU120Joints', 'NTU60', 'NTU60Joints',
    'NWUCLA', 'PHEVA', 'PKUMMD', 'PYSKL', 'PYSKL3D', 'Panoptic', 'PennAction', 'PoseLift',
    'PoseTrack', 'ShanghaiTech', 'Smarthome', 'TSU', 'UBnormal', 'UTKinect', 'UTKinectUntrimmed'
]
