"""Model zoo: published models that travel with the package, by name.

Each is a folder of ``mofm publish --zoo NAME`` beside this file, and an entry of ``index.json``.
It loads without network, and importing this module loads neither torch nor MMEngine.
"""

import json
import warnings
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

FOLDER = Path(__file__).parent
#: The model of ``mofm demo``.
DEFAULT = 'mofm-tiny-everyday'
#: The model of its motion tokens.
TOKENIZER = 'mofm-tiny'


@dataclass(frozen=True)
class ZooModel:
    """Entry of the index.

    Attributes:
        task (str): Task that the model was trained for, as the inferencer calls it, or the name of
            its class.
        data (str): Training data.
        data_license (str): License of the data, which also limits the use of the weights.
        metrics (dict[str, float]): Results of the test; the first is the main one.
        command (str): Command that computes them.
        config (str): Name of the config of the training.
        size (int): Bytes of the weights.
        sha256 (str): Hash of the weights file.
    """

    task: str
    data: str
    data_license: str
    metrics: dict[str, float]
    command: str
    config: str
    size: int
    sha256: str


def read_index() -> dict[str, ZooModel]:
    """Read the models of the zoo by name."""
    content = json.loads((FOLDER / 'index.json').read_text(encoding='utf-8'))
    return {name: ZooModel(**entry) for name, entry in sorted(content.items())}


def write_entry(name: str, model: ZooModel):
    """Add a model to the index, or replace it."""
    models = {**read_index(), name: model}
    content = {name: asdict(model) for name, model in sorted(models.items())}
    (FOLDER / 'index.json').write_text(json.dumps(content, indent=2) + '\n', encoding='utf-8')


def list_models(pattern: str = '*', task: str | None = None) -> list[str]:
    """List the names of the models of the zoo.

    Args:
        pattern (str): Wildcards that the whole name matches, e.g. ``'*penn*'``.
        task (str, optional): Only models trained for this task, e.g. 'action'.
    """
    return [name for name, model in read_index().items()
            if fnmatchcase(name, pattern) and task in (None, model.task)]


def find_model(source: str | Path) -> Path | None:
    """Return the folder of a model of the zoo, None for other names.

    Args:
        source (str or Path): Name; a ``Path`` is always a path. A warning says if a file or folder
            of the name is not used.
    """
    if not isinstance(source, str) or source not in read_index():
        return None
    if Path(source).exists():
        warnings.warn(f'{source}: found a model of the zoo and a path of this name, using the '
                      f'model; for the path write ./{source}', stacklevel=1)
    return FOLDER / source


def suggest(source: str | Path) -> str:
    """Return the end of a message about an unknown name: near names of the zoo, if there are."""
    near = get_close_matches(str(source), list_models())
    return f'; near models of the zoo: {", ".join(near)}' if near else ''
