"""Contact sheets of clips and of pictures."""
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.figure import Figure
from PIL import Image

from .animation import ClipPanel
from .pose import MIDDLE


def _title(clip, classes):
    label = classes[clip['label']] if clip['label'] < len(classes) else f"label {clip['label']}"
    name = clip['frame_dir'] if len(clip['frame_dir']) <= 30 else '...' + clip['frame_dir'][-27:]
    return f"{name}\n{label}, {len(clip['keypoint'])} x {clip['total_frames']} frames"


def draw_contact_sheet(clips: Sequence[dict], classes: Sequence[str] = (),
                       layout: str = 'coco17', num: int = 6) -> Figure:
    """Draw one row per clip with a few of its frames.

    Args:
        clips (Sequence[dict]): At least one annotation, see :mod:`mofm.annotations.files`.
        classes (Sequence[str]): Names of the labels.
        layout (str): Joint layout.
        num (int): Moments.

    Returns:
        Figure: ``num`` axes per clip.
    """
    figure = Figure(figsize=(1.5 * num + 1.8, 1.55 * len(clips)), dpi=100, layout='constrained')
    axes = figure.subplots(len(clips), num, squeeze=False)
    for clip, row in zip(clips, axes, strict=True):
        for axis, time in zip(row, np.linspace(0, 1, num), strict=True):
            ClipPanel(axis, clip, layout).show(time)
        row[0].set_ylabel(_title(clip, classes), fontsize=7, color=MIDDLE, rotation=0, ha='right',
                          va='center')
    return figure


def animate_contact_sheet(clips: Sequence[dict], classes: Sequence[str] = (),
                          layout: str = 'coco17', num: int = 32) -> FuncAnimation:
    """Animate one panel per clip; the clips are resampled to the same length.

    Args:
        clips (Sequence[dict]): At least one annotation.
        classes (Sequence[str]): Names of the labels.
        layout (str): Joint layout.
        num (int): Frames.

    Returns:
        FuncAnimation: To be saved as GIF.
    """
    columns = min(len(clips), 4)
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(2.2 * columns, 2.5 * rows), dpi=80, layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(clips):]:
        axis.set_axis_off()
    panels = [ClipPanel(axis, clip, layout) for axis, clip in zip(axes, clips, strict=True)]
    for axis, clip in zip(axes, clips, strict=True):
        axis.set_title(_title(clip, classes), fontsize=7, color=MIDDLE)

    def show(frame):
        for panel in panels:
            panel.show(frame / max(num - 1, 1))

    return FuncAnimation(figure, show, num, interval=80)


def stack_pictures(paths: Sequence[str | Path], path: str | Path, width: int = 1000):
    """Save pictures one below the other, the last one at three quarters of the width.

    Args:
        paths (Sequence[str or Path]): The pictures.
        path (str or Path): File of the result.
        width (int): Its width in pixels.
    """
    images = [Image.open(p).convert('RGB') for p in paths]
    widths = [width] * (len(images) - 1) + [3 * width // 4]
    images = [im.resize((w, round(im.height * w / im.width)), Image.Resampling.LANCZOS)
              for im, w in zip(images, widths, strict=True)]
    sheet = Image.new('RGB', (width, sum(im.height for im in images)), 'white')
    top = 0
    for im in images:
        sheet.paste(im, ((width - im.width) // 2, top))
        top += im.height
    sheet.save(path, optimize=True)
