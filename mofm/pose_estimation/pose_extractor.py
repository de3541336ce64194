"""2D pose estimation with models of MMPose."""
import difflib
import itertools
import warnings
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.registry import DefaultScope

from mofm.annotations import AnnotationError
from mofm.registry import POSE_ESTIMATORS

from .estimator import Boxes, PoseEstimator, whole_frame

if TYPE_CHECKING:  # --help imports no PyTorch
    from torch import nn

#: HRNet-W32 (Sun et al., "Deep High-Resolution Representation Learning", CVPR 2019), trained on
#: COCO by MMPose: 74.6 AP.
MODEL = 'td-hm_hrnet-w32_8xb64-210e_coco-256x192'
#: The person detector of MMPose's inferencer.
DETECTOR = 'rtmdet-m'
# Minimum score and maximum overlap of boxes in MMPose's demo.
_MIN_SCORE = .3
_MAX_OVERLAP = .3


def _mmpose():
    """Import MMPose without its warnings about operators that 2D models do not need."""
    import mofm.hub.checkpoint  # noqa: F401  checkpoints load safely, also from a URL
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            import mmpose.apis
    except ImportError as error:
        raise ImportError(f'MMPose cannot be imported ({error}): pip install --no-deps -r '
                          'requirements/pose.txt') from None
    return mmpose


def _find_model(package, name: str) -> tuple[Path, str | None]:
    """Find the config file and the URL of the weights of a model of an OpenMMLab package."""
    root = Path(package.__file__).parent / '.mim'
    configs = {file.stem: file for file in (root / 'configs').rglob('*.py')}
    names = list(configs)
    for index in load(root / 'model-index.yml')['Import']:
        for entry in load(root / index)['Models']:
            alias = entry.get('Alias') or []
            entry_names = [entry['Name'], *([alias] if isinstance(alias, str) else alias)]
            if name in entry_names:
                weights = entry.get('Weights')
                return (root / entry['Config'],
                        weights[0] if isinstance(weights, list) else weights)
            names += entry_names
    if name in configs:
        return configs[name], None
    close = difflib.get_close_matches(name, names, n=3, cutoff=.4)
    raise ValueError(f'{name}: found no config file or model of {package.__name__} '
                     f'{package.__version__} of this name, expected e.g. {", ".join(close)}')


def _config(package, model: str, checkpoint: str | None) -> tuple[str, str]:
    """Find the config file and the checkpoint (path or URL) of a model."""
    config, url = (model, None) if Path(model).is_file() else _find_model(package, str(model))
    if not (checkpoint or url):
        raise ValueError(f'{model}: found no checkpoint, expected a path or URL, as none is '
                         'published')
    return str(config), str(checkpoint or url)


def _load_weights(model: 'nn.Module', checkpoint: str) -> dict:
    """Load all weights of a checkpoint of any MMPose version and return its metadata."""
    from mofm.hub.checkpoint import load_local

    content = load_local(checkpoint)
    try:
        missing = model.load_state_dict(content.get('state_dict', content), strict=False)[0]
    except RuntimeError as error:
        missing = [' '.join(str(error).split())[:300]]
    if missing:
        raise ValueError(f'{checkpoint}: found a checkpoint that is not of this model, expected '
                         f'all of its weights ({len(missing)} wrong, e.g. {missing[0]})')
    return content.get('meta', {})


