"""How often persons who get new IDs at once are joined rightly, on real motions of two people.

python tools/data/prepare.py nw_ucla all_sqe.zip nw_ucla_3d.pkl --keep-3d
python benchmarks/track_joining.py nw_ucla_3d.pkl
"""
import argparse

import numpy as np

from mofm.annotations import load_annotations
from mofm.keypoints import join_tracks

TRIALS, GAPS, DISTANCES = 200, (0, 10, 30), (.4, .7, 1.5, 3)
_LENGTH = 40  # frames before and after a gap, at least 10 of each


def pair(motions, gap, distance, rng):
    """Return the ID, frame and joints of two people side by side; IDs 0 and 1 become 2 and 3."""
    length = _LENGTH + gap
    chosen = [motions[i] for i in rng.choice(len(motions), 2, replace=False)]
    points = np.stack([motion[:length] - np.nanmean(motion[0], 0) for motion in chosen])
    size = np.nanmax(np.nanmax(points[0, 0], 0) - np.nanmin(points[0, 0], 0))
    points[1, ..., 0] += distance * size
    lost = rng.integers(10, _LENGTH - 10)
    person, frame = np.indices(points.shape[:2]).reshape(2, -1)
    seen = (frame < lost) | (frame >= lost + gap)
    return np.where(frame < lost, person, person + 2)[seen], frame[seen], points[
        person[seen], frame[seen]]


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('file', help='annotations of one person in 3D')
    anns = load_annotations(parser.parse_args().file)['annotations']
    motions = [np.where(ann['keypoint'].any(-1, keepdims=True), ann['keypoint'], np.nan)[0]
               .astype(np.float64) for ann in anns
               if ann['total_frames'] >= _LENGTH + max(GAPS)]
    rng = np.random.default_rng(0)
    print(f'{len(motions)} motions, {TRIALS} pairs a number: joined rightly (one person as the '
          'other)\n')
    print('| gap in frames | ' + ' | '.join(f'{d:g} body sizes apart' for d in DISTANCES) + ' |')
    print('|---' * (len(DISTANCES) + 1) + '|')
    for gap in GAPS:
        shares = []
        for distance in DISTANCES:
            right = wrong = 0
            for _ in range(TRIALS):
                track, frame, points = pair(motions, gap, distance, rng)
                new = [join_tracks(track, frame, points)[track == i][0] for i in range(4)]
                right += new[0] == new[2] != new[1] == new[3]
                wrong += new[0] == new[3] or new[1] == new[2]
            shares.append(f'{right / TRIALS:.1%} ({wrong / TRIALS:.1%})')
        print(f'| {gap} | ' + ' | '.join(shares) + ' |')


if __name__ == '__main__':
    main()
