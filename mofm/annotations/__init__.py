"""Annotation schema: validation, safe reading and atomic writing of files."""

from .files import check_names, dump_annotations, load_annotations, open_arrow
from .label_names import LABEL_NAMES
from .schema import (
    TRACK_ARRAYS,
    AnnotationError,
    Problem,
    complete_3d,
    file_error,
    find_twice,
    person_ids,
    summarize,
    validate,
)

__all__ = ['LABEL_NAMES', 'TRACK_ARRAYS', 'AnnotationError', 'Problem', 'check_names',
           'complete_3d', 'dump_annotations', 'file_error', 'find_twice', 'load_annotations',
           'open_arrow', 'person_ids', 'summarize', 'validate']
