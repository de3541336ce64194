"""Animated skeletons, as GIF or MP4."""
import errno
from io import BytesIO
from os import PathLike
from pathlib import Path
from subprocess import CalledProcessError

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter, FuncAnimation
from matplotlib.figure import Figure
from PIL import Image

from mofm.structures import get_layout
from mofm.utils.files import atomic_path

from .pose import MIDDLE, Skeletons, bounds, show_window

_SIZE = 4.8  # side of a panel in inches of 80 pixels
FPS = 12  # of animations
_MAX_FRAMES = 120


def real_time(total: int, fps: float | None) -> int:
    """Return the frames of an animation at the speed of the input, which lasts at most 10 s."""
    return int(np.clip(FPS * total / (fps or 30), 2, _MAX_FRAMES))


class Clock:
    """Frame number and, if ``fps`` of the clip is known, time at the lower left of a figure.

    Args:
        figure (Figure): Figure to write on.
        clip (dict): Annotation, whose ``frame_inds`` are counted if it has them.
    """

    def __init__(self, figure: Figure, clip: dict):
        self._frames = np.rint(clip.get('frame_inds', np.arange(clip['keypoint'].shape[1])))
        self._fps = clip.get('fps')
        self._text = figure.text(.01, .01, '', fontsize=12, color=MIDDLE, va='bottom')

    def show(self, time: float):
        """Show the frame at a relative time in [0, 1]."""
        if not len(self._frames):
            return
        frame = int(self._frames[round(time * (len(self._frames) - 1))])
        seconds = f'{frame / self._fps:.2f} s, ' if self._fps else ''
        self._text.set_text(f'{seconds}frame {frame}')


class ClipPanel:
    """Axes with all persons of a clip at a given time.

    The window contains the visible joints of the whole clip, so that motion through the image
    stays visible.

    Args:
        axis (Axes): Axes to draw on.
        clip (dict): Annotation, see :mod:`mofm.annotations.files`.
        layout (str): Joint layout.
        width (float): Line width of the bones in points.
    """

    def __init__(self, axis, clip: dict, layout: str = 'coco17', width: float = 1.6):
        self._keypoint = np.asarray(clip['keypoint'], np.float32)  # (M, T, V, 2)
        self._score = np.asarray(clip['keypoint_score'], np.float32)
        low, high = bounds(self._keypoint[self._score > 0])
        center, half = (low + high) / 2, max(*(high - low), 1) * .55
        show_window(axis, center - half, center + half)
        self._skeletons = Skeletons(axis, get_layout(layout), width)

    def show(self, time: float):
        """Show the frame at a relative time in [0, 1]."""
        frame = round(time * (self._keypoint.shape[1] - 1))
        self._skeletons.show(self._keypoint[:, frame], self._score[:, frame])


def animate_clip(clip: dict, layout: str = 'coco17', num: int = 32,
                 title: str = '') -> FuncAnimation:
    """Animate a clip with a given number of frames; colors as in `draw_pose_clip`.

    Args:
        clip (dict): Annotation with ``keypoint`` (M, T, V, 2) and ``keypoint_score`` (M, T, V),
            and optionally ``frame_inds`` and ``fps``, see :class:`Clock`.
        layout (str): Joint layout.
        num (int): Frames of the animation.
        title (str): Title of the figure.

    Returns:
        FuncAnimation: For :func:`save_animation`.
    """
    head, foot = .27 * (title.count('\n') + 1) * bool(title), .25
    height = head + _SIZE + foot
    figure = Figure(figsize=(_SIZE, height), dpi=80)
    panel = ClipPanel(figure.add_axes((.01, foot / height, .98, .98 * _SIZE / height)), clip,
                      layout, 3)
    clock = Clock(figure, clip)
    figure.text(.5, .995, title, fontsize=13, color=MIDDLE, ha='center', va='top',
                parse_math=False)

    def show(frame: int):
        for part in (panel, clock):
            part.show(frame / max(num - 1, 1))

    return FuncAnimation(figure, show, num)


class _GifWriter(AbstractMovieWriter):
    """GIF writer with one palette for all frames, twice as fast and small as matplotlib's."""

    def setup(self, fig, outfile, dpi=None):
        super().setup(fig, outfile, dpi)
        self._images = []

    def grab_frame(self, **savefig_kwargs):
        buffer = BytesIO()
        self.fig.savefig(buffer, **{**savefig_kwargs, 'format': 'rgba', 'dpi': self.dpi})
        image = Image.frombytes('RGBA', self.frame_size, buffer.getvalue())
        self._images.append(image.convert('RGB'))

    def finish(self):
        some = self._images[::max(len(self._images) // 8, 1)]
        palette = Image.fromarray(np.concatenate(some)).quantize(64, Image.Quantize.FASTOCTREE)
        first, *rest = (image.quantize(palette=palette, dither=Image.Dither.NONE)
                        for image in self._images)
        first.save(self.outfile, save_all=True, append_images=rest, loop=0,
                   duration=round(1000 / self.fps))


def not_encoded(path: str | PathLike) -> OSError:
    """Make the error of a video that ffmpeg cannot write."""
    return OSError(errno.EIO, 'ffmpeg could not write it; is the disk full?', str(path))


def save_figure(figure: Figure, path: str | PathLike) -> None:
    """Save a figure in the format of the suffix, complete or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary)


def save_animation(animation: FuncAnimation, path: str | PathLike, fps: float = FPS) -> None:
    """Save an animation as GIF, or as MP4 with the ffmpeg of imageio-ffmpeg.

    Args:
        animation (FuncAnimation): E.g. of :func:`animate_clip`.
        path (str or Path): File with the suffix ``.gif`` or ``.mp4``.
        fps (float): Frames per second.

    Raises:
        ValueError: If the path has another suffix.
        OSError: If the disk is full.
    """
    suffix = Path(path).suffix
    if suffix == '.gif':
        with atomic_path(path) as temporary:
            animation.save(temporary, _GifWriter(fps))
    elif suffix == '.mp4':
        from imageio_ffmpeg import get_ffmpeg_exe
        with (rc_context({'animation.ffmpeg_path': get_ffmpeg_exe()}),
              atomic_path(path) as temporary):
            try:
                animation.save(temporary, FFMpegWriter(fps))
            except (OSError, CalledProcessError):
                raise not_encoded(path) from None
    else:
        raise ValueError(f'{path}: found suffix {suffix!r}, expected .gif or .mp4')
