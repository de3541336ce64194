"""Valid and invalid annotations."""

import numpy as np


def clip(persons=1, frames=6, joints=17, label=0, name='a', dtype=np.float16, **changes):
    rng = np.random.default_rng(0)
    return dict(dict(
        frame_dir=name, label=label, img_shape=(480, 640), total_frames=frames,
        keypoint=(rng.random((persons, frames, joints, 2)) * 400 + 1).astype(dtype),
        keypoint_score=np.ones((persons, frames, joints), dtype)), **changes)


def assert_same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        if isinstance(a[key], np.ndarray):
            np.testing.assert_array_equal(a[key], b[key])
        else:
            assert tuple(np.atleast_1d(a[key])) == tuple(np.atleast_1d(b[key]))


def with_value(field, value):
    ann = clip()
    ann[field][0, 2, 3] = value
    return ann


def without(field):
    ann = clip()
    del ann[field]
    return ann


ZERO = np.zeros_like(clip()['keypoint'])
BOX = np.tile(np.float16([3, 4, 50, 60]), (1, 6, 1))
BAD = {
    'box of another length': (clip(box=BOX[:, :5]), 'box', 'float16 of shape (1, 5, 4)',
                              '(1, 6, 4)'),
    'box as a list': (clip(box=[1, 2, 3, 4]), 'box', 'list', '(1, 6, 4)'),
    'box of texts': (clip(box=BOX.astype(str)), 'box', 'of shape (1, 6, 4)', 'numbers'),
    'box with NaN': (clip(box=BOX * np.float16(np.nan)), 'box', 'other numbers', 'x1, y1'),
    'box of width and height': (clip(box=BOX[..., ::-1]), 'box', 'other numbers', 'x1, y1'),
    'fps zero': (clip(fps=0), 'fps', '0', 'above 0'),
    'fps NaN': (clip(fps=float('nan')), 'fps', 'nan', 'above 0'),
    'fps text': (clip(fps='25'), 'fps', "'25'", 'above 0'),
    'fps infinite': (clip(fps=float('inf')), 'fps', 'inf', 'below 1000000'),
    'track IDs of others': (clip(track_id=np.arange(2)), 'track_id', 'for (1,) persons',
                            'one for each'),
    'track IDs of floats': (clip(track_id=np.array([.5])), 'track_id', 'for (1,) persons',
                            'one for each'),
    'not a dict': ([1], 'annotation', 'list', 'a dict'),
    'no keypoint': (without('keypoint'), 'keypoint', 'nothing', 'this field'),
    'no score': (without('keypoint_score'), 'keypoint_score', 'nothing', 'this field'),
    'no img_shape': (without('img_shape'), 'img_shape', 'nothing', 'this field'),
    'label too large': (clip(label=5), 'label', '5', 'in [0, 4]'),
    'label negative': (clip(label=-1), 'label', '-1', 'in [0, 4]'),
    'label float': (clip(label=1.5), 'label', '1.5', 'an integer'),
    'label list': (clip(label=[1]), 'label', '[1]', 'an integer'),
    'img_shape zero': (clip(img_shape=(0, 640)), 'img_shape', '(0, 640)', 'positive'),
    'img_shape three': (clip(img_shape=(3, 4, 5)), 'img_shape', '(3, 4, 5)', '(h, w)'),
    'no frames': (clip(frames=0), 'total_frames', '0', 'at least one frame'),
    'no persons': (clip(persons=0), 'keypoint', 'no person', 'at least one person'),
    'other length': (clip(total_frames=7), 'keypoint', '(1, 6, 17, 2)', '7 frames'),
    'other joints': (clip(joints=25), 'keypoint', '(1, 6, 25, 2)', '17 joints'),
    '3D': (clip(keypoint=np.ones((1, 6, 17, 3))), 'keypoint', '(1, 6, 17, 3)', '17 joints, 2'),
    'no array': (clip(keypoint=[1]), 'keypoint', 'list', 'an array of numbers'),
    'objects': (clip(keypoint=ZERO.astype(object)), 'keypoint', 'object', 'an array of numbers'),
    'score shape': (clip(keypoint_score=np.ones((1, 6, 16))), 'keypoint_score', '(1, 6, 16)',
                    '(1, 6, 17)'),
    'NaN': (with_value('keypoint', np.nan), 'keypoint',
            'nan at person 0, frame 2, joint 3 (2 values that are NaN', 'finite'),
    'infinite': (with_value('keypoint', -np.inf), 'keypoint', '-inf at person 0, frame 2, joint 3',
                 'finite'),
    'too far': (with_value('keypoint', 6500), 'keypoint', '6500.0 at person 0, frame 2, joint 3',
                'within 6400, 10 image sizes'),
    'too far for float16': (
        dict(clip(keypoint=clip(dtype=np.float64)['keypoint'] + 1e5), img_shape=(10**6, 10**6)),
        'keypoint', 'at person 0, frame 0, joint 0', 'within 65504, the largest float16'),
    'too far integers': (clip(keypoint=clip()['keypoint'].astype(int) + np.int64(-2**63)),
                         'keypoint', 'at person 0, frame 0, joint 0 (204 values', 'within 6400'),
    'NaN score': (with_value('keypoint_score', np.nan), 'keypoint_score',
                  'nan at person 0, frame 2, joint 3 (1 values', 'finite'),
    'large score': (with_value('keypoint_score', 1000), 'keypoint_score',
                    '1000.0 at person 0, frame 2, joint 3', 'within 100;'),
    'label of 64 bits': (clip(frame_label=np.arange(6) + 2**40), 'frame_label', 'more than 32',
                         '32 bits'),
    'name number': (clip(name=7), 'frame_dir', '7', 'a string'),
    'name surrogate': (clip(name='a\udc80'), 'frame_dir', r"'a\udc80'", 'surrogates'),
    'name of lines': (clip(name='a\nb'), 'frame_dir', r"'a\nb'", 'control characters'),
    'name with NUL': (clip(name='a\0'), 'frame_dir', r"'a\x00'", 'control characters'),
    'long name': (clip(name='a' * 1001), 'frame_dir', "'aaa", 'at most 1000 characters'),
    'clip of lines': (clip(clip='a\u2028b'), 'clip', r"'a\u2028b'", 'control characters'),
    'all coordinates 0': (clip(keypoint=ZERO), 'keypoint', 'all joints missing', 'one joint'),
    'all scores 0': (clip(keypoint_score=ZERO[..., 0]), 'keypoint', 'all joints missing',
                     'one joint'),
}
