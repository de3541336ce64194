"""MMEngine's visualizer with the figures of this package."""
from collections.abc import Callable
from functools import wraps
from math import isqrt

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from mmengine.dist import master_only
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from mofm.registry import VISUALIZERS

from .anomaly import draw_anomaly_curve
from .atlas import draw_atlas
from .attention import draw_attention
from .embedding import draw_embedding
from .heat import draw_heat, draw_joint_heat, draw_tokenized_clip, draw_tokens
from .labeled_frames import draw_labeled_frames
from .mesh import draw_meshes
from .pose import draw_pose_clip
from .pose_3d import draw_clip_3d
from .results import draw_confusion, draw_curves, draw_jigsaw, draw_scores
from .sample import draw_sample
from .scores import draw_calibration, draw_histograms, draw_roc
from .timeline import draw_timeline


def figure_to_image(figure: Figure, dpi: float = 80) -> np.ndarray:
    """Render a figure to pixels (H, W, 3), uint8 RGB."""
    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _sent(draw: Callable[..., Figure]) -> Callable[..., None]:
    @wraps(draw)
    def add(self, name, *args, step=0, **kwargs):
        self.add_figure(name, draw(*args, **kwargs), step)

    add.__doc__ = (f'``add_...(name, *args, step=0, **kwargs)``: add the figure of '
                   f':func:`{draw.__name__}`.\n\n{draw.__doc__}')
    return add


@VISUALIZERS.register_module()
class MotionVisualizer(Visualizer):
    """Visualizer of motion, for all visualization backends.

    ``add_x(name, ..., step=0)`` adds the figure of ``draw_x(...)`` of this package::

        visualizer.add_heat('throw', heat, reconstruction, step=3)

    Args:
        **kwargs: Arguments of ``mmengine.visualization.Visualizer``: ``name``, ``vis_backends``,
            ``save_dir``.
    """

    @master_only
    def add_figure(self, name: str, figure: Figure, step: int = 0) -> None:
        """Add a figure.

        Args:
            name (str): Name of the figure; slashes become underscores, as for file names.
            figure (Figure): The figure, rendered at 80 dpi.
            step (int): Iteration or epoch.
        """
        self.add_image(name.replace('/', '_'), figure_to_image(figure), step)

    add_anomaly_curve = _sent(draw_anomaly_curve)
    add_atlas = _sent(draw_atlas)
    add_attention = _sent(draw_attention)
    add_calibration = _sent(draw_calibration)
    add_clip_3d = _sent(draw_clip_3d)
    add_confusion = _sent(draw_confusion)
    add_curves = _sent(draw_curves)
    add_embedding = _sent(draw_embedding)
    add_heat = _sent(draw_heat)
    add_histograms = _sent(draw_histograms)
    add_jigsaw = _sent(draw_jigsaw)
    add_joint_heat = _sent(draw_joint_heat)
    add_labeled_frames = _sent(draw_labeled_frames)
    add_meshes = _sent(draw_meshes)
    add_pose_clip = _sent(draw_pose_clip)
    add_roc = _sent(draw_roc)
    add_sample = _sent(draw_sample)
    add_scores = _sent(draw_scores)
    add_timeline = _sent(draw_timeline)
    add_tokenized_clip = _sent(draw_tokenized_clip)
    add_tokens = _sent(draw_tokens)

    @master_only
    def add_datasample(self, name: str, image: np.ndarray | None = None,
                       data_sample: BaseDataElement | None = None, draw_gt: bool = True,
                       draw_pred: bool = True, show: bool = False, wait_time: float = 0,
                       step: int = 0) -> None:
        """Add a figure of a data sample.

        It shows heat, reconstruction and motion tokens (tokenizers), class scores (recognizers),
        or the prediction of the token jigsaw.

        Args:
            name (str): Name of the figure.
            image (np.ndarray, optional): (H, W, 3) uint8 RGB of the clip, shown on top.
            data_sample (BaseDataElement, optional): Output of a model in mode 'predict'.
            draw_gt (bool): Show the true class.
            draw_pred (bool): Show predictions.
            show (bool): Open a window instead.
            wait_time (float): Seconds until the window closes; 0 waits for a key.
            step (int): Iteration or epoch.

        Raises:
            ValueError: If there is neither an image nor a figure.
        """
        figures = [] if data_sample is None else self._figures(data_sample, draw_gt, draw_pred)
        images = ([] if image is None else [image]) + [figure_to_image(f) for f in figures]
        if not images:
            found = 'no data sample' if data_sample is None else sorted(data_sample.keys())
            raise ValueError(f'{name}: found {found} and no image, expected one of heat, '
                             'pred_score and jigsaw')
        width = max(image.shape[1] for image in images)
        stacked = np.concatenate([
            np.pad(image, ((0, 0), (0, width - image.shape[1]), (0, 0)), constant_values=255)
            for image in images])
        if show:
            self.show(stacked, win_name=name, wait_time=wait_time)
        else:
            self.add_image(name.replace('/', '_'), stacked, step)

    def _figures(self, sample, draw_gt: bool, draw_pred: bool) -> list[Figure]:
        sample, figures = sample.cpu().detach().numpy(), []
        if 'heat' in sample:
            figures.append(draw_heat(sample.heat, sample.get('reconstruction')
                                     if draw_pred else None))
        if not draw_pred:
            return figures
        if 'tokens' in sample and 'heat' in sample:
            side = isqrt(len(sample.tokens))
            figures.append(draw_tokens(sample.tokens, side, side, sample.heat))
        if 'pred_score' in sample:
            names = (self.dataset_meta or {}).get('classes')
            names = names or [str(c) for c in range(len(sample.pred_score))]
            label = int(sample.gt_label[0]) if draw_gt and 'gt_label' in sample else None
            figures.append(draw_scores(sample.pred_score, names, label))
        if 'jigsaw' in sample:
            figures.append(draw_jigsaw(sample.jigsaw, float(sample.normality)))
        return figures
