"""Annotation schema: validation, safe reading and atomic writing of files."""

from .files import check_names, dump_annotations, load_annotations, local_file, open_arrow
from .label_names import LABEL_NAMES
from .manifest import Shard, read_manifest, write_manifest
from .schema import (
    TRACK_ARRAYS,
    AnnotationError,
    Problem,
    UnreadableError,
    complete_3d,
    file_error,
    find_twice,
    person_ids,
    summarize,
    validate,
)

__all__ = ['LABEL_NAMES', 'TRACK_ARRAYS', 'AnnotationError', 'Problem', 'Shard', 'UnreadableError',
           'check_names', 'complete_3d', 'dump_annotations', 'file_error', 'find_twice',
           'load_annotations', 'local_file', 'open_arrow', 'person_ids', 'read_manifest',
           'summarize', 'validate', 'write_manifest']
