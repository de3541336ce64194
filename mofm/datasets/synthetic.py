"""Procedural human motion: an articulated COCO-17 body, a random camera and pose noise.

It needs neither files nor a network connection, for tests of tokenizer, pre-training and
fine-tuning. A clip has four vectorized steps: joint-angle trajectories of an action, forward
kinematics of a small tree, perspective projection, and the errors of a 2D pose estimator. World
axes: x forward, y to the person's left, z up; meters, degrees, seconds.
"""
from collections.abc import Callable, Sequence

import numpy as np

from mofm.keypoints import add_pose_noise
from mofm.registry import DATASETS

from .motion_dataset import MotionDataset

Angles = dict[str, np.ndarray]

FPS = 30.0
IMG_SHAPE = (1080, 1920)

# Ranges of the degrees of freedom. `l_`/`r_` are the sides of the body. For limbs the first angle
# lifts the limb forwards, the second one sideways, the third rotates it about its own axis
# (outwards positive); elbows fold forwards and knees backwards only.
_LIMB_RANGES = dict(
    shoulder=(-60, 180), abduct=(-40, 175), rotate=(-90, 100), elbow=(0, 150),
    hip=(-30, 130), spread=(-15, 60), turnout=(-30, 45), knee=(0, 150))
RANGES: dict[str, tuple[float, float]] = dict(
    pitch=(-95, 95), roll=(-95, 95), yaw=(-180, 180), bend=(-25, 110), side=(-35, 35),
    twist=(-50, 50), nod=(-40, 40), turn=(-70, 70),
    **{f'{side}_{name}': span for side in 'lr' for name, span in _LIMB_RANGES.items()})
_SIGNED = ('roll', 'yaw', 'side', 'twist', 'turn')  # change sign under left/right reflection

_REST = dict.fromkeys(RANGES, 0.0)
for _side in 'lr':
    _REST.update({f'{_side}_abduct': 8, f'{_side}_elbow': 12, f'{_side}_hip': 2,
                  f'{_side}_spread': 4, f'{_side}_knee': 4})
# Arms that do not take part in the action: hanging, hand on hip, in front of the belly.
_IDLE_ARMS = (
    {}, {}, {},
    dict(shoulder=-25, abduct=42, rotate=-35, elbow=95),
    dict(shoulder=15, abduct=8, rotate=-50, elbow=85))

# Segment lengths of a person of 1.72 m.
_SEGMENTS = dict(hip=.10, thigh=.43, shin=.42, trunk=.49, shoulder=.19, upper_arm=.29,
                 forearm=.26, neck=.12, head=.10)
# Height of each joint above the floor at contact.
_CLEARANCE = np.array(
    [.06, .06, .06, .06, .06, .10, .10, .05, .05, .03, .03, .10, .10, .06, .06, .08, .08])
_FACE, _ANKLES = slice(0, 5), [15, 16]


# ------------------------------------------------------------------------------------- kinematics
def _rotation(axis: int, degrees: np.ndarray) -> np.ndarray:
    """Return right-handed rotations about one axis: (T,) -> (T, 3, 3)."""
    angle = np.deg2rad(np.asarray(degrees, dtype=np.float64))
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.zeros(angle.shape + (3, 3))
    out[..., axis, axis] = 1
    out[..., i, i] = out[..., j, j] = np.cos(angle)
    out[..., j, i] = np.sin(angle)
    out[..., i, j] = -out[..., j, i]
    return out


