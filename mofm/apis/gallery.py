"""Exemplars of one-shot recognition, added while the program runs."""
from os import PathLike
from pathlib import Path

import numpy as np

from mofm.utils.files import atomic_write


class Gallery:
    """Embeddings of exemplars with the names of their classes; the nearest one counts.

    Args:
        inferencer (MotionInferencer): Of a model for one-shot recognition.
    """

    def __init__(self, inferencer):
        self._inferencer = inferencer
        self._names: list[str] = []
        self._embedding = np.zeros((0, 0), np.float32)

    def __len__(self) -> int:
        """Number of exemplars."""
        return len(self._names)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the C classes, in the order in which they came."""
        return tuple(dict.fromkeys(self._names))

    def add(self, name: str, inputs, **options) -> int:
        """Add exemplars of a class, which may have some already.

        Args:
            name (str): The class.
            inputs: As of :class:`MotionInferencer`. Every recording becomes an exemplar, with
                ``window`` every window.
            **options: As of :meth:`MotionInferencer.iter`.

        Returns:
            int: How many were added.

        Raises:
            ValueError: If the name is no text, the model is for another task, or a recording
                cannot be used; nothing is added then.
        """
        if not isinstance(name, str) or not name:
            raise ValueError(f'name: found {name!r}, expected the class as a text')
        new = self._inferencer.embed(inputs, **options)
        self._embedding = np.concatenate([self._embedding, new]) if self._names else new
        self._names += [name] * len(new)
        return len(new)

    def remove(self, name: str):
        """Remove all exemplars of a class.

        Raises:
            ValueError: If there is none.
        """
        if name not in self._names:
            raise ValueError(f'name: found {name!r}, expected one of {list(self.classes)}')
        keep = np.array([other != name for other in self._names])
        self._embedding = self._embedding[keep]
        self._names = [other for other in self._names if other != name]

    def similarity(self, embedding: np.ndarray) -> np.ndarray:
        """Cosine of embeddings with the nearest exemplar of every class.

        Args:
            embedding (np.ndarray): (N, E), length 1.

        Returns:
            np.ndarray: (N, C) in [-1, 1], classes as in :attr:`classes`.

        Raises:
            ValueError: If the gallery is empty.
        """
        self.require_exemplars()
        cosine = self._embedding @ np.transpose(embedding)  # (exemplars, N)
        classes = {name: c for c, name in enumerate(self.classes)}
        out = np.full((len(classes), len(embedding)), -np.inf, np.float32)
        np.maximum.at(out, [classes[name] for name in self._names], cosine)
        return out.T

    def require_exemplars(self):
        """Raise a ValueError if the gallery is empty."""
        if not self._names:
            raise ValueError('gallery: found no exemplar, expected at least one; add some with '
                             'gallery.add(NAME, INPUTS) or gallery.load(FILE)')

    def save(self, path: str | PathLike):
        """Write the gallery and the fingerprint of the model.

        Args:
            path (str or Path): An ``.npz`` file.

        Raises:
            ValueError: If the suffix is another one, or the gallery is empty.
        """
        path = Path(path)
        if path.suffix != '.npz':
            raise ValueError(f"{path}: found suffix {path.suffix!r}, expected '.npz'")
        self.require_exemplars()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as f:
            np.savez_compressed(f, name=np.array(self._names), embedding=self._embedding,
                                model=self._inferencer.fingerprint)

    def load(self, path: str | PathLike):
        """Replace the exemplars by those of a file.

        Args:
            path (str or Path): What :meth:`save` has written.

        Raises:
            ValueError: If the file is no gallery, or that of another model.
        """
        try:
            with np.load(path, allow_pickle=False) as content:
                name, embedding = content['name'], content['embedding']
                model = str(content['model'])
        except Exception as error:  # damaged bytes make NumPy raise nearly anything
            raise ValueError(f'{path}: not a gallery ({type(error).__name__}: {error}); expected '
                             'a file of Gallery.save') from None
        if model != self._inferencer.fingerprint:
            raise ValueError(f'{path}: found a gallery of another model (fingerprint {model[:8]}),'
                             f' expected {self._inferencer.fingerprint[:8]}, the weights in use; '
                             'add the exemplars again with this model')
        if name.ndim != 1 or name.dtype.kind != 'U' or not len(name) or (
                embedding.ndim != 2 or len(embedding) != len(name)
                or embedding.dtype != np.float32 or not np.isfinite(embedding).all()):
            raise ValueError(f'{path}: found name {name.dtype} of shape {name.shape} and embedding'
                             f' {embedding.dtype} of shape {embedding.shape}, expected N texts '
                             'and (N, E) finite float32')
        self._names, self._embedding = name.tolist(), embedding
