"""Joint layouts against published index tables."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofm.structures import LAYOUTS, convert

# Gather indices as published with the tools of each format; -1 where there is no such joint.
PUBLISHED = {
    'body25': [0, 16, 15, 18, 17, 5, 2, 6, 3, 7, 4, 12, 9, 13, 10, 14, 11],
    'coco18': [0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10],
    'panoptic19': [1, 15, 17, 16, 18, 3, 9, 4, 10, 5, 11, 6, 12, 7, 13, 8, 14],
    'halpe26': list(range(17)),
    'coco17': list(range(17)),
    # 1-based 4, shoulders 5/9, elbows 6/10, wrists 7/11, hips 13/17, knees 14/18, ankles 15/19
    'kinect25': [3] * 5 + [4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18],
    'kinect20': [3, -1, -1, -1, -1, 4, 8, 5, 9, 6, 10, 12, 16, 13, 17, 14, 18],
    'h36m17': [9, -1, -1, -1, -1, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3],
    'penn13': [0, -1, -1, -1, -1, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11],
    'posetrack17': [0, -1, -1, 3, 4, *range(5, 17)],
    # SMPL's 16/17 shoulders, 18/19 elbows, 20/21 wrists, 1/2 hips, 4/5 knees, 7/8 ankles, 15 head
    'smpl24': [15, -1, -1, -1, -1, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8],
    'humaneva15': [14, -1, -1, -1, -1, 2, 5, 3, 6, 4, 7, 8, 11, 9, 12, 10, 13],
    'openni15': [0, -1, -1, -1, -1, 3, 6, 4, 7, 5, 8, 9, 12, 10, 13, 11, 14],
    'lcr13': [12, -1, -1, -1, -1, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    'unik17': [0, -1, -1, -1, -1, *range(5, 17)],
    'bandai22': [5, -1, -1, -1, -1, 7, 11, 8, 12, 9, 13, 14, 18, 15, 19, 16, 20],
    'body25b': list(range(17)),
    'wholebody133': list(range(17)),
    'halpe136': list(range(17)),
    # PoseLandmark: 11/12 shoulders ... 15/16 wrists, 23/24 hips ... 27/28 ankles
    'mediapipe33': [0, 2, 5, 7, 8, *range(11, 17), *range(23, 29)],
    'jhmdb15': [2, -1, -1, -1, -1, 4, 3, 8, 7, 12, 11, 6, 5, 10, 9, 14, 13],
    'posetrack15': [13, -1, -1, -1, -1, 9, 8, 10, 7, 11, 6, 3, 2, 4, 1, 5, 0],
    'smpl22': [15, -1, -1, -1, -1, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8],
    'smpl52': [15, -1, -1, -1, -1, 16, 17, 18, 19, 20, 21, 1, 2, 4, 5, 7, 8],
    'h36m32': [14, -1, -1, -1, -1, 17, 25, 18, 26, 19, 27, 6, 1, 7, 2, 8, 3],
    'azure32': [27, 28, 30, 29, 31, 5, 12, 6, 13, 7, 14, 18, 22, 19, 23, 20, 24],
    'jta22': [1, -1, -1, -1, -1, 8, 4, 9, 5, 10, 6, 19, 16, 20, 17, 21, 18],
    # The nose of these is between the neck and the top of the head, see MEANS.
    'mpii16': [None, -1, -1, -1, -1, 13, 12, 14, 11, 15, 10, 3, 2, 4, 1, 5, 0],
    'crowdpose14': [None, -1, -1, -1, -1, *range(12)],
    'aic14': [None, -1, -1, -1, -1, 3, 0, 4, 1, 5, 2, 9, 6, 10, 7, 11, 8],
}
LEGS, ARMS = [[12], [14], [16], [11], [13], [15]], [[5], [7], [9], [6], [8], [10]]
# Joints whose mean is each joint of the other layout: MotionBERT's and UNIK's tools.
MEANS = {
    ('coco17', 'h36m17'): [[11, 12], *LEGS, [11, 12, 5, 6], [5, 6], [0], [1, 2], *ARMS],
    ('halpe26', 'h36m17'): [[19], *LEGS, [18, 19], [18], [0], [17], *ARMS],
    ('posetrack17', 'h36m17'): [[11, 12], *LEGS, [11, 12, 1, 1], [1], [0], [2], *ARMS],
    # what these lack is made as of COCO-17
    ('body25', 'h36m17'): [[8], [9], [10], [11], [12], [13], [14], [1, 8], [1], [0], [15, 16],
                           [5], [6], [7], [2], [3], [4]],
    ('coco18', 'h36m17'): [[8, 11], [8], [9], [10], [11], [12], [13], [8, 11, 1, 1], [1], [0],
                           [14, 15], [5], [6], [7], [2], [3], [4]],
    ('panoptic19', 'h36m17'): [[2], [12], [13], [14], [6], [7], [8], [0, 2], [0], [1], [15, 17],
                               [3], [4], [5], [9], [10], [11]],
    ('penn13', 'h36m17'): [[7, 8], [7], [9], [11], [8], [10], [12], [7, 8, 1, 2], [1, 2], [0],
                           [0], [2], [4], [6], [1], [3], [5]],
    ('coco17', 'unik17'): [[0], [0, 0, 5, 6], [5, 6], [5, 6, 11, 12], [11, 12],
                           *([j] for j in range(5, 17))],
    ('lcr13', 'unik17'): [[12], [12, 12, 10, 11], [10, 11], [4, 5, 10, 11], [4, 5],
                          *([j] for j in range(11, -1, -1))],
    ('coco17', 'coco18'): [[0], [5, 6], [6], [8], [10], [5], [7], [9], [12], [14], [16], [11],
                           [13], [15], [2], [1], [4], [3]],
    # the 17 joints that move in Human3.6M
    ('h36m32', 'h36m17'): [[j] for j in (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26,
                                         27)],
    ('body25b', 'h36m17'): [[11, 12], *LEGS, [11, 12, 5, 6], [5, 6], [0], [18], *ARMS],
    ('wholebody133', 'h36m17'): [[11, 12], *LEGS, [11, 12, 5, 6], [5, 6], [0], [1, 2], *ARMS],
    ('halpe136', 'h36m17'): [[19], *LEGS, [18, 19], [18], [0], [17], *ARMS],
    ('mediapipe33', 'h36m17'): [[23, 24], [24], [26], [28], [23], [25], [27], [23, 24, 11, 12],
                                [11, 12], [0], [2, 5], [11], [13], [15], [12], [14], [16]],
    ('jhmdb15', 'h36m17'): [[5, 6], [5], [9], [13], [6], [10], [14], [1], [0], [2], [2], [4], [8],
                            [12], [3], [7], [11]],
    ('posetrack15', 'h36m17'): [[2, 3], [2], [1], [0], [3], [4], [5], [2, 3, 12, 12], [12], [13],
                                [14], [9], [10], [11], [8], [7], [6]],
    ('mpii16', 'h36m17'): [[6], [2], [1], [0], [3], [4], [5], [6, 7], [7], [8, 9], [9], [13],
                           [14], [15], [12], [11], [10]],
    ('crowdpose14', 'h36m17'): [[6, 7], [7], [9], [11], [6], [8], [10], [6, 7, 13, 13], [13],
                                [12, 13], [12], [0], [2], [4], [1], [3], [5]],
    ('aic14', 'h36m17'): [[6, 9], [6], [7], [8], [9], [10], [11], [6, 9, 13, 13], [13], [12, 13],
                          [12], [3], [4], [5], [0], [1], [2]],
    ('azure32', 'h36m17'): [[0], [22], [23], [24], [18], [19], [20], [1], [3], [27], [26], [5],
                            [6], [7], [12], [13], [14]],
    ('smpl22', 'h36m17'): [[0], [2], [5], [8], [1], [4], [7], [6], [12], [15], [15], [16], [18],
                           [20], [17], [19], [21]],
    ('smpl52', 'smpl24'): [*([j] for j in range(22)), [25], [40]],
    ('jta22', 'h36m17'): [[16, 19], [16], [17], [18], [19], [20], [21], [13], [2], [1], [0], [8],
                          [9], [10], [4], [5], [6]],
    ('wholebody133', 'halpe26'): [*([j] for j in range(17)), [1, 2], [5, 6], [11, 12], [17], [20],
                                  [18], [21], [19], [22]],
}
# Mirror partners of the 68 face points of iBUG, as MMPose lists them.
FACE = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42,
        47, 46, 39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62,
        61, 60, 67, 66, 65]
names = st.sampled_from(sorted(LAYOUTS))


@pytest.mark.parametrize('src', sorted(PUBLISHED))
def test_convert_gathers_the_published_indices(src):
    joints = np.arange(LAYOUTS[src].num_joints) + 1
    keypoint, score = convert(np.stack([joints, -joints], -1)[None, None],
                              joints[None, None] / 100, src)
    known = np.array([index is not None for index in PUBLISHED[src]])
    expected = np.array([index or 0 for index in PUBLISHED[src]])[known] + 1
    keypoint, score = keypoint[..., known, :], score[..., known]
    np.testing.assert_array_equal(keypoint[0, 0], np.stack([expected, -expected], -1))
    np.testing.assert_allclose(score[0, 0], expected / 100)


@pytest.mark.parametrize(('src', 'dst'), sorted(MEANS))
def test_convert_takes_the_published_means(src, dst):
    rng = np.random.default_rng(0)
    joints = rng.normal(size=(2, 3, LAYOUTS[src].num_joints, 3)).astype(np.float32)
    confidence = rng.random(joints.shape[:-1]).astype(np.float32)
    keypoint, score = convert(joints, confidence, src, dst)
    assert keypoint.dtype == score.dtype == np.float32
    assert keypoint.shape[-2] == len(MEANS[src, dst])
    for j, sources in enumerate(MEANS[src, dst]):
        np.testing.assert_allclose(keypoint[..., j, :], joints[..., sources, :].mean(-2),
                                   rtol=0, atol=1e-6)
        np.testing.assert_array_equal(score[..., j], confidence[..., sources].min(-1))


def test_layouts_all_have_a_published_map():
    assert LAYOUTS.keys() == PUBLISHED.keys()


@pytest.mark.parametrize(('name', 'face'), [('wholebody133', 23), ('halpe136', 26)])
def test_whole_body_layouts_mirror_face_and_hands(name, face):
    flip = LAYOUTS[name].flip_index - face
    np.testing.assert_array_equal(flip[face:face + 68], FACE)
    hands = np.arange(68, 110)
    np.testing.assert_array_equal(flip[face + 68:], np.roll(hands, 21))
    assert LAYOUTS[name].joints[face + 36:face + 40] == (  # iBUG begins on the person's right
        'right_eyelid1', 'right_eyelid2', 'right_eyelid3', 'right_eyelid4')


@given(names)
def test_layout_flip_index_swaps_the_sides(name):
    layout = LAYOUTS[name]
    index = layout.flip_index
    np.testing.assert_array_equal(index[index], np.arange(layout.num_joints))
    assert len(layout.left) == len(layout.right) > 0
    for left, right in zip(layout.left, layout.right, strict=True):
        assert index[left] == right
        assert layout.joints[left][5:] == layout.joints[right][6:]


@given(names, names)
def test_convert_round_trip_keeps_common_joints(a, b):
    source = LAYOUTS[a]
    keypoint = np.random.default_rng(0).random((2, 3, source.num_joints, 2)) + 1
    score = np.ones(keypoint.shape[:-1])
    back, back_score = convert(*convert(keypoint, score, a, b), b, a)
    for j, name in enumerate(source.joints):
        if name in LAYOUTS[b].joints:
            np.testing.assert_array_equal(back[..., j, :], keypoint[..., j, :])
            assert (back_score[..., j] == 1).all()


@given(names)
def test_convert_commutes_with_flipping(name):
    layout, coco = LAYOUTS[name], LAYOUTS['coco17']
    keypoint = np.random.default_rng(1).random((1, 2, layout.num_joints, 2))
    flipped_first, _ = convert(keypoint[..., layout.flip_index, :], None, name)
    np.testing.assert_array_equal(flipped_first,
                                  convert(keypoint, None, name)[0][..., coco.flip_index, :])


@given(names)
def test_layout_edges_connect_all_joints(name):
    layout = LAYOUTS[name]
    reached = {0}
    for _ in layout.joints:
        reached |= {b for e in layout.edges for b in e if reached & set(e)}
    assert reached == set(range(layout.num_joints))


def test_convert_keeps_dtype_and_input():
    keypoint, score = np.ones((1, 2, 13, 2), np.float16), np.ones((1, 2, 13), np.float32)
    out, out_score = convert(keypoint, score, 'penn13')
    assert out.dtype == np.float16
    assert out_score.dtype == np.float32
    assert keypoint.all()
    assert score.all()


@pytest.mark.parametrize(('src', 'num_joints', 'words'), [('coco99', 17, 'coco99.*coco17'),
                                                    ('penn13', 17, '17 joints, expected 13')])
def test_convert_names_bad_layout(src, num_joints, words):
    with pytest.raises(ValueError, match=words):
        convert(np.zeros((1, 1, num_joints, 2)), None, src)
