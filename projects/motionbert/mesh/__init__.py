"""Human mesh recovery from 2D keypoints."""

from .body_model import SMPL, Mesh
from .datasets import MeshDataset, MeshFlip, PackMeshInputs
from .head import SMPLHead
from .inferencer import MeshInferencer, MeshResult
from .losses import MeshLoss
from .metrics import MeshAccuracy
from .model import MeshDataPreprocessor, MeshRecoverer

__all__ = [
    'Mesh', 'MeshAccuracy', 'MeshDataPreprocessor', 'MeshDataset', 'MeshFlip', 'MeshInferencer',
    'MeshLoss', 'MeshRecoverer', 'MeshResult', 'PackMeshInputs', 'SMPL', 'SMPLHead'
]
