"""Segments in MVNX files, the XML of Xsens MVN."""
from collections.abc import Iterator
from xml.parsers import expat

import numpy as np

from mofm.registry import SOURCES

from ..base import Item
from ..joint_maps import load_map
from ..motion_capture import MotionCapture
from ..recognition import Sample


class _Subject:
    """What is read of one person."""

    def __init__(self, label, rate):
        self.label, self.rate = label, rate
        self.segments: list[str] = []
        self.rows: list[str] = []


@SOURCES.register_module('mvnx')
class MVNX(MotionCapture):
    """Reader of ``.mvnx`` files, one recording for each person.

    The position of a segment is its first joint: that of ``RightUpperLeg`` the right hip. Frames
    of calibration poses are skipped. Document types and entities are refused.

    Args:
        path (str or Path): A folder, a zip file, or one file.
        **kwargs: Passed to :class:`MotionCapture`; meters, z up.

    Raises:
        AnnotationError: If the path has no such files.
    """

    suffix = '.mvnx'
    max_size = 2**29
    default_up = 'z'

    @classmethod
    def recognize(cls, sample: Sample) -> str | None:
        """See :meth:`Source.recognize`."""
        return 'XML with <mvnx' if b'<mvnx' in sample.head else None

    def recordings(self, name: str, content: bytes) -> Iterator[Item]:
        """See :meth:`Source3D.recordings`."""
        try:
            subjects = _parse(content)
        except (expat.ExpatError, ValueError) as error:
            raise self.error(name, 'file', error, 'XML without document type') from None
        if not subjects:
            raise self.error(name, 'mvnx', 'no <subject>', 'at least one')
        stem = self.stem(name)
        for i, subject in enumerate(subjects):
            recording = stem if len(subjects) == 1 else f'{stem}/{i}'
            if self.listed(recording) is None:
                continue
            field, columns = f'subject {subject.label[:80]}', 3 * len(subject.segments)
            try:
                if not subject.rows:
                    raise ValueError('no frames')
                values = np.loadtxt(subject.rows, comments=None, ndmin=2)
                if values.shape[1] != columns or np.isinf(values).any():
                    raise ValueError(f'{values.shape[1]} numbers, or infinite values')
            except ValueError as error:
                raise self.error(name, field, str(error)[:200], f'<position> of {columns} '
                                 'numbers in the frames') from None
            joints = self.to_coco(name, field, values.reshape(len(values), -1, 3),
                                  subject.segments, load_map('xsens_mvnx'))
            yield from self.person(name, field, recording, joints, subject.rate)


def _parse(content) -> list[_Subject]:
    """Parse the persons.

    Raises:
        expat.ExpatError: If the content is no XML.
        ValueError: If it has a document type, which may define entities.
    """
    subjects: list[_Subject] = []
    wanted, text = False, None

    def start(tag, attributes):
        nonlocal wanted, text
        tag = tag.rsplit(':', 1)[-1]
        if tag == 'subject':
            subjects.append(_Subject(attributes.get('label', ''), attributes.get('frameRate', '')))
        elif tag == 'segment' and subjects:
            subjects[-1].segments.append(attributes.get('label', ''))
        elif tag == 'frame':
            wanted = bool(subjects) and attributes.get('type', 'normal') == 'normal'
        elif tag == 'position' and wanted:
            text = []

    def characters(data):
        if text is not None:
            text.append(data)

    def end(tag):
        nonlocal text
        if text is not None:
            subjects[-1].rows.append(''.join(text).replace('\n', ' '))
            text = None

    def refuse(*_):
        raise ValueError('a document type')

    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(content, True)
    return subjects
