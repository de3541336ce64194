"""Atlas of the MotionBook: decoded motion tokens with examples from a data set."""
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mofm.structures import LAYOUTS

from .pose import FAINT, MIDDLE, Skeletons, show_window, spaced

_MIN_HEAT = .49  # minimum peak of a cube to count
_MARK = '#CC79A7'  # Okabe and Ito's purple, unlike all joints
_COCO = LAYOUTS['coco17']
_NUM_FRAMES, _NUM_EXAMPLES = 6, 3


@dataclass
class AtlasEntry:
    """One motion token.

    Args:
        token (int): Token ID.
        share (float): Share of the counted cubes in [0, 1].
        patch (np.ndarray): (F, p, p) mean output of the decoder at the cubes with this token.
        examples (list): Most typical cubes, at most one per clip, best first: RMS distance of the
            heat U_R from ``patch``, cube, keypoints (M, J, F, 3) of the clip.
    """

    token: int
    share: float
    patch: np.ndarray
    examples: list[tuple[float, int, np.ndarray]] = field(default_factory=list)


@torch.no_grad()
def collect_atlas(tokenizer, batches: Sequence,
                  num_tokens: int = 12) -> tuple[list[AtlasEntry], np.ndarray]:
    """Collect the most frequent tokens of a data set with up to three examples each.

    Cubes with only the rim of a Gaussian do not count. The heat at the pixel of a keypoint is at
    least exp(-0.5 / (2 sigma^2)), 0.499.

    To save memory the clips are read twice, first for frequencies and mean patches, then for the
    typical cubes.

    Args:
        tokenizer (MotionTokenizer): With a data preprocessor, in evaluation mode.
        batches (Sequence): Collated samples that can be iterated twice, e.g. a DataLoader without
            shuffling.
        num_tokens (int): Maximum number of entries.

    Returns:
        tuple: Entries, most frequent first, and (V,) share of each token in the counted cubes.

    Raises:
        ValueError: If no cube counts.
    """
    grid = tokenizer.grid
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    total = torch.zeros(tokenizer.vocab_size, grid.num_frames, grid.patch, grid.patch)
    all_ids = []
    for inputs in _rendered(tokenizer, batches):
        ids, counted = tokenizer.encode(inputs), inputs.peaks() >= _MIN_HEAT
        patches = grid.split(tokenizer.decode(ids))[counted].float().cpu()  # (N, F, p, p)
        ids = ids.masked_fill(~counted, -1).cpu()
        total.index_add_(0, ids[ids >= 0], patches)
        counts += np.bincount(ids[ids >= 0].numpy(), minlength=len(counts))
        all_ids.append(ids)
    if not counts.any():
        raise ValueError(f'clips: found no cube with a heat of {_MIN_HEAT} or more')
    order = np.argsort(-counts, kind='stable')[:num_tokens]
    entries = [AtlasEntry(int(token), counts[token] / counts.sum(),
                          (total[token] / counts[token]).numpy())
               for token in order if counts[token]]
    for ids, inputs in zip(all_ids, _rendered(tokenizer, batches), strict=True):
        heat = grid.split(inputs.union()).cpu()  # (B, K, F, p, p)
        keypoints = inputs.keypoints.cpu()
        for entry in entries:
            distance = (heat - torch.from_numpy(entry.patch)).square().mean((2, 3, 4)).sqrt()
            distance = distance.masked_fill(ids != entry.token, torch.inf)
            best, cube = distance.min(1)  # (B,)
            for clip in best.isfinite().nonzero()[:, 0].tolist():
                entry.examples.append((float(best[clip]), int(cube[clip]),
                                       keypoints[clip].numpy()))
            entry.examples = sorted(entry.examples, key=lambda e: e[:1])[:_NUM_EXAMPLES]
    return entries, counts / counts.sum()


def _rendered(tokenizer, batches: Iterable):
    for batch in batches:
        yield tokenizer.data_preprocessor(batch)['inputs']


def draw_atlas(entries: Sequence[AtlasEntry], grid) -> Figure:
    """Draw one row per token: its share, its reconstruction over time, typical clips.

    Each patch is scaled from 0 to its maximum, which is printed next to it. A typical clip is
    shown at the frame in which a joint is nearest to the center of the marked cube; the path of
    this joint is gray.

    Args:
        entries (Sequence[AtlasEntry]): At least one.
        grid (CubeGrid): Geometry of the cubes.

    Returns:
        Figure: Axes of the frames and of the typical clips in each row.
    """
    examples = max(len(entry.examples) for entry in entries)
    frames = spaced(grid.num_frames, _NUM_FRAMES)
    figure = Figure(figsize=(1.36 * (len(frames) + examples) + 1.2, 1.52 * len(entries) + .25),
                    dpi=110, layout='constrained')
    axes = figure.subplots(len(entries), len(frames) + examples, squeeze=False)
    for entry, row in zip(entries, axes, strict=True):
        top = float(entry.patch.max())
        for axis, frame in zip(row, frames, strict=False):
            axis.imshow(entry.patch[frame], cmap='inferno', norm=Normalize(0, max(top, 1e-6)))
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(f'token {entry.token}\n{100 * entry.share:.2f} %\nheat to {top:.2f}',
                          fontsize=9, rotation=0, ha='right', va='center')
        for axis in row[len(frames) + len(entry.examples):]:
            axis.set_axis_off()
        for axis, (_, cube, keypoints) in zip(row[len(frames):], entry.examples, strict=False):
            _draw_example(axis, cube, keypoints, grid)
    for i, frame in enumerate(frames):
        axes[0, i].set_title(f'frame {frame}', fontsize=9, color=MIDDLE)
    for i in range(examples):
        axes[0, len(frames) + i].set_title(f'typical clip {i + 1}', fontsize=9, color=MIDDLE)
    return figure


def _draw_example(axis, cube, keypoints, grid):
    corner = np.array([cube % grid.cols, cube // grid.cols]) * grid.patch - .5
    center = corner + grid.patch / 2
    points, score = keypoints[..., :2], keypoints[..., 2]  # (M, J, F, 2), (M, J, F)
    distance = np.where(score > 0, np.abs(points - center).max(-1), np.inf)
    person, joint, frame = np.unravel_index(distance.argmin(), distance.shape)
    trace = points[person, joint][score[person, joint] > 0]
    axis.plot(*trace.T, color=FAINT, linewidth=1)
    Skeletons(axis, _COCO, 1.5).show(points[:, :, frame], score[:, :, frame])
    axis.add_patch(Rectangle(corner, grid.patch, grid.patch, fill=False, edgecolor=_MARK,
                             linewidth=1.8, zorder=3))
    show_window(axis, [-.5] * 2, [grid.canvas - .5] * 2)
    axis.set_xlabel(f'{_COCO.joints[joint]}, frame {frame}'.replace('_', ' '), fontsize=6.5,
                    color=MIDDLE, labelpad=2)
