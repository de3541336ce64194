"""One-shot action recognition: the class of the nearest exemplar."""

import threading
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from mofm.annotations import AnnotationError, check_names, summarize
from mofm.hub.checkpoint import fingerprint
from mofm.models import OneShotHead
from mofm.registry import INFERENCERS
from mofm.utils.checks import describe, show
from mofm.utils.files import atomic_write
from mofm.utils.names import NAME, is_name
from mofm.utils.untrusted import read_npz

from .action import ActionInferencer, ActionOptions, ActionResult
from .base import BaseInferencer

_CHANGING = threading.Lock()  # of a gallery


class Gallery:
    """Embeddings of exemplars with class names, matched by the nearest exemplar.

    Threads may share a gallery.

    Args:
        inferencer (MotionInferencer): Model for one-shot recognition.

    Raises:
        ValueError: If the model does not support the task.
    """

    def __init__(self, inferencer):
        self._inferencer = inferencer if isinstance(inferencer, OneShotInferencer) else \
            inferencer.task(OneShotResult.task)
        # names and embeddings (N, E), replaced as one, so that no thread sees half of a change
        self._exemplars: tuple[list[str], np.ndarray] = ([], np.zeros((0, 0), np.float32))

    def __len__(self) -> int:
        """Return the number of exemplars."""
        return len(self._exemplars[0])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes, in the order they were added."""
        return tuple(dict.fromkeys(self._exemplars[0]))

    def add(self, name: str, inputs, **options) -> int:
        """Add exemplars of a new or known class.

        Args:
            name (str): Class name.
            inputs: See :meth:`MotionInferencer.iter`. Every recording becomes an exemplar, with
                ``window`` every window.
            **options: See :meth:`MotionInferencer.iter`.

        Returns:
            int: Number of exemplars added.

        Raises:
            ValueError: If the name is empty or not valid, or a recording cannot be used;
                nothing is added then.
        """
        if not is_name(name) or not name:
            raise ValueError(f'name: found {show(name)}, expected {NAME}, not empty')
        new = self._inferencer.embed(inputs, **options)
        with _CHANGING:
            names, embedding = self._exemplars
            self._exemplars = (names + [name] * len(new),
                               np.concatenate([embedding, new]) if names else new)
        return len(new)

    def remove(self, name: str):
        """Remove all exemplars of a class.

        Raises:
            ValueError: If the class has no exemplar.
        """
        with _CHANGING:
            names, embedding = self._exemplars
            if name not in names:
                raise ValueError(f'name: found {name!r}, expected one of {list(self.classes)}')
            keep = [i for i, other in enumerate(names) if other != name]
            self._exemplars = [names[i] for i in keep], embedding[keep]

    def similarity(self, embedding: np.ndarray) -> np.ndarray:
        """Compute the cosine of embeddings with the nearest exemplar of every class.

        Args:
            embedding (np.ndarray): (N, E) of length 1.

        Returns:
            np.ndarray: (N, C) in [-1, 1], classes as in :attr:`classes`.

        Raises:
            ValueError: If the gallery is empty.
        """
        return self.match(embedding)[1]

    def match(self, embedding: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the classes and the similarity to them, see :meth:`similarity`."""
        self.require_exemplars()
        names, exemplars = self._exemplars
        cosine = exemplars @ np.transpose(embedding)  # (exemplars, N)
        classes = {name: c for c, name in enumerate(dict.fromkeys(names))}
        out = np.full((len(classes), len(embedding)), -np.inf, np.float32)
        np.maximum.at(out, [classes[name] for name in names], cosine)
        return tuple(classes), out.T

    def require_exemplars(self):
        """Raise a ValueError if the gallery is empty."""
        if not len(self):
            raise ValueError('gallery: found no exemplar, expected at least one; add some with '
                             'gallery.add(NAME, INPUTS) or gallery.load(FILE)')

    def save(self, path: str | PathLike):
        """Save the exemplars and the fingerprint of the model.

        Args:
            path (str or Path): An ``.npz`` file.

        Raises:
            ValueError: If the suffix is not ``.npz``, or the gallery is empty.
        """
        path = Path(path)
        if path.suffix != '.npz':
            raise ValueError(f"{path}: found suffix {path.suffix!r}, expected '.npz'")
        self.require_exemplars()
        names, embedding = self._exemplars
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            np.savez_compressed(f, name=np.array(names), embedding=embedding,
                                model=fingerprint(self._inferencer.model))

    def load(self, path: str | PathLike):
        """Replace the exemplars by those of a file.

        Args:
            path (str or Path): File written by :meth:`save`.

        Raises:
            ValueError: If the file is not a gallery of this model.
        """
        try:
            content = read_npz(path)
            name, embedding = content['name'], content['embedding']
            model = str(content['model'])
        except Exception as error:  # damaged bytes make NumPy raise nearly anything
            raise ValueError(f'{path}: not a gallery ({describe(error)}); expected '
                             'a file of Gallery.save') from None
        own = fingerprint(self._inferencer.model)
        if model != own:
            raise ValueError(f'{path}: found a gallery of another model (fingerprint {model[:8]}),'
                             f' expected {own[:8]}, the weights in use; add the exemplars again '
                             'with this model')
        if name.ndim != 1 or name.dtype.kind != 'U' or not len(name) or (
                embedding.ndim != 2 or len(embedding) != len(name)
                or embedding.dtype != np.float32 or not np.isfinite(embedding).all()):
            raise ValueError(f'{path}: found name {name.dtype} of shape {name.shape} and embedding'
                             f' {embedding.dtype} of shape {embedding.shape}, expected N strings '
                             'and (N, E) finite float32')
        check_names(f'{path}: name', name.tolist())
        with _CHANGING:
            self._exemplars = name.tolist(), embedding


