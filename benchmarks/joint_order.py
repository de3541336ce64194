"""How often the order of joints is read, asked for or noted, on real poses in every order.

python benchmarks/joint_order.py penn.pkl nw_ucla.pkl      # annotation files of prepare.py
"""
import argparse
from collections import Counter

import numpy as np

from mofm.annotations import load_annotations
from mofm.sources.joint_order import other_layouts
from mofm.structures import convert, visible_joints

# The usual layout of a number of joints, and others.
GROUPS = dict(coco17=('h36m17', ), body25=('body25b', 'kinect25'))


def variants(keypoint, score, rng):
    """Yield poses as cameras see them: names, coordinates and scores."""
    yield 'whole clips', keypoint, score
    row = rng.integers(len(keypoint))
    yield 'one pose', keypoint[row:row + 1], score[row:row + 1]
    yield 'upper bodies', keypoint, np.where(np.arange(17) < 11, score, 0)
    yield '30 % of joints lost', keypoint, score * (rng.random(score.shape) > .3)
    yield 'width x .15', keypoint * [.15, 1], score


def main():
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('files', nargs='+')
    rng, table = np.random.default_rng(0), {}
    for file in parser.parse_args().files:
        for ann in load_annotations(file)['annotations']:
            keypoint = ann['keypoint'].reshape(-1, 17, 2).astype(np.float64)
            score = ann['keypoint_score'].reshape(-1, 17).astype(np.float64)
            seen = visible_joints(keypoint, score).any(1)
            for name, points, scores in variants(keypoint[seen], score[seen], rng) \
                    if seen.any() else ():
                points = points * (scores > 0)[..., None]
                for usual, others in GROUPS.items():
                    for order in (usual, *others):
                        kind, named = other_layouts(*convert(points, scores, 'coco17', order),
                                                    usual)
                        found = 'asks' if kind == 'better' else 'notes it' if order in named \
                            else 'reads'
                        table.setdefault((order, name), Counter())[found] += 1
    print('| joints are | poses | clips | read as usual | read, with a note of it | refused |')
    print('|---|---|---|---|---|---|')
    for (order, name), counts in sorted(table.items()):
        shares = (f'{counts[found] / counts.total():.1%}' for found in (
            'reads', 'notes it', 'asks'))
        print(f'| {order} | {name} | {counts.total()} | {" | ".join(shares)} |')


if __name__ == '__main__':
    main()
