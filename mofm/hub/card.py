"""Model cards in Markdown, which state what is unknown."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mofm.utils.config import read_dump

from .zoo import read_index

CARD = """---
{front}
---

# {name}

{description}. A model of [MoFM](https://arxiv.org/abs/2502.05432).

| | |
|---|---|
{facts}

## Metrics

{metrics}

## Use

With `FOLDER` the path of this folder, or the id of its repository on the Hugging Face hub:

```python
{python}
```

Test, with the data that the config names; `{weights}` is in `FOLDER`:

```bash
{test}
```

{training}

```bash
{train}
```

Weights are safetensors and the config is data; loading them runs no code of this folder.
{missing}"""

_MISSING = {
    'license': 'License: ask the publisher before you use the weights.',
    'metrics': 'Metrics: no results are given.',
    'trained on': 'Training data: not in the checkpoint.',
    'training': 'Length and seed of the training: not in the checkpoint.',
    'classes': 'Class names: not in the checkpoint; labels are numbers.',
}


class MetricRow(NamedTuple):
    """Result of a test: name, value, data and origin."""

    name: str
    value: float
    data: str
    origin: str


@dataclass
class ModelCard:
    """Content of a model card.

    Args:
        name (str): Title.
        description (str): Task of the model, a phrase.
        weights (str): Name of the weights file.
        facts (dict[str, str]): Rows of the first table; empty ones are skipped, and 'license',
            'trained on', 'training' and 'classes' are listed as not stated.
        python, test, train (str): Code to use, test and fine-tune the model.
        training (str): Sentence before ``train``.
        tags (Sequence[str]): Tags on the hub.
        license (str, optional): License of the weights.
        metrics (Sequence[MetricRow]): Results of tests.
        has_classes (bool): Whether the model should have class names. Defaults to False.
    """

    name: str
    description: str
    weights: str
    facts: dict[str, str]
    python: str
    test: str
    training: str
    train: str
    tags: Sequence[str]
    license: str | None = None
    metrics: Sequence[MetricRow] = field(default_factory=list)
    has_classes: bool = False

    def __str__(self) -> str:
        """Return the text of the ``README.md``."""
        from huggingface_hub import ModelCardData  # heavy

        front = ModelCardData(license=self.license, library_name='mofm', model_name=self.name,
                              tags=['human-motion', 'skeleton', 'keypoints', *self.tags])
        table = ['| metric | value | data | from |', '|---|---|---|---|'] + [
            f'| {row.name} | {row.value:.4f} | {row.data} | {row.origin} |'
            for row in self.metrics]
        known: dict[str, Any] = dict(self.facts, license=self.license, metrics=self.metrics)
        if not self.has_classes:
            known['classes'] = True
        facts = '\n'.join(f'| {name} | {text} |' for name, text in self.facts.items() if text)
        missing = [f'- {text}\n' for name, text in _MISSING.items() if not known.get(name)]
        return CARD.format(
            front=front.to_yaml(), name=self.name, description=self.description,
            weights=self.weights, python=self.python, test=self.test, training=self.training,
            train=self.train, facts=facts,
            metrics='\n'.join(table) if self.metrics else 'No results are given.',
            missing=''.join(['\n## Not stated\n\n', *missing] if missing else []))


def short_path(path: str) -> str:
    """Strip the details of the machine from a path."""
    return f'`{"/".join(Path(path).parts[-2:]) if Path(path).is_absolute() else path}`'


def describe_data(dataset: dict) -> str:
    """Describe files and splits of a data set."""
    if 'datasets' in dataset:
        return '; '.join(map(describe_data, dataset['datasets']))
    split = f', split {dataset["split"]}' if dataset.get('split') else ''
    labels = f', labels {dataset["classes"]}' if dataset.get('classes') else ''
    return f'{short_path(dataset.get("ann_file", dataset["type"]))}{split}{labels}'


def trained_on(source: str, checkpoint: str | None, cfg: dict) -> str:
    """Describe the training of a model in a phrase, as far as it is known.

    Args:
        source (str): Name in the zoo, published folder or hub ID, or config.
        checkpoint (str, optional): Weights, if ``source`` is a config.
        cfg (dict): Config of the model.
    """
    entry = read_index().get(checkpoint or source)
    if entry is not None:
        from mofm.evaluation.measures import read_metrics as read_measures  # heavy

        return ', '.join([f'{entry.data} (license of the data: {entry.data_license})', *(
            f'{reading.measure.name} {reading.text} {reading.measure.unit}'.rstrip()
            + ' in its test' for reading in read_measures(entry.metrics, {})[:1])])
    if not cfg.get('train_dataloader'):  # published
        return 'not stated here; see its model card'
    return describe_data(cfg['train_dataloader']['dataset']) if checkpoint else \
        'nothing, its weights are random; name those of a training with --checkpoint'


def read_metrics(file: Path) -> list[MetricRow]:
    """Read results written by ``tools/test.py``.

    Raises:
        ValueError: If the file has no results.
    """
    expected = 'expected a file WORK_DIR/TIME/TIME.json of tools/test.py'
    try:
        table = json.loads(file.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f'{file}: cannot be read ({error}), {expected}') from None
    found = [(k, v) for k, v in table.items()
             if isinstance(v, (int, float)) and k not in ('time', 'data_time')] \
        if isinstance(table, dict) else []
    if not found:
        raise ValueError(f'{file}: found no metric, {expected}')
    data, origin = 'not stated', f'`{file.name}`'
    config = file.parent / 'vis_data/config.py'
    cfg = read_dump(config.read_text(encoding='utf-8')) if config.is_file() else {}
    if cfg.get('load_from'):
        data = describe_data(cfg['test_dataloader']['dataset'])
        origin += f', test of {short_path(cfg["load_from"])}'
    return [MetricRow(name, value, data, origin) for name, value in found]
