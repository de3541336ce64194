"""One-cycle learning rate whose state loads safely."""

from mmengine.optim.scheduler import OneCycleLR as _OneCycleLR

from mofm.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class OneCycleLR(_OneCycleLR):
    """MMEngine's ``OneCycleLR`` with only numbers in its state.

    The state of the original contains a function, which ``weights_only=True`` refuses to load.
    """

    def state_dict(self) -> dict:
        """Return the state without the annealing function, which the constructor sets."""
        return {k: v for k, v in super().state_dict().items() if not callable(v)}
