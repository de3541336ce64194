"""One learning rate cycle whose state can be read back safely."""

from mmengine.optim.scheduler import OneCycleLR as _OneCycleLR

from mofm.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class OneCycleLR(_OneCycleLR):
    """MMEngine's ``OneCycleLR`` with numbers only in its state.

    The original saves a function with it, which no checkpoint that is loaded with
    ``weights_only=True`` may hold.
    """

    def state_dict(self) -> dict:
        """State without the annealing function, which the constructor sets."""
        return {k: v for k, v in super().state_dict().items() if not callable(v)}
