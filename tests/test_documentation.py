"""Examples of the documentation work as they are written, and files that it names exist."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from mofm.annotations import load_annotations, validate
from mofm.apis import MotionInferencer
from mofm.registry import INFERENCERS, MODELS, SOURCES
from mofm.sources.prepare import prepare
from mofm.structures import MotionFeatures
from mofm.utils.config import load_config

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for pattern in ('*.md', 'docs/*.md', 'projects/*/*.md', 'benchmarks/*.md',
                                    'configs/**/*.md')
               for path in ROOT.glob(pattern) if path.name != 'CHANGELOG.md')
EXAMPLES = dict(re.findall(r'^```python title="(.+?)"\n(.+?)^```',
                           (ROOT / 'CONTRIBUTING.md').read_text(), re.MULTILINE | re.DOTALL))


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Import an example as the module that its title names, until the end of the test."""
    for registry in (INFERENCERS, MODELS, SOURCES):
        monkeypatch.setattr(registry, '_module_dict', dict(registry.module_dict))

    def load(title):
        path = tmp_path / Path(title).name
        path.write_text(EXAMPLES[title])
        name = title.removesuffix('.py').replace('/', '.')
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)

    return load


def test_example_source_is_prepared_into_labels_and_splits(example, tmp_path):
    example('mofm/sources/data_sets/csv_poses.py')
    poses = tmp_path / 'poses'
    poses.mkdir()
    for name, frames in (('walk_1', 5), ('wave_2', 3)):
        np.savetxt(poses / f'{name}.csv', np.full((frames, 34), 20.), delimiter=',')
    (poses / 'wave_3.csv').write_text('1,2,3')

    report = prepare(SOURCES.get('csv_poses')(poses), tmp_path / 'poses.pkl', workers=1)

    data = load_annotations(tmp_path / 'poses.pkl')
    assert data['split'] == dict(train=['walk_1'], test=['wave_2'])
    assert [(a['label'], a['total_frames']) for a in data['annotations']] == [(0, 5), (1, 3)]
    assert len(report.problems) == 1
    assert 'wave_3.csv' in str(report.problems[0])


@pytest.fixture
def example_config(tmp_path):
    """Load an example of a config."""

    def load(title):
        path = tmp_path / Path(title).name
        base = re.search("_base_ = '(.+)'", EXAMPLES[title])[1]
        path.write_text(EXAMPLES[title].replace(base, str((ROOT / title).with_name(base))))
        return load_config(path)

    return load


def test_example_head_is_the_cosine_to_the_class_vectors(example, example_config):
    example('mofm/models/heads/cosine_head.py')
    model = example_config('configs/dt1_penn_cosine_tiny.py').model
    head = MODELS.build(model.cls_head).eval()
    features = MotionFeatures(tokens=None, pooled=torch.rand(4, 128), encoded=None)

    scores = head(features)
    head.loss(features, torch.tensor([0, 1, 2, 3]))['loss_cls'].backward()

    cosine = F.cosine_similarity(features.pooled[:, None], head.fc.weight, dim=-1)
    torch.testing.assert_close(scores, 10 * cosine)
    assert head.fc.weight.grad.abs().sum() > 0


def test_example_data_set_reaches_every_loader_and_the_head(example_config):
    config = example_config('configs/dt1_csv_poses_tiny.py')

    for loader, split in (('train', 'train'), ('val', 'test'), ('test', 'test')):
        dataset = config[f'{loader}_dataloader'].dataset
        assert (dataset.ann_file, dataset.num_classes) == ('data/csv_poses.pkl', 2)
        assert dataset.split == split
    assert MODELS.build(config.model.cls_head).fc.out_features == 2


def test_example_size_changes_backbone_and_head(example_config):
    config = example_config('configs/mofm/pretrain_small.py')
    backbone, head = MODELS.build(config.model.backbone), MODELS.build(config.model.head)

    assert len(backbone.blocks) == 8
    assert backbone.pos_embed.shape[-1] == 256
    assert {parameter.shape[-1] for parameter in head.parameters() if parameter.ndim == 2} == {256}


def test_example_task_gives_the_entropy_of_the_action_scores(example, tiny):
    example('mofm/apis/inferencers/uncertainty.py')
    clip = np.random.default_rng(0).uniform(0, 99, (40, 17, 3)).astype(np.float32)
    inferencer = MotionInferencer(*tiny('action'), device='cpu')

    scores = inferencer(clip, 'action', window=20)[0].scores
    result, = inferencer(clip, 'uncertainty', window=20)

    assert inferencer.tasks[0] == 'action'
    np.testing.assert_allclose(result.entropy, scipy.stats.entropy(scores, axis=1), rtol=1e-5)
    assert [row['entropy'] for row in result.rows()] == result.entropy.tolist()


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_files_named_by_a_page_exist(page):
    folders = 'benchmarks|configs|docs|examples|mofm|projects|tests|tools'
    names = re.findall(rf'(?<![\w/.])(?:{folders})/[\w/.-]+\.(?:ipynb|json|md|png|py|sh)\b',
                       page.read_text())

    assert not [name for name in sorted({*names} - {*EXAMPLES, 'configs/mine.py'})
                if not (ROOT / name).exists() and not (page.parent / name).exists()]


def test_example_of_annotations_is_written_to_a_valid_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('data').mkdir()
    code, = (block for block in re.findall(r'^```python\n(.+?)^```',
                                           (ROOT / 'docs/data.md').read_text(), re.M | re.S)
             if 'dump_annotations' in block)

    exec(code, {})

    data = load_annotations('data/mine.pkl')
    assert validate(data['annotations'][0]) is None
    assert data['metainfo']['classes'][data['annotations'][0]['label']] == 'wave'


def test_readme_counts_the_readers():
    readers = [source for source in SOURCES.module_dict.values()
               if source.__module__.startswith('mofm.sources')]
    assert f'`mofm prepare` has {len(readers)} readers' in (ROOT / 'README.md').read_text()
