"""Contact sheets of clips and images."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from PIL import Image

from mofm.utils.files import atomic_path

from .animation import ClipPanel
from .pose import MIDDLE

_NUM_COLUMNS, _NUM_FRAMES = 6, 32


def _title(clip, classes):
    label = classes[clip['label']] if clip['label'] < len(classes) else f"label {clip['label']}"
    name = clip['frame_dir'] if len(clip['frame_dir']) <= 30 else '...' + clip['frame_dir'][-27:]
    return f"{name}\n{label}, {len(clip['keypoint'])} x {clip['total_frames']} frames"


def draw_contact_sheet(clips: Sequence[dict], classes: Sequence[str] = (),
                       layout: str = 'coco17') -> Figure:
    """Draw one row per clip with six of its frames.

    Args:
        clips (Sequence[dict]): At least one annotation, see :mod:`mofm.annotations.files`.
        classes (Sequence[str]): Names of the labels.
        layout (str): Joint layout.

    Returns:
        Figure: Six axes per clip.
    """
    figure = Figure(figsize=(1.5 * _NUM_COLUMNS + 1.8, 1.55 * len(clips)), dpi=100,
                    layout='constrained')
    axes = figure.subplots(len(clips), _NUM_COLUMNS, squeeze=False)
    for clip, row in zip(clips, axes, strict=True):
        for axis, time in zip(row, np.linspace(0, 1, _NUM_COLUMNS), strict=True):
            ClipPanel(axis, clip, layout).show(time)
        row[0].set_ylabel(_title(clip, classes), fontsize=7, color=MIDDLE, rotation=0, ha='right',
                          va='center', parse_math=False)
    return figure


def animate_contact_sheet(clips: Sequence[dict], classes: Sequence[str] = (),
                          layout: str = 'coco17') -> FuncAnimation:
    """Animate one panel per clip; all clips are resampled to 32 frames.

    Args:
        clips (Sequence[dict]): At least one annotation.
        classes (Sequence[str]): Names of the labels.
        layout (str): Joint layout.

    Returns:
        FuncAnimation: For :func:`save_animation`.
    """
    columns = min(len(clips), 4)
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(2.2 * columns, 2.5 * rows), dpi=80, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(clips):]:
        axis.set_axis_off()
    panels = [ClipPanel(axis, clip, layout) for axis, clip in zip(axes, clips, strict=True)]
    for axis, clip in zip(axes, clips, strict=True):
        axis.set_title(_title(clip, classes), fontsize=7, color=MIDDLE, parse_math=False)

    def show(frame):
        for panel in panels:
            panel.show(frame / (_NUM_FRAMES - 1))

    return FuncAnimation(figure, show, _NUM_FRAMES, interval=80)


def stack_pictures(paths: Sequence[str | Path], path: str | Path):
    """Stack images vertically at a width of 1000 pixels, the last one at three quarters of it.

    Args:
        paths (Sequence[str or Path]): The images.
        path (str or Path): File to write.
    """
    images = [Image.open(p).convert('RGB') for p in paths]
    widths = [1000] * (len(images) - 1) + [750]
    images = [im.resize((w, round(im.height * w / im.width)), Image.Resampling.LANCZOS)
              for im, w in zip(images, widths, strict=True)]
    sheet = Image.new('RGB', (1000, sum(im.height for im in images)), 'white')
    top = 0
    for im in images:
        sheet.paste(im, ((1000 - im.width) // 2, top))
        top += im.height
    with atomic_path(path) as temporary:
        sheet.save(temporary, optimize=True)
