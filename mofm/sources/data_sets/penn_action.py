"""Penn Action: 2326 clips of 15 actions with 13 annotated joints (Zhang et al., ICCV 2013)."""
from pathlib import PurePosixPath

import numpy as np

from mofm.annotations import LABEL_NAMES
from mofm.registry import SOURCES
from mofm.structures import LAYOUTS, convert

from ..base import Source
from ..matlab import has_variables, read_mat
from ..recognition import Sample
from .validation import with_validation

_FIELDS = ('action', 'dimensions', 'nframes', 'train', 'visibility', 'x', 'y')


@SOURCES.register_module('penn_action')
class PennAction(Source):
    """Reader of ``labels/*.mat``, with the official splits ``train`` and ``test``.

    ``fit`` and ``val`` divide ``train``: 15 % of the clips of each class are for validation, in
    runs of consecutive numbers, which are often of one video.
    Invisible joints, which the files place near (1, 1) or at a guess, are missing. The head
    becomes the nose; eyes and ears are missing. Coordinates are stored as float16 with an error of
    at most 1/4 pixel in these small images.
    """

    suffix = '.mat'
    max_size = 2**16  # may unpack to a thousand times as much
    classes = LABEL_NAMES['penn_action']

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        if has_variables(sample.head, _FIELDS):
            return f'a MATLAB file with {", ".join(_FIELDS)}'
        return None

    def read(self, name: str, content: bytes) -> tuple[dict, tuple[str, ...]]:
        """See :meth:`Source.read`."""
        mat = read_mat(self, name, content, _FIELDS)
        x, y, visibility = (self._numbers(name, mat, f) for f in ('x', 'y', 'visibility'))
        train, total_frames = (self._numbers(name, mat, f, 1)[0] for f in ('train', 'nframes'))
        height, width = self._numbers(name, mat, 'dimensions', 2)[:2].tolist()

        shape = (int(total_frames), LAYOUTS['penn13'].num_joints)
        for field, value in (('x', x), ('y', y), ('visibility', visibility)):
            if shape[0] < 1 or value.shape != shape:
                raise self.error(name, field, f'shape {value.shape}',
                                 f'(nframes={shape[0]}, at least 1, {shape[1]} joints)')
        if train not in (1, -1):
            raise self.error(name, 'train', train, '1 or -1')
        if min(height, width) < 1:
            raise self.error(name, 'dimensions', (height, width), 'a height and width')
        action = ''.join(map(str, mat['action'].ravel()))
        if action not in self.classes:
            raise self.error(name, 'action', repr(action[:40]), f'one of {self.classes}')

        visible = (visibility > 0) & ~(np.isnan(x) | np.isnan(y))  # (T, 13)
        with np.errstate(over='ignore'):  # infinite values raise later
            keypoint = np.where(visible, [x, y], 0).transpose(1, 2, 0)[None].astype(np.float16)
        score = visible[None].astype(np.float16)
        keypoint, score = convert(keypoint, score, 'penn13')  # (1, T, 17, 2), (1, T, 17)
        stem = PurePosixPath(self.tree.filename(name)).stem
        annotation = dict(
            frame_dir=stem,
            label=self.classes.index(action),
            img_shape=(int(height), int(width)),
            total_frames=shape[0],
            keypoint=keypoint,
            keypoint_score=score)
        return annotation, with_validation('train' if train == 1 else 'test', stem, 'penn_action')

    def _numbers(self, name, mat, field, at_least=0):
        """Return a field as float64, flat if it must have ``at_least`` some values."""
        value = np.asarray(mat[field])
        unknown = np.isnan(value) if value.dtype.kind == 'f' else np.zeros(value.shape, bool)
        if value.dtype.kind not in 'fiub' or np.isinf(value).any() or unknown.any() and (
                field not in ('x', 'y') or unknown.all()):
            raise self.error(name, field, f'{value.dtype} with NaN, infinite or other values',
                             'finite numbers')
        if unknown.any():
            self.note(name, 'NaN is a missing joint')
        if value.size < at_least:
            raise self.error(name, field, f'{value.size} values', f'at least {at_least}')
        return value.astype(np.float64).ravel() if at_least else value.astype(np.float64)
