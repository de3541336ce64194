"""Loading of published models, or of their parts."""
from pathlib import Path

from mmengine.model import BaseModel

from mofm.hub.published import find_published
from mofm.models import MotionTokenizer

from .model import init_model


def from_pretrained(path_or_hub_id: str | Path, part: str = 'model',
                    device: str | None = None, revision: str | None = None) -> BaseModel:
    """Load a model of the zoo, or another that ``mofm publish`` wrote.

    Loading runs no code of the folder: weights are safetensors, and the config is data.

    Args:
        path_or_hub_id (str or Path): Name in :func:`mofm.apis.list_models`, folder, or ID
            ``user/model`` on the Hugging Face hub. Cached models need no network.
        part (str): ``'model'``, its ``'backbone'``, or the ``'tokenizer'``, which may be the
            model itself. Defaults to ``'model'``.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        revision (str, optional): Branch, tag or commit on the hub.

    Returns:
        BaseModel: In evaluation mode, with the attributes ``cfg`` and ``dataset_meta`` of
        :func:`init_model`, those of the whole model.

    Raises:
        FileNotFoundError: If the folder does not exist, and the hub lacks the model or cannot be
            reached.
        ValueError: If a file in it is damaged or hostile, or the model lacks the part.
    """
    if part not in ('model', 'backbone', 'tokenizer'):
        raise ValueError(f"part: found {part!r}, expected 'model', 'backbone' or 'tokenizer'")
    model = init_model(find_published(path_or_hub_id, revision), device=device)
    if part == 'model' or part == 'tokenizer' and isinstance(model, MotionTokenizer):
        return model
    found = getattr(model, part, None)
    if found is None:
        raise ValueError(f'{path_or_hub_id}: found a {type(model).__name__}, which has no {part}')
    found.cfg, found.dataset_meta = model.cfg, model.dataset_meta
    return found
