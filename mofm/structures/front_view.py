"""Front view of a person, for drawings of layouts."""

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


def front_view(joint: str) -> tuple[float, float] | None:
    """Return where a joint is in a drawing of a person of height 1.

    Args:
        joint (str): Name of the joint.

    Returns:
        tuple[float, float] or None: x to the person's left, 0 in the middle, and y up from the
        feet; None for joints of fingers and faces.
    """
    place = _POSE.get(joint.replace('right_', 'left_'))
    if place is None:
        return None
    x, y = place
    return (-x if joint.startswith('right_') else x), y
