"""Figure of the joint layouts."""
import numpy as np
from matplotlib.figure import Figure

from mofm.structures import LAYOUTS, front_view

from .pose import MIDDLE, draw_skeleton

_LARGEST = 40  # more joints are those of hands and faces


def draw_layouts() -> Figure:
    """Draw the layouts with numbered joints; the person's left is blue, the right orange.

    Those with joints of fingers and faces are left out.

    Returns:
        Figure: One axes per layout.
    """
    layouts = [layout for layout in LAYOUTS.values() if layout.num_joints < _LARGEST]
    columns = -(-len(layouts) // 3)
    figure = Figure(figsize=(2.5 * columns, 13.5), dpi=110, layout='constrained')
    axes = figure.subplots(3, columns, squeeze=False).ravel()
    for axis in axes[len(layouts):]:
        axis.set_axis_off()
    for axis, layout in zip(axes, layouts, strict=False):
        points = np.array([front_view(joint) for joint in layout.joints]) * [1, -1]
        draw_skeleton(axis, points, np.ones(len(points)), layout)
        for i, (x, y) in enumerate(points):
            axis.annotate(str(i), (x, y), (4 if x >= 0 else -4, 0), fontsize=7, va='center',
                          ha='left' if x >= 0 else 'right', textcoords='offset points',
                          color=MIDDLE)
        axis.set(xlim=(-.34, .34), ylim=(.05, -1.05), xticks=[], yticks=[], aspect='equal')
        axis.set_title(layout.name, fontsize=11, color=MIDDLE)
        axis.spines[:].set_visible(False)
    return figure
