"""MotionInferencer: a trained model on whatever recordings people have."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from mmengine.config import Config

from mofm.annotations import Problem
from mofm.registry import INFERENCERS
from mofm.utils.checks import is_int

from .inferencers import BaseInferencer, Result, find_inferencers
from .model import init_model
from .recordings import Inputs


class MotionInferencer:
    """Ask a trained model about recordings of any length, frame rate and joint layout.

    Clips go through the test pipeline of the config and the model as in ``tools/test.py``, with
    their joints in the layout of its data set (``to_layout``), COCO-17 by default. What a model
    can do is found out by giving it one clip; ``docs/inference.md`` lists the tasks, each a class
    in :mod:`mofm.apis.inferencers` or in a project.

    Args:
        config (str, Path or Config): As of :func:`init_model`.
        checkpoint (str or Path, optional): The weights.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        batch_size (int): Clips that are rendered at once. Defaults to 32.
        cfg_options (dict, optional): Settings to override, as of :func:`init_model`.

    Attributes:
        model (BaseModel): The model.
        tasks (tuple[str]): What it can do; the first is what it was trained for.
        classes (tuple[str]): Names of its classes, from the head or the data of the training,
            empty if unknown.
        layout (Layout): Joints of the clips.
        dataset (ConfigDict): Data set of the config's test.

    Raises:
        FileNotFoundError: If there is no such config or checkpoint.
        ValueError: If the checkpoint is not of this model, or the config has no test pipeline.
    """

    def __init__(self, config: str | Path | Config,
                 checkpoint: str | Path | None = None, device: str | None = None,
                 batch_size: int = 32, cfg_options: dict | None = None):
        if not is_int(batch_size, 1):
            raise ValueError(f'batch_size: found {batch_size}, expected an integer of at '
                             'least 1')
        self.model = init_model(config, checkpoint, device, cfg_options)
        self._inferencers = find_inferencers(self.model, batch_size)
        self.tasks = tuple(self._inferencers)
        if not self.tasks:
            known = {name: kind.predicted for name, kind in INFERENCERS.module_dict.items()
                     if kind.predicted}
            raise ValueError(f'{type(self.model).__name__}: found a model without output that is '
                             f'known, expected one that sets the fields of a task on its data '
                             f"samples, {known}, or gives features in mode='tensor'")
        self._last = self.task()
        self.classes, self.layout = self._last.classes, self._last.layout
        self.dataset = self._last.dataset

    def task(self, name: str | None = None) -> BaseInferencer:
        """The object of a task, e.g. for its pictures.

        Args:
            name (str, optional): One of :attr:`tasks`, by default the first.

        Raises:
            ValueError: If the model cannot do the task.
        """
        name = name or self.tasks[0]
        if name not in self.tasks:
            raise ValueError(f'task: found {name!r}, but {type(self.model).__name__} with these '
                             f'heads can do {" and ".join(self.tasks)} only; use a config and '
                             'checkpoint of a model for the task')
        return self._inferencers[name]

    @property
    def problems(self) -> list[Problem]:
        """Recordings that the last call skipped, and why."""
        return self._last.problems

    def predict_clips(self, clips: Sequence[dict], task: str | None = None) -> list[dict]:
        """Outputs of the model for clips of one window each, the lowest layer.

        Args:
            clips (Sequence[dict]): Annotations with ``keypoint`` (M, T, J, 2) in pixels,
                ``keypoint_score`` (M, T, J) and ``img_shape`` (h, w), T at least 1, with the
                joints of :attr:`layout`.
            task (str, optional): One of :attr:`tasks`, by default the first.

        Returns:
            list[dict]: NumPy arrays of each clip, without the axis of windows that they have in
            results, e.g. ``scores`` (C,).

        Raises:
            ValueError: If the model cannot do the task, a clip has other shapes, or the model
                gives NaN.
        """
        return self.task(task).predict_clips(clips)

    def __call__(self, inputs: Inputs, task: str | None = None, **options) -> list[Result]:
        """Results of one or more recordings, see :meth:`iter` for the arguments.

        Returns:
            list[Result]: One for each usable recording.
        """
        return list(self.iter(inputs, task, **options))

    def iter(self, inputs: Inputs, task: str | None = None, progress: bool = True,
             **options) -> Iterator[Result]:
        """Results one after the other, for more recordings than fit into memory.

        A recording that cannot be used is skipped and its reason put into :attr:`problems`.

        Args:
            inputs: A recording, or a list or an iterator of them, each

                - an annotation (dict): ``keypoint`` (M, T, V, 2), the other fields of
                  :mod:`mofm.annotations.files` are optional,
                - an array (T, V, 3) or (M, T, V, 3): x and y in pixels, and score,
                - or a path: annotations (``.pkl``, ``.arrow``, ``.npz``, ``.json``), poses of
                  AlphaPose, OpenPose or MMPose, arrays (``.npy``, ``.npz``), a video (needs the
                  extra ``pose``), or a folder of one of these.

                Joints with NaN or a score below 1e-4 are missing.
            task (str, optional): One of :attr:`tasks`, by default the first.
            progress (bool): Show windows per second. Defaults to True.
            **options: Fields of :class:`RecordingOptions` (``fps``, ``model_fps``, ``layout``,
                ``img_shape``, ``split``, ``pose_extractor``), of :class:`WindowOptions`
                (``window``, ``stride``) and of the ``options_type`` of the task, e.g. ``top_k``.

        Yields:
            Result: In the order of the inputs.

        Raises:
            TypeError: If there is no such option.
            ValueError: If the model cannot do the task, an option is out of range, or no
                recording can be used.
            ImportError: If a video is given and MMPose or MMDetection is not installed.
        """
        self._last = self.task(task)
        return self._last.iter(inputs, progress, **options)