def forward_kinematics(angles: Angles, segments: dict[str, float]) -> np.ndarray:
    """Compute joint positions of the body with the pelvis at the origin.

    Args:
        angles: (T,) degrees by every name of `RANGES`.
        segments: Segment lengths in meters (`hip`, `thigh`, `shin`, `trunk`, `shoulder`,
            `upper_arm`, `forearm`, `neck`, `head`).

    Returns:
        np.ndarray: (T, 17, 3) meters in COCO order.
    """
    s = segments
    root = (_rotation(2, angles['yaw']) @ _rotation(1, angles['pitch'])
            @ _rotation(0, angles['roll']))  # (T, 3, 3)
    chest = (root @ _rotation(1, angles['bend']) @ _rotation(0, angles['side'])
             @ _rotation(2, angles['twist']))
    head = chest @ _rotation(2, angles['turn']) @ _rotation(1, angles['nod'])
    joints = np.empty((len(root), 17, 3))

    up = np.array([0, 0, 1.])
    face = s['head'] * np.array(
        [[1.0, 0, .75], [.8, .33, 1.1], [.8, -.33, 1.1], [0, .75, .85], [0, -.75, .85]])
    skull = chest @ (up * (s['trunk'] + s['neck']))  # (T, 3)
    joints[:, _FACE] = skull[:, None] + np.einsum('tij,vj->tvi', head, face)

    def limb(first: int, base: np.ndarray, start: np.ndarray, side: str, names: Sequence[str],
             fold: int, lengths: tuple[float, float]) -> None:
        """Set the joints `first`, `first + 2`, `first + 4` of a two-bone limb."""
        lift, away, turn, hinge = (angles[f'{side}_{name}'] for name in names)
        sign = 1 if side == 'l' else -1
        upper = (base @ _rotation(1, -lift) @ _rotation(0, sign * away)
                 @ _rotation(2, sign * turn))
        lower = upper @ _rotation(1, fold * hinge)
        joints[:, first] = base @ start
        joints[:, first + 2] = joints[:, first] - lengths[0] * upper[..., 2]
        joints[:, first + 4] = joints[:, first + 2] - lengths[1] * lower[..., 2]

    for i, side in enumerate('lr'):
        out = np.array([0, 1. if side == 'l' else -1., 0])
        limb(5 + i, chest, up * s['trunk'] + out * s['shoulder'], side,
             ('shoulder', 'abduct', 'rotate', 'elbow'), -1, (s['upper_arm'], s['forearm']))
        limb(11 + i, root, out * s['hip'], side,
             ('hip', 'spread', 'turnout', 'knee'), 1, (s['thigh'], s['shin']))
    return joints


# ---------------------------------------------------------------------------------------- actions
def _smoothstep(x: np.ndarray) -> np.ndarray:
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _keyframes(tau: np.ndarray, rest: dict[str, float],
               *frames: tuple[float, dict[str, float]]) -> Angles:
    """Interpolate smoothly from pose to pose; angles that a pose lacks are at rest."""
    times = [time for time, _ in frames]
    names = sorted({name for _, pose in frames for name in pose})
    out = {}
    for name in names:
        values = [pose.get(name, rest.get(name, 0.0)) for _, pose in frames]
        value = np.full(len(tau), float(values[0]))
        for t0, t1, v0, v1 in zip(times, times[1:], values, values[1:], strict=False):
            if v0 != v1:
                value += (v1 - v0) * _smoothstep((tau - t0) / (t1 - t0))
        out[name] = value
    return out


