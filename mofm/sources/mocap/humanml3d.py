"""Joints of HumanML3D, ``new_joints/*.npy`` (Guo et al., CVPR 2022)."""
import io
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from mofm.annotations import AnnotationError
from mofm.registry import SOURCES
from mofm.utils.checks import describe
from mofm.utils.untrusted import read_npy

from ..base import Item
from ..motion_capture import MotionCapture
from ..recognition import Sample

_SPLITS = ('train', 'val', 'test')


@SOURCES.register_module('humanml3d')
class HumanML3D(MotionCapture):
    """Reader of ``new_joints``: arrays (T, 22, 3) in meters, y up, 20 frames per second.

    Splits are those of ``train.txt``, ``val.txt`` and ``test.txt`` in the folder or beside it, if
    there are any. Texts are not read.

    Args:
        path (str or Path): The folder ``HumanML3D`` or ``new_joints``, an archive, or one file.
        **kwargs: Passed to :class:`MotionCapture`.

    Raises:
        AnnotationError: If the path has no such files.
    """

    suffix = '.npy'
    companions = tuple(f'{split}.txt' for split in _SPLITS)

    def __init__(self, path: str | Path, **kwargs):
        super().__init__(path, **kwargs)
        self.splits: dict[str, tuple[str, ...]] = {}
        for split in _SPLITS:
            try:
                text = self.companion(f'{split}.txt').decode('utf-8-sig', errors='replace')
            except AnnotationError:  # none, which is usual for data of one's own
                continue
            for recording in text.split():
                self.splits[recording] = (*self.splits.get(recording, ()), split)

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        shape, dtype = (sample.arrays or {}).get('', ((), None))
        inside = 'new_joints' in (*PurePosixPath(sample.name).parts, sample.tree.path.name)
        if inside and len(shape) == 3 and shape[1:] == (22, 3) and dtype.kind == 'f':
            return 'arrays (T, 22, 3) in new_joints'
        return None

    def find(self) -> list[str]:
        """List the files of joints, without features, their mean and deviation."""
        return [name for name in super().find()
                if 'new_joint_vecs' not in PurePosixPath(name).parts
                and self.tree.filename(name) not in ('Mean.npy', 'Std.npy')]

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        try:
            joints = read_npy(io.BytesIO(content))
        except Exception as error:  # the parser raises many kinds for damaged bytes
            raise self.error(name, 'file', describe(error), 'a readable .npy file of numbers'
                             ) from None
        if joints.dtype.kind != 'f' or joints.shape[1:] != (22, 3) or not len(joints):
            raise self.error(name, 'file', f'{joints.dtype} of shape {joints.shape}',
                             'joints (at least 1 frame, 22, 3) of new_joints; new_joint_vecs has '
                             'features')
        stem = self.stem(name)
        yield from self.person(name, 'file', stem, self.from_layout(joints, 'smpl22'), fps=20,
                               splits=self.splits.get(PurePosixPath(stem).name, ()))
