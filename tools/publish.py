"""Publish a checkpoint: ``python tools/publish.py CONFIG CHECKPOINT --out FOLDER``.

Writes weights (safetensors), config, class names and a model card, see docs/models.md.
"""

import argparse
import ast
import hashlib
import json
from pathlib import Path

from huggingface_hub import ModelCardData
from mmengine.config import Config, DictAction
from mmengine.model import BaseModule
from safetensors.torch import save

import mofm
from mofm.apis.inferencer import MotionInferencer
from mofm.apis.model import init_model
from mofm.hub.checkpoint import load_local
from mofm.hub.published import DATASET_KEYS, METRIC_KEYS, check_config
from mofm.models import (
    ActionClsHead,
    AnomalyClsHead,
    JigsawDetector,
    MotionPretrainer,
    MotionTokenizer,
    OneShotHead,
)
from mofm.registry import METRICS, MODELS
from mofm.utils.config import load_config

# What training adds to a checkpoint.
TRAINING = ('optimizer', 'param_schedulers', 'message_hub', 'ema_state_dict')
CARD = """---
{front}
---

# {name}

{task}. A model of [MoFM](https://arxiv.org/abs/2502.05432).

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


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('config', help='config the checkpoint was trained with')
    parser.add_argument('checkpoint', help='what tools/train.py wrote')
    parser.add_argument('--out', required=True, type=Path, metavar='FOLDER',
                        help='new folder for the published model')
    parser.add_argument('--name', help='title of the model card [name of the config]')
    parser.add_argument('--metrics', nargs='+', default=[], type=Path, metavar='FILE.json',
                        help='results that tools/test.py wrote, WORK_DIR/TIME/TIME.json')
    parser.add_argument('--license', metavar='NAME',
                        help='license of the weights, e.g. apache-2.0')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings of the config')
    return parser.parse_args()


def without_training(cfg):
    """Settings of a model without losses and without the files that it started from."""
    if isinstance(cfg, dict):
        return {k: without_training(v) for k, v in cfg.items() if k not in ('init_cfg', 'loss')}
    return [without_training(v) for v in cfg] if isinstance(cfg, (list, tuple)) else cfg


def describe(cfg: Config) -> dict:
    """What ``config.json`` holds: the model and how its inputs are made, no file names."""
    cfg = cfg.to_dict()
    dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
    metrics = cfg.get('test_evaluator') or []
    metrics = [metrics] if isinstance(metrics, dict) else metrics
    METRICS.import_from_location()
    content = dict(
        default_scope='mofm',
        model=without_training(cfg['model']),
        test_dataloader=dict(dataset={k: dataset[k] for k in DATASET_KEYS if k in dataset}),
        test_evaluator=[{k: metric[k] for k in METRIC_KEYS if k in metric} for metric in metrics
                        if metric['type'] in METRICS.module_dict])
    return json.loads(json.dumps(content))  # tuples become lists here, not at the first reader


def read_dump(text: str) -> dict:
    """Settings of a config that MMEngine has dumped, read as data; nothing if they are more."""

    def value(node):
        if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'dict':
            return {item.arg: value(item.value) for item in node.keywords}
        if isinstance(node, (ast.List, ast.Tuple)):
            return [value(item) for item in node.elts]
        return ast.literal_eval(node)

    try:
        return {node.targets[0].id: value(node.value) for node in ast.parse(text).body}
    except (AttributeError, SyntaxError, ValueError):
        return {}


def short(path: str) -> str:
    """A path that tells nothing about the machine."""
    return f'`{"/".join(Path(path).parts[-2:]) if Path(path).is_absolute() else path}`'


def read_metrics(files) -> list:
    """Rows (metric, value, data, origin) of results of ``tools/test.py``."""
    rows = []
    for file in files:
        try:
            table = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise SystemExit(f'{file}: cannot be read ({error}), expected a file '
                             'WORK_DIR/TIME/TIME.json that tools/test.py wrote') from None
        found = [(k, v) for k, v in table.items()
                 if isinstance(v, (int, float)) and k not in ('time', 'data_time')] \
            if isinstance(table, dict) else []
        if not found:
            raise SystemExit(f'{file}: found no metric, expected a file WORK_DIR/TIME/TIME.json '
                             'that tools/test.py wrote')
        data, origin = 'not stated', f'`{file.name}`'
        config = file.parent / 'vis_data/config.py'
        cfg = read_dump(config.read_text()) if config.is_file() else {}
        if cfg.get('load_from'):
            data = data_of(cfg['test_dataloader']['dataset'])
            origin += f', test of {short(cfg["load_from"])}'
        rows += [(name, value, data, origin) for name, value in found]
    return rows


def task_of(model, checkpoint: str) -> tuple:
    """Sentence about the task, and the task of the inferencer."""
    head = getattr(model, 'cls_head', None)
    if isinstance(model, MotionTokenizer):
        return f'Tokenizer of thermal cubes with {model.vocab_size} motion tokens', 'tokens'
    if isinstance(model, MotionPretrainer):
        return ('Backbone pre-trained on masked motion tokens, with the head and the tokenizer of '
                'the pre-training'), 'features'
    if isinstance(model, JigsawDetector):
        return 'Anomaly detection without labels, by a token jigsaw (DT3)', 'anomaly'
    if isinstance(head, AnomalyClsHead):
        return 'Anomaly detection with labels (DT4)', 'anomaly'
    if isinstance(head, ActionClsHead):
        classes = model.cfg.model.cls_head.num_classes
        return f'Action classification, {classes} classes (DT1)', 'action'
    if isinstance(head, OneShotHead):
        return 'One-shot action recognition (DT2)', 'one_shot'
    try:  # of a project
        inference = MotionInferencer(model.cfg, checkpoint, 'cpu').tasks[0]
    except ValueError:  # a pre-training has no test
        inference = 'features'
    head = head or getattr(model, 'head', None)
    return f'{type(model).__name__} with {type(head).__name__}', inference


def data_of(dataset: dict) -> str:
    """Files and splits of a data set."""
    if 'datasets' in dataset:
        return '; '.join(data_of(d) for d in dataset['datasets'])
    split = f', split {dataset["split"]}' if dataset.get('split') else ''
    labels = f', labels {dataset["classes"]}' if dataset.get('classes') else ''
    return f'{short(dataset.get("ann_file", dataset["type"]))}{split}{labels}'


def commands(model, args, weights: str, inference: str) -> dict:
    """How to use, test and go on from the published model."""
    grid = grid_of(model)
    tiny = '_tiny' if grid and grid.canvas < 72 else ''
    gallery = "inferencer.gallery.add('wave', 'exemplar.pkl')  # one or more of each class\n"
    part = dict(tokens=", part='tokenizer'", features=", part='backbone'").get(inference, '')
    test, config = f'python tools/test.py {args.config} FOLDER/{weights}', args.config
    if isinstance(model, MotionPretrainer):
        config = f'configs/dt1_{"penn_tiny" if tiny else "ntu60"}.py'
        test += ''.join(f' \\\n    {word}' for word in (
            '--cfg-options', 'model.tokenizer.init_cfg.checkpoint=FOLDER',
            'model.tokenizer.init_cfg.prefix=tokenizer.'))
    training = 'Fine-tune its backbone:'
    train = [f'python tools/train.py {config} --cfg-options',
             'model.backbone.init_cfg.type=Pretrained',
             'model.backbone.init_cfg.checkpoint=FOLDER',
             'model.backbone.init_cfg.prefix=backbone.']
    if isinstance(model, MotionTokenizer):
        training = 'As the teacher of a pre-training:'
        train = [f'python tools/train.py configs/mofm/pretrain{tiny}.py --cfg-options',
                 'model.tokenizer.init_cfg.checkpoint=FOLDER']
    return dict(
        python='from mofm.apis import MotionInferencer, from_pretrained\n'
               + ''.join(f'import {name}  # its classes\n' for name in args.imports) + '\n'
               "inferencer = MotionInferencer('FOLDER')\n"
               f'{gallery if inference == "one_shot" else ""}'
               f"results = inferencer('clips.pkl', task='{inference}')\n"
               f"model = from_pretrained('FOLDER'{part})  # an nn.Module",
        test=test, training=training, train=' \\\n    '.join(train))


def grid_of(model):
    """Geometry of the clips of a model, None for one that reads coordinates."""
    return getattr(model if isinstance(model, MotionTokenizer) else model.backbone, 'grid', None)


def write_card(args, model, state: dict, weights: Path, content: dict, rows: list, task: str,
               inference: str) -> str:
    """Text of the model card; what is not known is said to be so."""
    meta = content.get('meta', {})
    cfg = read_dump(meta['cfg']) if 'cfg' in meta else {}
    data = (cfg.get('train_dataloader') or {}).get('dataset')
    start = (cfg.get('model', {}).get('backbone', {}).get('init_cfg') or {}).get('checkpoint')
    names = args.out / 'labels.txt'
    grid = grid_of(model)
    facts = {
        'model': ', '.join(type(m).__name__ for m in (model, *model.children())
                           if isinstance(m, BaseModule)),
        'input': f'17 COCO key points, {grid.num_frames} frames, canvas {grid.canvas}x'
                 f'{grid.canvas}, cubes of {grid.patch}x{grid.patch}' if grid else
                 'coordinates of 17 key points',
        'classes': names.exists() and
                   f'`labels.txt`, {len(names.read_text(encoding="utf-8").splitlines())} names',
        'parameters': f'{sum(v.numel() for v in state.values()):,}',
        'weights': f'`{weights.name}`, {weights.stat().st_size:,} bytes, SHA-256 '
                   f'`{hashlib.sha256(weights.read_bytes()).hexdigest()}`'
                   + (', averaged over the training (EMA)' if 'ema_state_dict' in content else ''),
        'trained on': data and data_of(data),
        'started from': start and short(start),
        'training': 'epoch' in meta and f'epoch {meta["epoch"]}, iteration {meta["iter"]}, seed '
                    f'{meta["seed"]}, saved {meta["time"][:4]}-{meta["time"][4:6]}-'
                    f'{meta["time"][6:8]}',
        'MoFM': mofm.__version__,
        'license': args.license,
    }
    missing = {
        'license': 'License: ask the publisher before you use the weights.',
        'metrics': 'Metrics: no results were given.',
        'trained on': 'Training data: the checkpoint does not name them.',
        'training': 'Length and seed of the training: the checkpoint does not hold them.',
        'classes': 'Class names: the checkpoint does not hold them; labels are numbers.',
    }
    stated = {k for k, v in dict(facts, metrics=rows).items() if v}
    stated |= {'classes'} if inference not in ('action', 'detect') else set()
    front = ModelCardData(
        license=args.license, library_name='mofm', model_name=args.name,
        tags=['human-motion', 'skeleton', 'keypoints', inference.replace('_', '-')])
    table = ['| metric | value | data | from |', '|---|---|---|---|'] + [
        f'| {name} | {value:.4f} | {data} | {origin} |' for name, value, data, origin in rows]
    return CARD.format(
        front=front.to_yaml(), name=args.name, task=task, weights=weights.name,
        facts='\n'.join(f'| {k} | {v} |' for k, v in facts.items() if v),
        metrics='\n'.join(table) if rows else 'No results were given.',
        missing='\n## Not stated\n\n' * (not missing.keys() <= stated) + ''.join(
            f'- {v}\n' for k, v in missing.items() if k not in stated),
        **commands(model, args, weights.name, inference))


def main():
    """Publish."""
    args = parse_args()
    try:
        cfg = load_config(args.config, args.cfg_options)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from None
    rows = read_metrics(args.metrics)
    args.name = args.name or Path(args.config).stem
    imports = cfg.get('custom_imports', {}).get('imports', ())
    args.imports = [name for name in imports if not name.startswith('mofm')]
    content = load_local(args.checkpoint, map_location='cpu')
    described = describe(cfg)
    check_config(described, args.config)
    # EMAHook has put the averaged weights into state_dict
    model = init_model(Config(described), args.checkpoint, device='cpu')
    state = model.state_dict()
    if isinstance(model, MotionPretrainer):  # its teacher is in no checkpoint
        teacher = MODELS.build(cfg.model.tokenizer)
        teacher.init_weights()
        state.update({f'tokenizer.{k}': v for k, v in teacher.state_dict().items()})
    blob = save({k: v.contiguous() for k, v in state.items()}, metadata=dict(format='pt'))
    weights = args.out / f'model-{hashlib.sha256(blob).hexdigest()[:8]}.safetensors'
    others = [path.name for path in args.out.glob('*') if path.name != weights.name
              and path.suffix == '.safetensors']
    if others:
        raise SystemExit(f'--out: found {others} in {args.out}, expected a new folder')
    args.out.mkdir(parents=True, exist_ok=True)
    weights.write_bytes(blob)
    (args.out / 'config.json').write_text(json.dumps(described, indent=2) + '\n')
    labels = model.dataset_meta.get('classes')
    task, inference = task_of(model, args.checkpoint)
    if labels and (isinstance(getattr(model, 'cls_head', None), ActionClsHead)
                   or inference == 'detect'):
        (args.out / 'labels.txt').write_text('\n'.join(labels) + '\n', encoding='utf-8')
    (args.out / 'README.md').write_text(
        write_card(args, model, state, weights, content, rows, task, inference),
        encoding='utf-8')
    init_model(args.out, device='cpu')  # what was written can be read
    before, after = (Path(p).stat().st_size / 2**20 for p in (args.checkpoint, weights))
    left = [name for name in TRAINING if name in content]
    print(f'{args.checkpoint} {before:.1f} MiB -> {weights} {after:.1f} MiB, '
          f'without {", ".join(left) or "anything left out"}')


if __name__ == '__main__':
    main()
