"""Skeleton files of NTU RGB+D."""

import numpy as np

from mofm.sources.data_sets.ntu import NTU60, NTU120, NTU60Joints, NTU120Joints


def kinect_body(frames=4, seed=0, x=0., motion=.02):
    """(T, 25, 12) values of the lines of a person who faces the sensor, all joints tracked."""
    rng = np.random.default_rng(seed)
    limb = [[-.2, .5, 0], [-.25, .25, 0], [-.27, .02, 0], [-.28, -.05, 0]]
    leg = [[-.1, 0, 0], [-.12, -.45, 0], [-.12, -.85, 0], [-.14, -.9, -.1]]
    mirror = np.array([-1, 1, 1])
    body = np.concatenate([
        [[0, .01, 0], [0, .25, 0], [0, .5, 0], [0, .7, 0]], limb, limb * mirror, leg, leg * mirror,
        [[0, .45, 0], [-.29, -.1, 0], [-.27, -.07, -.03], [.29, -.1, 0], [.27, -.07, -.03]]])
    walk = np.cumsum(rng.normal(0, motion, (frames, 1, 3)), 0)
    xyz = (body + [x, 0, 3] + walk).round(6)  # (T, 25, 3)
    # Kinect v2's images are mirrored: x grows to the left of the sensor in both.
    slope = xyz[..., :2] * [1, -1] / xyz[..., 2:]
    depth, color = slope * 365 + [256, 212], slope * 1060 + [960, 540]
    rest = np.concatenate([rng.normal(size=(frames, 25, 4)), np.full((frames, 25, 1), 2)], -1)
    return np.concatenate([xyz, depth.round(4), color.round(3), rest.round(6)], -1)


def skeleton(frames):
    """Bytes of a ``.skeleton`` file; a frame is a dict of id -> (25, 12) values."""
    lines = [len(frames)]
    for bodies in frames:
        lines.append(len(bodies))
        for number, rows in bodies.items():
            lines += [f'{number} 0 1 1 0 1 0 0.0339 -0.5899 2', len(rows)]
            lines += [' '.join([*(f'{v:.9g}' for v in row[:-1]), str(int(row[-1]))])
                      for row in rows]
    return '\r\n'.join(map(str, lines)).encode()


# Ids are larger than what a float can tell apart.
ID = 72057594037932358


def solo(frames=4):
    """One person, absent from the first frame."""
    body = kinect_body(frames)
    return skeleton([{}, *({ID: rows} for rows in body[1:])])


def pair(frames=4):
    """Two persons in changing order, and a third who hardly moves."""
    a, b, c = (kinect_body(frames, seed, x, motion)
               for seed, x, motion in ((1, -.5, .02), (2, .5, .1), (3, 1.5, 1e-5)))
    return skeleton([{ID + i: rows[t] for i, rows in ((0, a), (1, b), (2, c))[::(-1)**t]}
                     for t in range(frames)])


NTU_FILES = {'nturgb+d_skeletons/S001C001P001R001A001.skeleton': solo(),
             'nturgb+d_skeletons/S017C002P008R002A050.skeleton': pair()}

SAMPLES = {
    'ntu60_2d': (NTU60, NTU_FILES, {}),
    'ntu60_2d depth': (NTU60, NTU_FILES, dict(projection='depth', unmirror=True)),
    'ntu120_2d': (NTU120, {'S032C003P106R002A120.skeleton': pair()}, {}),
    'ntu60_3d': (NTU60Joints, NTU_FILES, {}),
    'ntu120_3d': (NTU120Joints, {'S032C003P106R002A120.skeleton': pair()}, dict(noise=True)),
}