def _cycle(t: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return the phase in [0, 1) of a repeated action with a random start."""
    return (t / seconds + rng.random()) % 1


def _once(t: np.ndarray, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return the progress 0 -> 1 of an action that happens once at a random time."""
    total = t[-1] + t[1] - t[0]
    length = min(seconds, .9 * total)
    return np.clip((t - rng.uniform(0, total - length)) / length, 0, 1)


def _gait(t, hz, rng, hip, hip_center, knee, knee_min, arm, elbow, bend):
    """Animate alternating legs and counter-swinging arms."""
    phase = 2 * np.pi * (hz * t + rng.random())
    out = dict(bend=bend + 2 * np.cos(2 * phase), yaw=5 * np.cos(phase),
               twist=-10 * np.cos(phase), roll=2 * np.sin(phase),
               right_support=np.clip(.5 + 1.5 * np.sin(phase), 0, 1))
    for side, p in (('r', phase), ('l', phase + np.pi)):
        swing = np.cos(p) + np.cos(3 * p) / 9  # near-constant speed while the foot is planted
        out[f'{side}_hip'] = hip_center + hip * swing
        out[f'{side}_knee'] = knee_min + knee * np.maximum(0, -np.sin(p + .35)) ** 1.5
        out[f'{side}_shoulder'] = -arm * np.cos(p)
        out[f'{side}_elbow'] = elbow - .3 * arm * np.cos(p)
    return out, phase


def _walk(t, rest, rng):
    out, _ = _gait(t, rng.uniform(.75, 1.1), rng, hip=24, hip_center=4, knee=52, knee_min=6,
                   arm=rng.uniform(12, 32), elbow=rng.uniform(12, 30), bend=rng.uniform(0, 8))
    return out


def _run(t, rest, rng):
    out, phase = _gait(t, rng.uniform(1.2, 1.6), rng, hip=38, hip_center=14, knee=85, knee_min=16,
                       arm=rng.uniform(30, 45), elbow=rng.uniform(75, 100),
                       bend=rng.uniform(6, 18))
    out['lift'] = rng.uniform(.05, .10) * np.maximum(0, np.cos(2 * phase))
    return out


def _both(**angles: float) -> dict[str, float]:
    return {f'{side}_{name}': value for side in 'lr' for name, value in angles.items()}


def _jump(t, rest, rng):
    tau = _cycle(t, rng.uniform(1.1, 1.6), rng)
    crouch = dict(bend=35, nod=-15, **_both(hip=55, knee=95, shoulder=-40, elbow=15))
    push = dict(bend=8, **_both(hip=12, knee=20, shoulder=30, elbow=20))
    air = dict(bend=0, **_both(hip=5, knee=12, shoulder=rng.uniform(80, 165), elbow=20))
    out = _keyframes(tau, rest, (0, {}), (.26, crouch), (.40, push), (.54, air), (.64, air),
                     (.78, {**crouch, **_both(hip=40, knee=65, shoulder=20)}), (1, {}))
    flight = np.clip((tau - .40) / .30, 0, 1)
    out['lift'] = rng.uniform(.25, .5) * 4 * flight * (1 - flight)
    return out


def _wave(t, rest, rng):
    swing = np.sin(2 * np.pi * rng.uniform(1.1, 2.2) * t + rng.uniform(0, 2 * np.pi))
    up = _smoothstep((t - rng.uniform(-.6, .4)) / .4)
    high = rng.uniform(70, 125)
    abduct = rest['r_abduct'] + up * (high + 6 * swing - rest['r_abduct'])
    return dict(r_shoulder=5 * up, r_abduct=abduct, r_rotate=up * 85,
                r_elbow=15 + up * (40 + 35 * swing), side=up * (3 + 2 * swing))


def _clap(t, rest, rng):
    open_ = .5 - .5 * np.cos(2 * np.pi * rng.uniform(1.2, 2.4) * t + rng.uniform(0, 2 * np.pi))
    lift, elbow, amount = rng.uniform(25, 75), rng.uniform(55, 85), rng.uniform(.6, 1)
    out = {}
    for side in 'lr':
        out[f'{side}_shoulder'] = lift + 0 * t
        out[f'{side}_elbow'] = elbow - 10 * open_
        out[f'{side}_abduct'] = 30 * amount * open_
        out[f'{side}_rotate'] = -40 + 45 * amount * open_
    return out


def _punch(t, rest, rng):
    guard = dict(bend=10, twist=-12, **_both(shoulder=35, abduct=12, elbow=120, rotate=-10,
                                             knee=18, hip=12))
    reach = {**guard, 'r_shoulder': rng.uniform(80, 100), 'r_elbow': 8, 'twist': 25, 'r_abduct': 0}
    cross = {**guard, 'l_shoulder': 88, 'l_elbow': 10, 'twist': -32, 'l_abduct': 0}
    second = cross if rng.random() < .6 else reach
    tau = _cycle(t, rng.uniform(.9, 1.6), rng)
    return _keyframes(tau, rest, (0, guard), (.12, guard), (.24, reach), (.42, guard),
                      (.58, guard), (.70, second), (.88, guard), (1, guard))


def _kick(t, rest, rng):
    height = rng.uniform(65, 105)
    stand = dict(l_knee=12, l_hip=8)
    load = dict(stand, r_hip=-22, r_knee=70, bend=6, l_shoulder=25, r_shoulder=-25, twist=10)
    chamber = dict(stand, r_hip=.75 * height, r_knee=85, bend=-4)
    strike = dict(stand, r_hip=height, r_knee=6, bend=-14, l_shoulder=-15, r_shoulder=35,
                  **{'l_abduct': 30, 'r_abduct': 25})
    tau = _cycle(t, rng.uniform(1.2, 1.9), rng)
    return _keyframes(tau, rest, (0, stand), (.22, load), (.38, chamber), (.48, strike),
                      (.66, chamber), (.85, stand), (1, stand))


def _squat(t, rest, rng):
    arms = (_both(shoulder=88, elbow=8), _both(shoulder=30, elbow=130, rotate=-25), {})
    low = dict(bend=38, nod=-20, **_both(hip=100, knee=112, spread=16, turnout=10),
               **arms[rng.integers(3)])
    hold = rng.uniform(.02, .15)
    tau = _cycle(t, rng.uniform(1.5, 2.6), rng)
    return _keyframes(tau, rest, (0, {}), (.45 - hold, low), (.45 + hold, low), (.95, {}), (1, {}))


_SEAT = dict(bend=2, **_both(hip=86, knee=88, spread=7, shoulder=26, elbow=42))
_RISING = dict(bend=42, nod=-15, **_both(hip=68, knee=86, spread=6, shoulder=22, elbow=25))


def _sit_down(t, rest, rng):
    tau = _once(t, rng.uniform(1.1, 2.0), rng)
    return _keyframes(tau, rest, (0, {}), (.65, _RISING), (1, _SEAT))


def _stand_up(t, rest, rng):
    tau = _once(t, rng.uniform(1.0, 1.8), rng)
    lean = {**_SEAT, 'bend': 40}
    return _keyframes(tau, rest, (0, _SEAT), (.28, lean), (.45, _RISING), (1, {}))


def _throw(t, rest, rng):
    tau = _once(t, rng.uniform(1.2, 1.9), rng)
    side_arm = rng.uniform(75, 110)
    cocked = dict(twist=-38, bend=-10, r_abduct=side_arm, r_rotate=80, r_elbow=95, r_shoulder=-10,
                  l_shoulder=60, l_abduct=20, r_knee=25, l_hip=28, l_knee=30)
    release = dict(twist=30, bend=22, r_shoulder=110, r_abduct=10, r_rotate=20, r_elbow=15,
                   l_shoulder=-15, l_hip=28, l_knee=22, r_hip=-16, r_knee=14)
    after = dict(release, r_shoulder=35, r_abduct=-20, r_rotate=-20, r_elbow=35, twist=42, bend=35)
    return _keyframes(tau, rest, (0, {}), (.42, cocked), (.54, cocked), (.70, release),
                      (.84, after), (1, {}))


def _fall(t, rest, rng):
    tau = _once(t, rng.uniform(.9, 1.4), rng)
    kind = rng.integers(3)
    hip = rng.uniform(5, 50)
    if kind == 0:  # forwards, onto the hands
        buckle = dict(pitch=22, bend=15, **_both(hip=10, knee=40, shoulder=70, elbow=35))
        down = dict(pitch=88, nod=-20, **_both(
            hip=2, knee=rng.uniform(2, 25), shoulder=5, abduct=rng.uniform(50, 120), rotate=75,
            elbow=rng.uniform(60, 110)))
    elif kind == 1:  # backwards, over the seat
        buckle = dict(pitch=-18, bend=28, **_both(hip=45, knee=65, shoulder=35, elbow=30))
        down = dict(pitch=-88, **_both(
            hip=hip, knee=2 * hip, shoulder=5, abduct=rng.uniform(25, 90), elbow=30))
    else:  # onto the right side
        buckle = dict(roll=22, side=10, r_abduct=55, **_both(hip=25, knee=55))
        down = dict(roll=88, r_shoulder=rng.uniform(50, 160), r_abduct=0, r_elbow=40,
                    l_shoulder=40, l_elbow=50, **_both(hip=hip, knee=1.3 * hip, spread=2))
    out = _keyframes(tau, rest, (0, {}), (.35, buckle), (1, down))
    for name in ('pitch', 'roll'):  # accelerate until the floor is hit
        if name in out:
            out[name] = down[name] * np.clip(tau, 0, .85) ** 2 / .85 ** 2
    return out


def _jumping_jack(t, rest, rng):
    open_ = .5 - .5 * np.cos(2 * np.pi * (rng.uniform(.7, 1.2) * t + rng.random()))
    high, bent = rng.uniform(130, 168), rng.uniform(0, 45)
    out = {'lift': .10 * 4 * open_ * (1 - open_)}
    for side in 'lr':
        out[f'{side}_abduct'] = 8 + (high - 8) * open_
        out[f'{side}_rotate'] = 80 * open_
        out[f'{side}_elbow'] = 12 + bent * open_
        out[f'{side}_spread'] = 2 + 24 * open_
        out[f'{side}_knee'] = 8 + 50 * open_ * (1 - open_)
        out[f'{side}_hip'] = 4 + 25 * open_ * (1 - open_)
    return out


def _pick_up(t, rest, rng):
    tau = _once(t, rng.uniform(1.6, 2.6), rng)
    knees = rng.uniform(25, 95)
    low = dict(bend=100 - .35 * knees, nod=-20, r_shoulder=78 - .1 * knees, r_elbow=8,
               **_both(hip=.85 * knees, knee=knees))
    carry = dict(r_shoulder=25, r_elbow=85, nod=20)
    return _keyframes(tau, rest, (0, {}), (.45, low), (.58, low), (.88, carry), (1, carry))


def _drink(t, rest, rng):
    tau = _once(t, rng.uniform(1.8, 3.0), rng)
    cup = dict(r_shoulder=20, r_elbow=75, r_abduct=8, r_rotate=-10)
    mouth = dict(r_shoulder=63, r_elbow=124, r_abduct=-4, r_rotate=-37)
    tilt = dict(r_shoulder=93, r_elbow=111, r_abduct=-3, r_rotate=-35, nod=-25)
    return _keyframes(tau, rest, (0, cup), (.30, mouth), (.45, tilt), (.68, tilt), (.8, mouth),
                      (1, cup))


_MOTIONS: dict[str, Callable] = dict(
    walk=_walk, run=_run, jump=_jump, wave=_wave, clap=_clap, punch=_punch, kick=_kick,
    squat=_squat, sit_down=_sit_down, stand_up=_stand_up, throw=_throw, fall=_fall,
    jumping_jack=_jumping_jack, pick_up=_pick_up, drink=_drink)
ACTIONS: tuple[str, ...] = tuple(_MOTIONS)
_ARMS_FREE = ('wave', 'kick', 'sit_down', 'stand_up', 'throw', 'drink')
_HANDS_MEET = ('clap', 'drink')  # fixed amplitude to reach the goal


def _action_name(action: str | int) -> str:
    if isinstance(action, (int, np.integer)) and 0 <= action < len(ACTIONS):
        return ACTIONS[action]
    if action in _MOTIONS:
        return action
    raise ValueError(f'unknown synthetic action {action!r}: expected a name of {ACTIONS} or its '
                     f'index in 0..{len(ACTIONS) - 1}')


def _smooth_noise(rng: np.random.Generator, t: np.ndarray, count: int) -> np.ndarray:
    """Sample slow unit-variance noise, (T, count)."""
    hz = rng.uniform(.15, .9, size=(2, count))
    phase = rng.uniform(0, 2 * np.pi, size=(2, count))
    return np.sin(2 * np.pi * hz * t[:, None, None] + phase).sum(1)


def _moving_average(x: np.ndarray, width: int) -> np.ndarray:
    """Average over a window of frames that shrinks at both ends, (T, C) -> (T, C)."""
    total = np.cumsum(np.concatenate([np.zeros((1, x.shape[1])), x]), axis=0)
    i = np.arange(len(x))
    low, high = np.maximum(i - width // 2, 0), np.minimum(i + width // 2 + 1, len(x))
    return (total[high] - total[low]) / (high - low)[:, None]


def _random_segments(rng: np.random.Generator) -> dict[str, float]:
    height = rng.uniform(.86, 1.12)
    return {name: length * height * rng.uniform(.93, 1.07) for name, length in _SEGMENTS.items()}


def animate(action: str | int, rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """Animate an action of a random person.

    Limb lengths, tempo, phase, amplitude, posture, handedness and sway are random. The lowest
    joint is on the floor z = 0 except in flight, and the supporting foot is fixed, which moves the
    body.

    Args:
        action: Name of `ACTIONS` or its index.
        rng: Random number generator.
        num_frames: T >= 2, at 30 frames per second.

    Returns:
        np.ndarray: (T, 17, 3) meters, COCO order; x forward at the start, y left, z up.

    Raises:
        ValueError: Unknown action, or fewer than two frames.
    """
    name = _action_name(action)
    if num_frames < 2:
        raise ValueError(f'num_frames is {num_frames}, expected at least 2')
    t = np.arange(num_frames) / FPS * rng.uniform(.85, 1.2)
    segments = _random_segments(rng)

    rest = dict(_REST)
    for side in 'lr':
        idle = _IDLE_ARMS[rng.integers(len(_IDLE_ARMS))] if name in _ARMS_FREE else {}
        rest.update({f'{side}_{joint}': value for joint, value in idle.items()})
    posture = rng.normal(0, 3, len(RANGES))
    motion = _MOTIONS[name](t, rest, rng)
    lift, right_support = motion.pop('lift', 0), motion.pop('right_support', None)
    amplitude = 1 if name in _HANDS_MEET else rng.uniform(.85, 1.12)
    sway = _smooth_noise(rng, t, len(RANGES)) * rng.uniform(.4, 1.6)
    drift = rng.uniform(-25, 25) * (t / t[-1])

    angles = {}
    for i, (joint, limits) in enumerate(RANGES.items()):
        value = rest[joint] + 0 * t
        if joint in motion:
            scale = 1 if joint in ('pitch', 'roll') else amplitude
            value = value + scale * (motion[joint] - rest[joint])
        loose = 1.2 if joint[2:] in ('shoulder', 'abduct', 'rotate', 'elbow') else .4
        value = value + (posture[i] + sway[:, i]) * (.1 if joint in ('pitch', 'roll') else loose)
        angles[joint] = np.clip(value, *limits)
    angles['yaw'] = angles['yaw'] + drift
    left_handed = rng.random() < .3
    if left_handed:
        flip = {'l': 'r', 'r': 'l'}
        angles = {flip[k[0]] + k[1:] if k[1] == '_' else k: -v if k in _SIGNED else v
                  for k, v in angles.items()}

    body = forward_kinematics(angles, segments)  # (T, 17, 3)
    feet = body[:, _ANKLES]  # (T, 2, 3), left and right
    if right_support is None:  # the lower foot supports the body
        right_support = 1 / (1 + np.exp((feet[:, 1, 2] - feet[:, 0, 2]) / .03))
    elif left_handed:
        right_support = 1 - right_support
    weight = np.stack([1 - right_support, right_support], 1)[1:, :, None]
    step = -(np.diff(feet[..., :2], axis=0) * weight).sum(1)  # (T - 1, 2)
    if name in ('walk', 'run'):  # momentum between two steps
        step = _moving_average(step, 7)
    root = np.zeros((num_frames, 3))
    root[1:, :2] = np.cumsum(step, axis=0)
    root[:, 2] = lift - (body[..., 2] - _CLEARANCE).min(1)
    return body + root[:, None]


# ----------------------------------------------------------------------------------------- camera
def project(joints: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Project the body by a random camera with the whole clip in its 1920 x 1080 image.

    Args:
        joints: (T, V, 3) meters, z up.
        rng: Random number generator of view, pitch, roll, distance, focal length and framing.

    Returns:
        tuple: pixels (T, V, 2) with y downwards, and depth (T, V) in meters.
    """
    # The camera partially follows a person who walks far.
    path = joints[:, 11:13].mean(1) * [1, 1, 0]
    travel = np.linalg.norm(np.ptp(path, axis=0))
    joints = joints - path[:, None] * max(0, 1 - rng.uniform(.4, 2.5) / max(travel, 1e-3))
    low, high = joints.min((0, 1)), joints.max((0, 1))
    center, extent = (low + high) / 2, np.linalg.norm(high - low)
    yaw, pitch, roll = (np.deg2rad(v) for v in (
        rng.uniform(-180, 180), rng.uniform(-8, 32), rng.normal(0, 3)))
    distance = rng.uniform(1.6, 4) * max(extent, 1.5)
    forward = -np.array([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)])
    right = np.cross(forward, [0, 0, 1.])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    c, s = np.cos(roll), np.sin(roll)
    axes = np.stack([c * right + s * down, c * down - s * right, forward])
    camera = (joints - center) @ axes.T + [0, 0, distance]  # (T, V, 3)
    plane = camera[..., :2] / camera[..., 2:]
    low, high = plane.min((0, 1)), plane.max((0, 1))
    size = np.array(IMG_SHAPE[::-1], dtype=np.float64)
    fit = (size / np.maximum(high - low, 1e-3)).min()  # focal length that fills the image
    pixels = (plane - (low + high) / 2) * fit * rng.uniform(.4, .9)
    slack = size / 2 - np.abs(pixels).max((0, 1))
    return pixels + size / 2 + slack * rng.uniform(-.9, .9, 2), camera[..., 2]


def synthesize(action: str | int, rng: np.random.Generator,
               num_frames: int | None = None) -> dict:
    """Synthesize one clip in the PYSKL annotation schema.

    Args:
        action: Name of `ACTIONS` or its index.
        rng: Random number generator; equal states give equal clips.
        num_frames: T. By default random in 40..120.

    Returns:
        dict: `frame_dir`, `label` (index in `ACTIONS`), `img_shape`, `original_shape`,
        `total_frames`, `keypoint` (1, T, 17, 2) float32 pixels, `keypoint_score` (1, T, 17)
        float32.

    Raises:
        ValueError: Unknown action, or fewer than two frames.
    """
    name = _action_name(action)
    if num_frames is None:
        num_frames = int(rng.integers(40, 121))
    pixels, depth = project(animate(name, rng, num_frames), rng)
    keypoint, score = add_pose_noise(pixels, depth, rng, IMG_SHAPE)
    return dict(
        frame_dir=f'synthetic_{name}_{rng.integers(10 ** 6):06d}', label=ACTIONS.index(name),
        img_shape=IMG_SHAPE, original_shape=IMG_SHAPE, total_frames=num_frames,
        keypoint=keypoint[None].astype(np.float32),
        keypoint_score=score[None].astype(np.float32))


@DATASETS.register_module()
class SyntheticMotion(MotionDataset):
    """Data set of procedural motion.

    Clip `i` depends on `seed` and `i` only; classes alternate and are balanced. Use different
    seeds for training and testing.

    Args:
        num_clips: Number of clips.
        seed: Non-negative seed of the data set.
        actions: Names of `ACTIONS` in label order. By default all.
        num_frames: Minimum and maximum length of a clip, inclusive.
        pipeline: Transforms as in `MotionDataset`.
        metainfo: Metadata in addition to `classes`, the names of the actions.
        **kwargs: `repeat` of `MotionDataset`, `test_mode`, `lazy_init`, `serialize_data` ... of
            MMEngine's `BaseDataset`.

    Raises:
        ValueError: Unknown action, no clips, or a range of frames that is empty.
    """

    def __init__(self, num_clips: int = 1200, seed: int = 0,
                 actions: Sequence[str] | None = None, num_frames: tuple[int, int] = (40, 120),
                 pipeline: Sequence = (), metainfo: dict | None = None, **kwargs) -> None:
        self.actions = tuple(_action_name(a) for a in (ACTIONS if actions is None else actions))
        if num_clips < 1:
            raise ValueError(f'num_clips is {num_clips}, expected at least 1')
        if not 2 <= num_frames[0] <= num_frames[1]:
            raise ValueError(f'num_frames is {tuple(num_frames)}, expected 2 <= first <= last')
        self.num_clips, self.seed, self.num_frames = num_clips, seed, tuple(num_frames)
        super().__init__(ann_file='', pipeline=pipeline, num_classes=len(self.actions),
                         metainfo={'classes': list(self.actions), **(metainfo or {})}, **kwargs)

    def load_data_list(self) -> list:
        """Synthesize all clips.

        Returns:
            list[dict]: `num_clips` annotations; `label` is the index in `actions`.
        """
        clips = []
        for i in range(self.num_clips):
            rng = np.random.default_rng([self.seed, i])
            label = i % len(self.actions)
            low, high = self.num_frames
            clip = synthesize(self.actions[label], rng, int(rng.integers(low, high + 1)))
            clip.update(label=label,
                        frame_dir=f'synthetic_{self.actions[label]}_s{self.seed}_{i:06d}')
            clips.append(clip)
        self.count([clip['label'] for clip in clips], (clip['frame_dir'] for clip in clips))
        return clips
