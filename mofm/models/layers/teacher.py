"""Frozen module next to a model."""

from torch import nn

from mofm.registry import MODELS


class TeacherMixin:
    """Mixin with a frozen module that is not a submodule, but follows ``.to(device)``.

    The module is in no optimizer, checkpoint or DDP bucket.
    """

    def build_teacher(self, cfg: dict):
        """Build the module; call after the constructor of :class:`torch.nn.Module`."""
        self._teacher = [MODELS.build(cfg).requires_grad_(False).eval()]  # hidden by the list

    @property
    def teacher(self) -> nn.Module:
        """The frozen module."""
        return self._teacher[0]

    def _apply(self, fn, *args, **kwargs):
        # .to() and its like have no public hook
        self.teacher._apply(fn, *args, **kwargs)  # noqa: SLF001
        return super()._apply(fn, *args, **kwargs)
