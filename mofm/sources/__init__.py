"""Readers of data sets and pose formats, which yield annotations of one schema."""

from .alphapose import AlphaPose
from .arrays import JointsNPZ
from .base import FolderSource, Source
from .bvh import BVH
from .bvh_writer import write_bvh
from .charades import Charades
from .mmpose import MMPoseJSON
from .ntu import NTU60, NTU120, NTU60Joints, NTU120Joints
from .nw_ucla import NWUCLA
from .openpose import OpenPose
from .panoptic import Panoptic
from .penn_action import PennAction
from .per_frame_poses import FramePoseSource
from .pku_mmd import PKUMMD
from .pyskl import PYSKL, PYSKL3D, Kinetics
from .source_3d import Source3D
from .stg_nf import ShanghaiTech, UBnormal
from .tsu import TSU, Smarthome
from .utkinect import UTKinect, UTKinectUntrimmed

__all__ = [
    'AlphaPose', 'BVH', 'Charades', 'FramePoseSource', 'FolderSource', 'JointsNPZ', 'Kinetics',
    'MMPoseJSON', 'NTU120', 'NTU120Joints', 'NTU60', 'NTU60Joints', 'NWUCLA', 'OpenPose', 'PKUMMD',
    'PYSKL', 'PYSKL3D', 'Panoptic', 'PennAction', 'ShanghaiTech', 'Smarthome', 'Source',
    'Source3D', 'TSU', 'UBnormal', 'UTKinect', 'UTKinectUntrimmed', 'write_bvh'
]
