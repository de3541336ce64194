"""MotionInferencer: inference with a trained model on recordings of any kind."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from mofm.registry import INFERENCERS
from mofm.utils.checks import is_int, require

from .inferencers import BaseInferencer, ResultIterator, Results, find_inferencers
from .model import init_model
from .recordings import Inputs


class MotionInferencer:
    """Inference with a trained model on recordings of any length, frame rate and joint layout.

    Clips go through the test pipeline of the config and the model as in ``tools/test.py``, with
    their joints in the layout of its data set (``to_layout``), COCO-17 by default. The tasks of a
    model are found by running it on one clip; ``docs/inference.md`` lists them, each a class in
    :mod:`mofm.apis.inferencers` or in a project.

    Args:
        config (str, Path or Config): See :func:`init_model`.
        checkpoint (str or Path, optional): Weights.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        batch_size (int): Clips that are rendered at once. Defaults to 32.
        cfg_options (dict, optional): Settings to override, see :func:`init_model`.

    Attributes:
        model (BaseModel): The model.
        tasks (tuple[str]): Tasks it supports; the first is the one it was trained for.
        classes (tuple[str]): Class names, from the head or the training data; empty if unknown.
        layout (Layout): Joints of the clips.
        dataset (ConfigDict): Test data set of the config.

    Raises:
        FileNotFoundError: If the config or checkpoint does not exist.
        ValueError: If the checkpoint does not fit the model, or the config has no test pipeline.
    """

    def __init__(self, config: str | Path | Config,
                 checkpoint: str | Path | None = None, device: str | None = None,
                 batch_size: int = 32, cfg_options: dict | None = None):
        require(is_int(batch_size, 1), self, 'batch_size', batch_size, 'an integer of at least 1')
        self.model = init_model(config, checkpoint, device, cfg_options)
        self._inferencers = find_inferencers(self.model, batch_size)
        self.tasks = tuple(self._inferencers)
        if not self.tasks:
            known = {name: kind.predicted for name, kind in INFERENCERS.module_dict.items()
                     if kind.predicted}
            raise ValueError(f'{type(self.model).__name__}: found a model without known output, '
                             'expected one that sets the fields of a task on its data samples, '
                             f"{known}, or returns features in mode='tensor'")
        first = self.task()
        self.classes, self.layout, self.dataset = first.classes, first.layout, first.dataset

    def task(self, name: str | None = None) -> BaseInferencer:
        """Return the object of a task, e.g. for its pictures.

        Args:
            name (str, optional): One of :attr:`tasks`, by default the first.

        Raises:
            ValueError: If the model does not support the task.
        """
        name = name or self.tasks[0]
        if name not in self.tasks:
            raise ValueError(f'task: found {name!r}, but {type(self.model).__name__} with these '
                             f'heads supports {" and ".join(self.tasks)} only; use a config and '
                             'checkpoint of a model for the task')
        return self._inferencers[name]

    def predict_clips(self, clips: Sequence[dict], task: str | None = None) -> list[dict]:
        """Predict the outputs of clips of one window each, the lowest-level call.

        Args:
            clips (Sequence[dict]): Annotations with ``keypoint`` (M, T, J, 2) in pixels,
                ``keypoint_score`` (M, T, J) and ``img_shape`` (h, w), T at least 1, with the
                joints of :attr:`layout`.
            task (str, optional): One of :attr:`tasks`, by default the first.

        Returns:
            list[dict]: NumPy arrays per clip, without the axis of windows that they have in
            results, e.g. ``scores`` (C,).

        Raises:
            ValueError: If the model does not support the task, a clip has other shapes, or an
                output is NaN.
        """
        return self.task(task).predict_clips(clips)

    def __call__(self, inputs: Inputs, task: str | None = None, **options) -> Results:
        """Predict the results of one or more recordings, see :meth:`iter` for the arguments.

        Threads may share an inferencer.

        Returns:
            Results: A list of one :class:`Result` per usable recording; its ``problems`` are the
            reasons why the others were skipped.
        """
        return Results(self.iter(inputs, task, **options))

    def iter(self, inputs: Inputs, task: str | None = None, progress: bool = True,
             **options) -> ResultIterator:
        """Predict results one by one, for more recordings than fit into memory.

        A recording that cannot be used is skipped and reported in ``problems`` of the iterator.

        Args:
            inputs: A recording, or a list or an iterator of recordings, each

                - an annotation (dict): ``keypoint`` (M, T, V, 2), optionally the other fields of
                  :mod:`mofm.annotations.files`,
                - an array, tensor or nested lists (T, V, C), (M, T, V, C) or (T, M, V, C): x, y
                  and, if C is 3, score,
                - or a path: annotations (``.pkl``, ``.arrow``, ``.npz``, ``.json``), poses of any
                  source of ``tools/data/prepare.py``, arrays (``.npy``, ``.npz``), a video (needs
                  the extra ``video``), or a folder or an archive of one of these.

                Joints with NaN or a score below 1e-4 are missing.
            task (str, optional): One of :attr:`tasks`, by default the first.
            progress (bool): Show windows per second. Defaults to True.
            **options: Fields of :class:`RecordingOptions` (``fps``, ``model_fps``, ``layout``,
                ``img_shape``, ``split``, ``source``, ``source_options``, ``axes``,
                ``coordinates``, ``pose_extractor``), of :class:`WindowOptions` (``window``,
                ``stride``, ``cut_long``) and of the ``options_type`` of the task, e.g. ``top_k``.

        Returns:
            ResultIterator: Yields one :class:`Result` per recording, in the order of the inputs.

        Raises:
            TypeError: If an option is unknown.
            ValueError: If the model does not support the task, an option is out of range, or no
                recording can be used.
            ImportError: If a video is given and no pose estimator is installed.
        """
        return self.task(task).iter(inputs, progress, **options)
