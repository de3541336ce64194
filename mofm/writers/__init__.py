"""Writers of annotations and results in the formats of other programs."""

from .bvh import write_bvh
from .json_poses import write_alphapose, write_coco
from .motion import write_motion
from .table import write_table
from .tasks import LOCAL_FILES, write_cvat, write_label_studio
from .trc import write_trc

__all__ = ['LOCAL_FILES', 'write_alphapose', 'write_bvh', 'write_coco', 'write_cvat',
           'write_label_studio', 'write_motion', 'write_table', 'write_trc']