class PersonDetector:
    """Person detector of MMDetection.

    Args:
        model (str): Name or config file of a model whose class 0 is the person, as in COCO.
        checkpoint (str, optional): Path or URL; by default the published weights.
        device (str, optional): By default the first GPU, or the CPU without one.

    Raises:
        ImportError: If MMDetection or MMPose is not installed.
        ValueError: If the model is unknown.
    """

    def __init__(self, model: str = DETECTOR, checkpoint: str | None = None,
                 device: str | None = None):
        _mmpose()
        from mmpose.evaluation.functional import nms
        try:
            import mmdet
            from mmdet.apis import DetInferencer
        except ImportError as error:
            raise ImportError(
                f'no person detector, as MMDetection cannot be imported ({error}): install mmdet '
                'and the full mmcv, or pass --boxes PATH or --whole-frame') from None
        config, checkpoint = _config(mmdet, model, checkpoint)
        self._detect = DetInferencer(config, checkpoint, device=device)
        self._detect.show_progress = False
        self._nms = nms

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Detect the persons in an image.

        Args:
            image (np.ndarray): (H, W, 3) uint8 BGR.

        Returns:
            np.ndarray: (N, 5) float32, x1, y1, x2, y2 in pixels and the score.
        """
        found = self._detect(image)['predictions'][0]
        boxes = np.column_stack((np.reshape(found['bboxes'], (-1, 4)), found['scores']))
        keep = (np.array(found['labels']) == 0) & (boxes[:, 4] >= _MIN_SCORE)
        boxes = boxes[keep].astype(np.float32)
        return boxes[self._nms(boxes, _MAX_OVERLAP)]


def is_ready(detector: bool = True) -> bool:
    """Return whether MMPose and the default weights are here, so that nothing is downloaded.

    Args:
        detector (bool): Also look for MMDetection and its weights. Defaults to True.
    """
    packages = dict(mmpose=MODEL, **(dict(mmdet=DETECTOR) if detector else {}))
    if not all(map(find_spec, packages)):
        return False
    from mofm.hub.checkpoint import cache_path

    try:
        found = [_find_model(import_module(name), model) for name, model in packages.items()]
    except (ImportError, OSError, ValueError):  # a broken installation
        return False
    return all(url and cache_path(url).exists() for _, url in found)


@POSE_ESTIMATORS.register_module('mmpose')
class PoseExtractor(PoseEstimator):
    """2D pose estimator of MMPose for images and videos.

    Args:
        model (str): Name of a 2D model of MMPose, or a config file.
        checkpoint (str, optional): Path or URL; by default the published weights.
        device (str, optional): By default the first GPU, or the CPU without one.
        boxes (Callable, optional): Maps an image to the boxes (N, 4) or (N, 5) of its persons,
            e.g. :func:`whole_frame`; None for a :class:`PersonDetector`. Bottom-up models ignore
            it.
        batch_size (int): Persons (bottom-up: frames) per batch.

    Raises:
        ImportError: If MMPose is not installed.
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If the model is unknown or cannot be built with the installed packages, or the
            checkpoint does not match it.
    """

    def __init__(self, model: str = MODEL, checkpoint: str | None = None,
                 device: str | None = None, boxes: Boxes | None = whole_frame,
                 batch_size: int = 32):
        import torch
        from mmengine.dataset import Compose

        if batch_size < 1:
            raise ValueError(f'found batch_size={batch_size}, expected at least 1')
        mmpose = _mmpose()
        config, checkpoint = _config(mmpose, model, checkpoint)
        device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        with DefaultScope.overwrite_default_scope('mmpose'), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about registry scopes
            config = Config.fromfile(config)
            self.bottom_up = config.get('data_mode') == 'bottomup'
            self.boxes = whole_frame if self.bottom_up else boxes or PersonDetector(device=device)
            try:
                self.model = mmpose.apis.init_model(config, None, device)
            except KeyError as error:  # of a registry
                raise ValueError(f'{model}: cannot be built ({str(error)[:80]}...); models with '
                                 'parts of MMDetection or with compiled operators need mmdet and '
                                 'the full mmcv') from None
            self.pipeline = Compose(config.test_dataloader.dataset.pipeline)
        meta = _load_weights(self.model, checkpoint)
        self.meta = meta.get('dataset_meta') or self.model.dataset_meta
        self.batch_size = batch_size

    def estimate(self, image: np.ndarray, boxes: np.ndarray | None = None
                 ) -> tuple[np.ndarray, np.ndarray]:
        """See :meth:`PoseEstimator.estimate`."""
        poses, = self.extract([image], None if boxes is None else [boxes])
        return poses['keypoints'], poses['keypoint_scores']

    def extract(self, frames: Iterable[np.ndarray],
                boxes: Iterable[np.ndarray] | None = None) -> Iterator[dict[str, np.ndarray]]:
        """Estimate the poses in images, in batches of persons across images.

        Args:
            frames (Iterable[np.ndarray]): (H, W, 3) uint8 BGR.
            boxes (Iterable[np.ndarray], optional): (N, 4) or (N, 5) per frame: x1, y1, x2, y2 in
                pixels and the score. By default those of :attr:`boxes`.

        Yields:
            dict: Per frame, float32: ``keypoints`` (N, V, 2) in pixels, ``keypoint_scores``
            (N, V) clipped to [0, 1], ``bboxes`` (N, 4), ``bbox_scores`` (N,).

        Raises:
            AnnotationError: If a prediction is NaN or infinite.
        """
        if boxes is None:
            pairs = ((frame, self.boxes(frame)) for frame in frames)
        else:
            pairs = zip(frames, boxes, strict=False)  # boxes may be infinite
        waiting, samples = [], []
        # A batch contains whole frames, so that batches after resuming are the same.
        for image, found in pairs:
            found = np.asarray(found, np.float32)
            if found.shape[1] == 4:
                found = np.column_stack((found, np.ones(len(found), np.float32)))
            if waiting and (len(samples) + len(found) > self.batch_size
                            or len(waiting) == self.batch_size):
                yield from self._poses(waiting, samples)
                waiting, samples = [], []
            waiting.append(found)
            samples += [self._sample(image, box) for box in found]
        yield from self._poses(waiting, samples)

    def _sample(self, image, box):
        """Build one input of the network."""
        person = {} if self.bottom_up else dict(bbox=box[None, :4], bbox_score=box[4:])
        return self.pipeline(dict(img=image, **person, **self.meta))

    def _poses(self, boxes, samples):
        """Yield the results of frames, each with as many samples as boxes."""
        import torch
        from mmengine.dataset import pseudo_collate

        results = []
        with torch.no_grad():
            for i in range(0, len(samples), self.batch_size):
                batch = pseudo_collate(samples[i:i + self.batch_size])
                results += [r.pred_instances for r in self.model.test_step(batch)]
        results = iter(results)
        empty = np.zeros((0, self.meta['num_keypoints'], 3), np.float32)
        for found in boxes:
            parts = [np.dstack((r.keypoints, r.keypoint_scores))
                     for r in itertools.islice(results, len(found))]
            pose = np.concatenate([empty, *parts]).astype(np.float32)
            if not np.isfinite(pose).all():
                raise AnnotationError('keypoints: found NaN or infinite predictions, expected '
                                      'finite ones; check the checkpoint')
            keypoints, scores = pose[..., :2], pose[..., 2].clip(0, 1)
            if self.bottom_up:
                found = np.column_stack((keypoints.min(1), keypoints.max(1), scores.mean(1)))
            yield dict(keypoints=keypoints, keypoint_scores=scores, bboxes=found[:, :4],
                       bbox_scores=found[:, 4])
