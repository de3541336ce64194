"""Readers of published data sets."""

from .chad import CHAD, PHEVA, PoseLift
from .charades import Charades
from .florence3d import Florence3D
from .gcn_arrays import AGCN, CTRGCN
from .jhmdb import JHMDB, JHMDBPickles
from .jta import JTA
from .kinetics_skeleton import KineticsSkeleton
from .msr_action3d import MSRAction3D, MSRAction3DPixels
from .msrc12 import MSRC12
from .ntu import NTU60, NTU120, NTU60Joints, NTU120Joints
from .nw_ucla import NWUCLA
from .panoptic import Panoptic
from .penn_action import PennAction
from .pku_mmd import PKUMMD
from .posetrack import PoseTrack
from .pyskl import PYSKL, PYSKL3D, Kinetics
from .sbu import SBU
from .stg_nf import ShanghaiTech, UBnormal
from .tsu import TSU, Smarthome
from .uav_human import UAVHuman
from .utd_mhad import UTDMHAD
from .utkinect import UTKinect, UTKinectUntrimmed

__all__ = [
    'AGCN', 'CHAD', 'CTRGCN', 'Charades', 'Florence3D', 'JHMDB', 'JHMDBPickles', 'JTA', 'Kinetics',
    'KineticsSkeleton', 'MSRAction3D', 'MSRAction3DPixels', 'MSRC12', 'NTU120', 'NTU120Joints',
    'NTU60', 'NTU60Joints', 'NWUCLA', 'PHEVA', 'PKUMMD', 'PYSKL', 'PYSKL3D', 'Panoptic',
    'PennAction', 'PoseLift', 'PoseTrack', 'SBU', 'ShanghaiTech', 'Smarthome', 'TSU', 'UAVHuman',
    'UBnormal', 'UTDMHAD', 'UTKinect', 'UTKinectUntrimmed'
]
