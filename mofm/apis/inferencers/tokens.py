"""Motion tokens: the codebook entry of every thermal cube."""

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from mmengine.model import BaseModel
from torch import Tensor

from mofm.models import DVEDTokenizer, KMeansTokenizer, MotionTokenizer
from mofm.registry import INFERENCERS
from mofm.structures import ThermalCubes

from .base import BaseInferencer
from .result import Result, at_input, cut

_LOADING = threading.Lock()  # threads may share an inferencer, but not the loading of its teacher


@dataclass
class TokensResult(Result):
    """Motion tokens.

    Attributes:
        tokens (np.ndarray): (W, K) int, token of every cube.
        occupied (np.ndarray): (W, K) bool, cubes that hold heat.
    """

    task = 'tokens'
    tokens: np.ndarray
    occupied: np.ndarray

    def summary(self) -> str:
        """Report the number of different tokens."""
        return f'{len(np.unique(self.tokens[self.occupied]))} different tokens'

    def rows(self) -> list[dict]:
        """Return the token of every occupied cube of each window."""
        return [dict(row, cube=cube, token=int(ids[cube]))
                for row, ids, seen in zip(super().rows(), self.tokens, self.occupied, strict=True)
                for cube in np.flatnonzero(seen).tolist()]


@INFERENCERS.register_module(TokensResult.task)
class TokensInferencer(BaseInferencer):
    """Motion tokens, for tokenizers and the teacher of a pre-training."""

    result_type = TokensResult
    title = 'Motion tokens'
    predicted = dict(tokens='tokens', occupied='occupied')
    order = 2
    part = 'tokenizer'

    @classmethod
    def offered(cls, model, inputs, sample) -> bool:
        """Require a tokenizer, or a teacher with weights."""
        teacher = getattr(model, 'tokenizer', None)
        return super().offered(model, inputs, sample) or bool(teacher and teacher.init_cfg)

    @cached_property
    def _loaded_teacher(self) -> BaseModel | None:
        """Tokenizer of a pre-training, with weights from its own file."""
        teacher = getattr(self.model, 'tokenizer', None)
        if teacher is not None:
            teacher.init_weights()
        return teacher

    def predict(self, inputs, samples) -> dict:
        """Use the teacher, if there is one."""
        with _LOADING:
            teacher = self._loaded_teacher
        if teacher is None:
            return super().predict(inputs, samples)
        return dict(tokens=teacher.encode(inputs), occupied=inputs.occupied(teacher.segments))

    def draw(self, result) -> dict:
        """Draw frames and tokens of the first window."""
        from mofm.visualization import draw_tokenized_clip

        poses = at_input(result.poses[0], result.pose_ratio, result.fps)
        points = self.pipeline(cut(poses, *result.frames[0]))['inputs']['keypoints']
        return {'.png': draw_tokenized_clip(
            points.numpy(), result.tokens[0], result.occupied[0],
            self.model.data_preprocessor.grid,
            getattr(self.model, 'tokenizer', self.model).vocab_size)}

    def describe(self) -> str:
        """Name the task and the size of the vocabulary."""
        tokenizer = getattr(self.model, 'tokenizer', self.model)
        if not isinstance(tokenizer, MotionTokenizer):
            return super().describe()
        return f'Tokenizer of thermal cubes with {tokenizer.vocab_size} motion tokens'

    def limits(self) -> str:
        """State that tokens have no names."""
        return 'a token is a pattern of motion in its cube, without a name or a meaning'

    @classmethod
    def exportable(cls, model: BaseModel) -> bool:
        """Support the two tokenizers of MoFM."""
        return isinstance(model, (DVEDTokenizer, KMeansTokenizer))

    @staticmethod
    def graph(model, cubes) -> tuple:
        """Compute tokens and occupied cubes (B, K)."""
        return token_scores(model, cubes).argmax(2), cubes.occupied(model.segments)

    @staticmethod
    def graph_gap(model, cubes, name, found, expected) -> Tensor:
        """Compare tokens by their scores, as two may fit equally well."""
        if name != 'tokens':
            return BaseInferencer.graph_gap(model, cubes, name, found, expected)
        scores = token_scores(model, cubes)
        return (scores.gather(2, expected[..., None]) - scores.gather(2, found[..., None])).abs()


def token_scores(model: MotionTokenizer, cubes: ThermalCubes) -> Tensor:
    """Score every token, (B, S * K, V); the tokenizer picks the best."""
    if isinstance(model, DVEDTokenizer):
        return model.logits(cubes).flatten(2).transpose(1, 2)
    cut = cubes.cut(model.segments)
    views = [cut.union()]
    if model.trace_weight:
        views.append(model.trace_weight * cut.traces())
    parts = torch.cat([model.grid.split(view).flatten(2) for view in views], 2)
    scores = 2 * parts @ model.centers.T - model.centers.square().sum(1)  # nearest is highest
    empty = torch.arange(model.vocab_size, device=scores.device) == 0
    scores = scores.where(cut.occupied()[..., None], empty.to(scores.dtype))  # (B * S, K, V)
    return scores.reshape(-1, model.segments * model.grid.num_cubes, model.vocab_size)
