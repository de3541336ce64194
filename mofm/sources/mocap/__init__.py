"""Readers of motion capture."""

from .amass import AMASS
from .anipose import Anipose
from .arrays import JointsNPZ
from .bvh import BVH
from .c3d import C3D
from .freemocap import FreeMoCap
from .humanml3d import HumanML3D
from .marker_table import MarkerTable
from .mvnx import MVNX
from .table_3d import Table3D
from .trc import TRC
from .videopose3d import VideoPose2D, VideoPose3D

__all__ = ['AMASS', 'Anipose', 'BVH', 'C3D', 'FreeMoCap', 'HumanML3D', 'JointsNPZ', 'MVNX',
           'MarkerTable', 'TRC', 'Table3D', 'VideoPose2D', 'VideoPose3D']