@dataclass(frozen=True)
class OneShotOptions(ActionOptions):
    """Options of one-shot recognition.

    Args:
        top_k (int): Number of best classes in the result. Defaults to 5.
        gallery (Gallery, str or Path): The exemplars, or a file written by :meth:`Gallery.save`.
    """

    gallery: Gallery | str | PathLike | None = None


@dataclass
class OneShotResult(ActionResult):
    """Similarity to the classes of a gallery.

    ``scores`` are cosines with the nearest exemplar, in [-1, 1].

    Attributes:
        embedding (np.ndarray): (W, E) float32, length 1.
    """

    task = 'one_shot'
    embedding: np.ndarray


@INFERENCERS.register_module(OneShotResult.task)
class OneShotInferencer(ActionInferencer):
    """One-shot recognition, for heads that set ``embedding``."""

    result_type = OneShotResult
    options_type = OneShotOptions
    predicted = dict(embedding='embedding')
    names_classes = False

    def iter(self, inputs, progress=True, gallery=None, **options):
        """Read the gallery if it is a file."""
        if not isinstance(gallery, Gallery):
            path, gallery = gallery, Gallery(self)
            if path is not None:
                gallery.load(path)
        gallery.require_exemplars()
        return super().iter(inputs, progress, gallery=gallery, **options)

    def make_result(self, group, windows, outputs, options) -> OneShotResult:
        """Compare with the gallery."""
        classes, scores = options.gallery.match(outputs['embedding'])
        return OneShotResult(**self.common(group, windows), **outputs, classes=classes,
                             top_k=options.top_k, scores=scores)

    def embed(self, inputs, progress: bool = False, **options) -> np.ndarray:
        """Embed all windows of all recordings.

        Args:
            inputs: See :meth:`MotionInferencer.iter`.
            progress (bool): Show windows per second. Defaults to False.
            **options: See :meth:`MotionInferencer.iter`.

        Returns:
            np.ndarray: (N, E) float32 of length 1.

        Raises:
            ValueError: See :meth:`MotionInferencer.iter`; and if any recording cannot be used.
        """
        found = self.outputs(inputs, progress, **options)
        embedding = [outputs['embedding'] for outputs in found]
        if found.problems:
            raise AnnotationError(summarize(found.problems))
        return np.concatenate(embedding)

    def limits(self) -> str:
        """State that the gallery has all classes."""
        return 'any motion is given the nearest class of the gallery, low scores are unknown ones'

    def describe(self) -> str:
        """Name the task."""
        return 'One-shot action recognition (DT2)' if self.exportable(self.model) else \
            BaseInferencer.describe(self)

    def example(self) -> str:
        """Add a gallery to the example."""
        return ('from mofm.apis import Gallery\n'
                'gallery = Gallery(inferencer)\n'
                "gallery.add('wave', 'exemplar.pkl')  # one or more of each class\n"
                f"results = inferencer('clips.pkl', task='{self.task}', gallery=gallery)")

    @classmethod
    def exportable(cls, model: BaseModel) -> bool:
        """Support the head of MoFM."""
        return isinstance(getattr(model, 'cls_head', None), OneShotHead)

    @staticmethod
    def graph(model, cubes) -> tuple:
        """Compute embeddings (B, E)."""
        return (model.cls_head(model.backbone(cubes)),)

    @staticmethod
    def graph_mean(output: Tensor) -> Tensor:
        """Average embeddings and normalize the mean."""
        return F.normalize(output.mean(1), dim=1)
