"""Reader of frames from videos, images and folders of images."""
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mofm.annotations import file_error
from mofm.utils.files import IMAGES, VIDEOS

# Level of OpenCV's log.
_ERRORS = 2
# Longer breaks between the time stamps of two frames are cut out, in seconds.
_LONGEST_BREAK = 10


def by_number(path: Path) -> list:
    """Return a sorting key with frame 10 after frame 9."""
    return [int(t) if t.isdecimal() else t for t in re.split(r'(\d+)', path.name)]


def find_videos(path: str | Path) -> dict[str, Path]:
    """Find the videos in a folder recursively.

    Args:
        path (str or Path): A video, an image, or a folder. Images in one folder are the frames
            of a video.

    Returns:
        dict[str, Path]: Files, or folders of images, by their name relative to ``path``.

    Raises:
        AnnotationError: If there are none.
    """
    path = Path(path)
    if path.is_file():
        return {path.name: path}
    files = [f for f in sorted(path.rglob('*')) if not f.name.startswith('.') and f.is_file()]
    found = {f for f in files if f.suffix.lower() in VIDEOS}
    found |= {f.parent for f in files if f.suffix.lower() in IMAGES}
    if not found:
        raise file_error(path, 'videos', 'none' if path.exists() else 'no such file or folder',
                         'files such as .mp4 or .avi, or folders of images')
    return {path.absolute().name if f == path else f.relative_to(path).as_posix(): f
            for f in sorted(found)}


class Video:
    """Frames of a video file, of an image, or of a folder of images.

    Videos are rotated according to their metadata. Their frames are at even times: where the rate
    varies, as of phones and screens, frames are repeated or dropped by their time stamps, so that
    frame ``i`` is what was to be seen at ``i / fps`` seconds.

    Args:
        path (str or Path): The file or folder.

    Attributes:
        size (int): Size of the file or of all images in bytes.
        fps (float or None): Frames per second; None if unknown. This and the following are set by
            :meth:`open`.
        width (int): Width of the first frame in pixels.
        height (int): Height of the first frame in pixels.
        expected_frames (int): Number of frames, for videos from the header, which may be an
            estimate.
        decoded (int): Frames that were decoded by the latest :meth:`frames`.
        repeated (int): Times that one of them was repeated.
        dropped (int): How many of them were dropped.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.images: list[Path] = []
        if self.path.is_dir():
            self.images = sorted((f for f in self.path.iterdir() if f.suffix.lower() in IMAGES
                                  and not f.name.startswith('.')), key=by_number)
        elif self.path.suffix.lower() in IMAGES:
            self.images = [self.path]
        self.decoded = self.repeated = self.dropped = 0
        self.size = sum(f.stat().st_size for f in self.images or [self.path])

    def open(self):
        """Read the header and the first frame.

        Raises:
            AnnotationError: If no frame can be decoded.
        """
        self.fps, self.expected_frames = None, len(self.images)
        if not self.images:
            capture = self._capture()
            fps = capture.get(cv2.CAP_PROP_FPS)
            self.fps = fps if 0 < fps < np.inf else None
            self.expected_frames = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            capture.release()
        first = next(self._read(0), None)
        if first is None:
            raise file_error(self.path, 'video', 'no frame that can be decoded',
                             'a video that OpenCV can read')
        self.height, self.width = first.shape[:2]

    def _capture(self):
        # errors are those of this class, in one line
        os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')  # read at the first video
        level = cv2.setLogLevel(_ERRORS)
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        cv2.setLogLevel(level)
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _read(self, start):
        if self.images:
            for file in self.images[start:]:
                try:
                    image = cv2.imread(str(file))
                except cv2.error:  # too large
                    image = None
                if image is None:
                    raise file_error(file, 'image', 'bytes that cannot be decoded', 'an image')
                yield image
            return
        capture = self._capture()
        self.decoded = self.repeated = self.dropped = 0
        try:
            for first, end in self._places(capture):  # grabbing is exact, seeking is not
                if max(first, start) < end:
                    success, image = capture.retrieve()
                    if not success:
                        break
                    for _ in range(max(first, start), end):
                        yield image
        finally:
            capture.release()

    def _places(self, capture) -> Iterator[tuple[int, int]]:
        """Grab all frames and yield the range of places at even times that each of them takes."""
        end, last, cut = 0, -np.inf, 0.
        while capture.grab():
            self.decoded += 1
            time = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            first = end
            if self.fps and time > last:  # else there are no time stamps
                if not end:
                    cut = time
                elif time - last > _LONGEST_BREAK:
                    cut += time - last - 1 / self.fps
                last = time
                end = max(int((time - cut) * self.fps + .5) + 1, first)
            else:
                end += 1
            self.repeated += max(end - first - 1, 0)
            self.dropped += end == first
            yield first, end

    def remarks(self) -> list[str]:
        """Say what was done to frames of a variable rate, and that there are fewer than expected.

        Call it after the last of :meth:`frames`.
        """
        out = []
        if self.repeated + self.dropped:
            out.append(f'variable frame rate: taken at even times, {self.fps:.4g} frames a '
                       f'second; {self.repeated} frames repeated, {self.dropped} dropped')
        if not self.images and self.decoded < self.expected_frames:
            out.append(f'{self.decoded} frames can be decoded, {self.expected_frames} are in its '
                       'header')
        return out

    def frames(self, start: int = 0) -> Iterator[np.ndarray]:
        """Iterate over the frames in order.

        Args:
            start (int): Index of the first frame. Defaults to 0.

        Yields:
            np.ndarray: (H, W, 3) uint8 BGR.

        Raises:
            AnnotationError: If an image cannot be read or its size differs from the first.
        """
        for index, image in enumerate(self._read(start), start):
            if image.shape[:2] != (self.height, self.width):
                raise file_error(self.images[index] if self.images else self.path, 'size',
                                 f'{image.shape[1]} x {image.shape[0]} in frame {index}',
                                 f'{self.width} x {self.height} as in the first')
            yield image
