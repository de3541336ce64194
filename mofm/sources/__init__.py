"""Readers of outside formats: each turns native files into annotations of the one schema."""

from .base import Source, Source3D
from .nw_ucla import NWUCLA
from .penn_action import PennAction
from .stg_nf import ShanghaiTech, UBnormal
from .utkinect import UTKinect, UTKinectUntrimmed

__all__ = [
    'NWUCLA', 'PennAction', 'ShanghaiTech', 'Source', 'Source3D', 'UBnormal', 'UTKinect',
    'UTKinectUntrimmed'
]
