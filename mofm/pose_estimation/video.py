"""Video files and folders of images, and their frames."""
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from mofm.annotations import file_error

VIDEOS = {'.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'}
IMAGES = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}


def _by_number(path: Path) -> list:
    """Sort key that puts frame 10 after frame 9."""
    return [int(t) if t.isdecimal() else t for t in re.split(r'(\d+)', path.name)]


def find_videos(path: str | Path) -> dict[str, Path]:
    """Find the videos in a folder, recursively, or the one that the path is.

    Args:
        path (str or Path): A video, an image, or a folder. Images in one folder are the frames
            of a video.

    Returns:
        dict[str, Path]: Files, or folders of images, by their name inside ``path``.

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

    Videos are turned upright as their metadata say, which OpenCV leaves to its caller.

    Args:
        path (str or Path): The file or folder.

    Attributes:
        size (int): Bytes of the file or of all images.
        fps (float or None): Frames per second; None if unknown. This and the following are known
            after :meth:`open`.
        width (int): Of the first frame, in pixels.
        height (int): The same.
        expected_frames (int): Number of frames; of a file it is what the header says, which may
            be an estimate.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.images: list[Path] = []
        if self.path.is_dir():
            self.images = sorted((f for f in self.path.iterdir() if f.suffix.lower() in IMAGES
                                  and not f.name.startswith('.')), key=_by_number)
        elif self.path.suffix.lower() in IMAGES:
            self.images = [self.path]
        self.size = sum(f.stat().st_size for f in self.images or [self.path])

    def open(self):
        """Read the header and the first frame.

        Raises:
            AnnotationError: If that is not possible.
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
                             'a video that OpenCV reads')
        self.height, self.width = first.shape[:2]

    def _capture(self):
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _read(self, start):
        if self.images:
            for file in self.images[start:]:
                try:
                    image = cv2.imread(str(file))
                except cv2.error:  # far too large
                    image = None
                if image is None:
                    raise file_error(file, 'image', 'bytes that cannot be decoded', 'an image')
                yield image
            return
        capture = self._capture()
        try:
            # grabbing is exact, seeking is not
            if all(capture.grab() for _ in range(start)):
                while True:
                    there, image = capture.read()
                    if not there:
                        break
                    yield image
        finally:
            capture.release()

    def frames(self, start: int = 0) -> Iterator[np.ndarray]:
        """Iterate over the frames in order.

        Args:
            start (int): The first one, from 0.

        Yields:
            np.ndarray: (H, W, 3) uint8, blue green red.

        Raises:
            AnnotationError: If an image cannot be read or has another size than the first.
        """
        for index, image in enumerate(self._read(start), start):
            if image.shape[:2] != (self.height, self.width):
                raise file_error(self.images[index] if self.images else self.path, 'size',
                                 f'{image.shape[1]} x {image.shape[0]} in frame {index}',
                             f'{self.width} x {self.height} as in the first')
            yield image
