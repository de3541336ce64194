"""Figure of the joint layouts."""
import numpy as np
from matplotlib.figure import Figure

from mofm.structures import LAYOUTS

from .pose import MIDDLE, draw_skeleton

# Front view of a person of height 1 with large hands, feet and face; right joints are mirrored.
_POSE = dict(
    nose=(0, .92), left_eye=(.055, .965), left_ear=(.13, .95), head=(0, 1), mouth=(0, .88),
    neck=(0, .83), left_collar=(.06, .825), left_shoulder=(.14, .81), left_elbow=(.21, .65),
    left_wrist=(.25, .5), left_hand=(.26, .44), left_hand_tip=(.3, .37), left_thumb=(.19, .38),
    upper_spine=(0, .76), spine=(0, .67), lower_spine=(0, .59), pelvis=(0, .52),
    left_hip=(.07, .5), left_knee=(.085, .28), left_ankle=(.1, .08), left_heel=(.04, .04),
    left_foot=(.15, .015), left_big_toe=(.1, -.02), left_small_toe=(.18, .02), root=(0, 0),
    left_eye_inner=(.03, .97), left_eye_outer=(.085, .97), left_lip1=(.04, .875),
    head_center=(0, .93), upper_neck=(0, .87), spine0=(0, .77), spine1=(0, .72),
    spine3=(0, .62), spine4=(0, .56), left_pinky1=(.3, .43), left_index1=(.22, .42),
    left_thumb2=(.17, .46), left_toe_end=(.19, -.02), pelvis_end=(0, .56),
    left_neck=(.05, .84), left_thumb_root=(.19, .48), left_wrist_end=(.3, .48))
_LARGEST = 40  # more joints are those of hands and faces


def _position(joint: str):
    x, y = _POSE[joint.replace('right_', 'left_')]
    return (-x if joint.startswith('right_') else x), y


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
        points = np.array([_position(joint) for joint in layout.joints]) * [1, -1]
        draw_skeleton(axis, points, np.ones(len(points)), layout)
        for i, (x, y) in enumerate(points):
            axis.annotate(str(i), (x, y), (4 if x >= 0 else -4, 0), fontsize=7, va='center',
                          ha='left' if x >= 0 else 'right', textcoords='offset points',
                          color=MIDDLE)
        axis.set(xlim=(-.34, .34), ylim=(.05, -1.05), xticks=[], yticks=[], aspect='equal')
        axis.set_title(layout.name, fontsize=11, color=MIDDLE)
        axis.spines[:].set_visible(False)
    return figure
