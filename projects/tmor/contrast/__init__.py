"""Cluster-guided contrastive learning of motions, videos and texts (T-MOR, Sec. II)."""

from .clustering import ClusterDBSCAN
from .hooks import ClusterHook, IndexedConcatDataset
from .losses import ClusterContrastLoss, cluster_pairs
from .model import MotionContrast, ProjectionHead
from .queue import ContrastMemory

__all__ = [
    'ClusterContrastLoss', 'ClusterDBSCAN', 'ClusterHook', 'ContrastMemory',
    'IndexedConcatDataset', 'MotionContrast', 'ProjectionHead', 'cluster_pairs'
]
