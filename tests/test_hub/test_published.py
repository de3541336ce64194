"""Published models: loading, and refusal of damaged and hostile files."""

import hashlib
import json
import os
import pickle
import re
import shutil
import sys
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import filter_repo_objects
from mmengine.config import Config
from safetensors.torch import load_file, save, save_file

from mofm.apis.inferencer import MotionInferencer
from mofm.apis.model import init_model
from mofm.apis.pretrained import from_pretrained
from mofm.datasets import SyntheticMotion
from mofm.hub.checkpoint import load_state, load_weights
from mofm.hub.partial_loading import load_partial
from mofm.hub.published import find_published, is_hub_id
from mofm.registry import MODELS
from tests.limited import run_limited

KINDS = ('action', 'one_shot', 'jigsaw', 'anomaly', 'dved', 'kmeans', 'pretrain')


@pytest.fixture
def folder(published, tmp_path):
    """A classifier to damage."""
    return Path(shutil.copytree(published('action'), tmp_path / 'folder'))


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
    """A cache of the hub that holds ``someone/action``, and no network."""
    repository = tmp_path / 'models--someone--action'
    (repository / 'refs').mkdir(parents=True)
    (repository / 'refs/main').write_text('a' * 40)
    shutil.copytree(published('action'), repository / 'snapshots' / ('a' * 40))
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(tmp_path))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)
    return 'someone/action'


def same(a, b):
    """Whether two models have the same weights."""
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(v, b[k]) for k, v in a.items())


def edit(folder, change):
    """Change the config of a folder."""
    path = folder / 'config.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize('kind', KINDS)
def test_published_model_keeps_weights_and_settings(kind, tiny, published):
    cfg, checkpoint = tiny(kind)
    original, loaded = init_model(cfg, checkpoint, 'cpu'), from_pretrained(published(kind))
    assert same(original, loaded)
    assert not loaded.training
    assert loaded.cfg.test_dataloader.dataset.pipeline == json.loads(
        json.dumps(cfg.test_dataloader.dataset.pipeline))
    classes = ['walk', 'wave', 'squat'] if kind == 'action' else None
    assert loaded.dataset_meta.get('classes') == classes
    text = (published(kind) / 'config.json').read_text()
    assert not any(word in text for word in ('.pkl', '.pth', 'init_cfg', 'data/'))


@pytest.mark.parametrize(('kind', 'field'), [('action', 'scores'), ('jigsaw', 'normality'),
                                         ('pretrain', 'tokens')])
def test_published_model_predicts_the_same(kind, field, tiny, published):
    """Of the inferencer, which takes pipeline and metric from the config as well."""
    data = SyntheticMotion(actions=('walk', 'wave'), num_clips=2, num_frames=(20, 30), seed=5)
    clips = [{k: data.get_data_info(i)[k] for k in ('keypoint', 'keypoint_score', 'img_shape')}
             for i in range(2)]
    task = dict(scores='action', normality='anomaly', tokens='tokens')[field]
    results = [MotionInferencer(*source, device='cpu').predict_clips(clips, task)
               for source in (tiny(kind), (published(kind), ))]
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a[field], b[field])
    assert not np.array_equal(results[0][0][field], results[0][1][field])


def test_from_pretrained_gives_backbone_and_tokenizer(tiny, published):
    cfg, checkpoint = tiny('pretrain')
    original = init_model(cfg, checkpoint, 'cpu')
    backbone = from_pretrained(published('pretrain'), 'backbone')
    assert same(backbone, original.backbone)
    assert backbone.cfg.model.type == 'MotionPretrainer'
    teacher = init_model(*tiny('dved'), 'cpu')
    assert same(from_pretrained(published('pretrain'), 'tokenizer'), teacher)
    assert same(from_pretrained(published('dved'), 'tokenizer'), teacher)
    with pytest.raises(ValueError, match='found a MotionRecognizer, which has no tokenizer'):
        from_pretrained(published('action'), 'tokenizer')
    with pytest.raises(ValueError, match="part: found 'head', expected 'model'"):
        from_pretrained(published('action'), 'head')


def test_init_cfg_takes_folder_file_and_hub_id(tiny, published, hub):
    """Of a backbone and of a tokenizer, in a training config."""
    original = init_model(*tiny('action'), 'cpu')
    weights, = published('action').glob('*.safetensors')
    cfg = original.cfg.model.backbone.to_dict()
    for checkpoint in (published('action'), weights, hub):
        backbone = MODELS.build(dict(cfg, init_cfg=dict(
            type='Pretrained', checkpoint=str(checkpoint), prefix='backbone.')))
        backbone.init_weights()
        assert same(backbone, original.backbone)
    teacher = init_model(*tiny('dved'), 'cpu')
    for kind, prefix in (('dved', ''), ('pretrain', 'tokenizer.')):
        tokenizer = MODELS.build(dict(teacher.cfg.model.to_dict(), loss=None, init_cfg=dict(
            type='Pretrained', checkpoint=str(published(kind)), prefix=prefix)))
        tokenizer.init_weights()
        assert same(tokenizer, teacher)


def test_partial_loading_knows_grid_of_published_model(published):
    """The config beside the weights says 36x36 in cubes of 4x4: no source_grid is needed."""
    model = MODELS.build(dict(
        type='MoFMBackbone', num_frames=16, canvas=72, embed_dims=32, depth=1, num_heads=2,
        embed=dict(type='LinearCubeEmbed')))
    report = load_partial(model, published('action'), 'backbone.')
    assert report.resized == dict(pos_embed='9x9 cubes to 18x18, table of 96 rows to 384')
    assert not report.new
    assert not report.unused


def test_hub_cache_needs_no_network(tiny, hub):
    original = init_model(*tiny('action'), 'cpu')
    assert same(from_pretrained(hub), original)
    assert same(init_model(hub, device='cpu'), original)
    assert load_state(hub, 'cls_head.').keys() == original.cls_head.state_dict().keys()
    assert same(from_pretrained(hub, revision='a' * 40), original)


def test_hub_without_network_names_what_was_tried(hub, tmp_path):
    for source, revision in (('someone/else', None), (hub, 'v2')):
        with pytest.raises(FileNotFoundError) as error:
            from_pretrained(source, revision=revision)
        text = str(error.value)
        assert f'tried the cache {tmp_path}' in text
        assert f'tried {constants.ENDPOINT}/{source}: LocalEntryNotFoundError' in text
        option = ' --revision v2' if revision else ''
        assert f'hf download {source}{option} --local-dir FOLDER' in text
    with pytest.raises(FileNotFoundError, match='found neither a local folder nor a model'):
        load_weights(torch.nn.Linear(1, 1), 'someone/else')


def test_hub_downloads_only_needed_files(monkeypatch, published):
    names = ['config.json', 'labels.txt', 'model-0123abcd.safetensors', 'README.md', 'model.py',
             'pytorch_model.bin', 'epoch_1.pth', 'other.safetensors', 'sub/config.py']

    def snapshot_download(repo_id, revision, allow_patterns):
        assert (repo_id, revision) == ('someone/model', 'v1')
        assert list(filter_repo_objects(names, allow_patterns=allow_patterns)) == names[:3]
        return published('action')

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', snapshot_download)
    assert find_published('someone/model', 'v1') == published('action')


@pytest.mark.parametrize(('source', 'expected'), [
    ('user/model', True), ('user/model-v1.0', True), ('/user/model', False), ('user', False),
    ('user/model/x', False), ('work_dirs/epoch_16.pth', False), ('../model', False),
    ('configs/none.py', False), ('user/model-01234567.safetensors', False), ('', False)])
def test_hub_ids_are_told_from_paths(source, expected):
    assert is_hub_id(source) is expected


def test_published_names_missing_sources(tmp_path, folder):
    with pytest.raises(FileNotFoundError, match='configs/none.py: no such config'):
        init_model('configs/none.py')
    with pytest.raises(FileNotFoundError, match='no such model, expected one of the zoo'):
        from_pretrained(tmp_path / 'none')
    (folder / 'config.json').unlink()
    with pytest.raises(FileNotFoundError, match='config.json: no such file'):
        init_model(folder)
    next(folder.glob('*.safetensors')).rename(folder / 'epoch_1.pth')
    with pytest.raises(FileNotFoundError, match=r"found \['README.md', 'epoch_1.pth', "
                       r"'labels.txt'\], expected model-<sha8>.safetensors"):
        load_state(str(folder))


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker), )


def hostile_configs(marker, module):
    """Configs that would touch the marker, or read or write files, if anything ran them."""
    popen = dict(type='subprocess.Popen', args=['touch', marker])

    def model(**changes):
        return lambda c: c['model'].update(changes)

    def pipeline(item):
        return lambda c: c['test_dataloader']['dataset'].update(pipeline=[item])

    yield 'popen', lambda c: c.update(model=popen)
    yield 'nested popen', model(cls_head=popen)
    yield 'popen in a list', model(cls_head=dict(type='ActionClsHead', num_classes=[popen]))
    yield 'popen as transform', pipeline(popen)
    yield 'popen as metric', lambda c: c.update(test_evaluator=[popen])
    yield 'popen as data set', lambda c: c['test_dataloader'].update(dataset=popen)
    yield 'builtin', model(cls_head=dict(type='builtins.exec', source='1'))
    yield 'scope with a module', model(cls_head=dict(type=f'{module}.Head'))
    yield 'scope key', lambda c: c['model'].update(_scope_=module)
    yield 'nested scope key', lambda c: c['model']['backbone'].update(_scope_=module)
    yield 'default scope', lambda c: c.update(default_scope=module)
    yield 'custom imports', lambda c: c.update(custom_imports=dict(imports=[module]))
    yield 'base', lambda c: c.update(_base_=f'{module}.py')
    yield 'base in the model', model(_base_=f'{module}.py')
    yield 'class of mmengine', lambda c: c.update(test_evaluator=dict(
        type='DumpResults', out_file_path=f'{marker}.pkl'))
    yield 'class of mmengine in the model', model(cls_head=dict(type='Linear'))
    yield 'class of another registry', model(cls_head=dict(type='MotionDataset'))
    yield 'type of a list', model(cls_head=dict(type=['ActionClsHead']))
    yield 'type of a number', model(cls_head=dict(type=5))
    yield 'init_cfg', lambda c: c['model']['backbone'].update(
        init_cfg=dict(type='Pretrained', checkpoint=f'{marker}.pth'))
    yield 'url', lambda c: c['model']['backbone'].update(tokens='http://127.0.0.1/x')
    for name in ('class_table', 'mean_params', 'model_path', 'joint_regressor', 'out_dir'):
        yield name, model(cls_head={'type': 'ActionClsHead', name: 'marker'})
    yield 'file of noise', lambda c: c['model']['data_preprocessor'].update(
        noise=dict(params_file='marker'))
    yield 'file of metric', lambda c: c.update(test_evaluator=dict(
        type='FrameAUC', gt=dict(type='annotations', path='x')))
    yield 'file of data', lambda c: c['test_dataloader']['dataset'].update(ann_file='x')
    yield 'meta file', lambda c: c['test_dataloader']['dataset'].update(
        metainfo=dict(classes='labels'))
    yield 'other loader', lambda c: c.update(train_dataloader=dict())
    yield 'hook', lambda c: c.update(custom_hooks=[popen])


@pytest.fixture
def trap(tmp_path, monkeypatch):
    """Marker file, and a module that creates it when it is imported."""
    marker = tmp_path / 'marker'
    code = f'import pathlib; pathlib.Path({str(marker)!r}).touch()\n'
    (tmp_path / 'trap_module').mkdir()
    for name in ('trap_module.py', 'trap_module/__init__.py', 'trap_module/registry.py'):
        (tmp_path / name).write_text(code)
    (tmp_path / 'marker.pth').write_bytes(pickle.dumps(Hostile(str(marker))))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    yield marker
    sys.modules.pop('trap_module', None)


NAMES = [name for name, _ in hostile_configs('', '')]


@pytest.mark.parametrize('index', range(len(NAMES)), ids=NAMES)
def test_published_hostile_config_is_refused(folder, trap, index):
    _, change = list(hostile_configs(str(trap), 'trap_module'))[index]
    edit(folder, change)
    before = sorted(trap.parent.iterdir())
    for load in (from_pretrained, init_model, lambda f: init_model(f / 'config.json')):
        with pytest.raises(ValueError, match=r'config.json: .*found .*, expected'):
            load(folder)
    assert not trap.exists()
    assert sorted(trap.parent.iterdir()) == before
    assert 'trap_module' not in sys.modules


def test_published_traps_fire_in_mmengine(trap):
    """MMEngine itself does run them, so the tests above can fail."""
    MODELS.build(dict(type='subprocess.Popen', args=['touch', str(trap)])).wait()
    assert trap.exists()
    trap.unlink()
    (trap.parent / 'c.json').write_text('{"custom_imports": {"imports": ["trap_module"]}}')
    Config.fromfile(trap.parent / 'c.json')
    assert trap.exists()
    trap.unlink()
    pickle.loads((trap.parent / 'marker.pth').read_bytes())
    assert trap.exists()


def publish_bytes(folder, content):
    """Replace the weights by others whose name has their checksum."""
    next(folder.glob('model-*')).unlink()
    path = folder / f'model-{hashlib.sha256(content).hexdigest()[:8]}.safetensors'
    path.write_bytes(content)
    return path


def test_published_pickle_is_refused(folder, trap):
    publish_bytes(folder, pickle.dumps(dict(state_dict=Hostile(str(trap)))))
    with pytest.raises(ValueError, match='not a readable safetensors file'):
        init_model(folder)
    next(folder.glob('model-*')).unlink()
    (folder / 'pytorch_model.bin').write_bytes(pickle.dumps(Hostile(str(trap))))
    with pytest.raises(FileNotFoundError, match='expected model-<sha8>.safetensors'):
        init_model(folder)
    assert not trap.exists()


def test_published_damaged_weights_are_named(folder):
    path, = folder.glob('*.safetensors')
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    with pytest.raises(ValueError, match=rf'found SHA-256 .*, expected {path.stem[6:]}.* damaged '
                       'or incomplete'):
        init_model(folder)
    flipped = bytearray(content)
    flipped[-5] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(ValueError, match='damaged or incomplete'):
        init_model(folder)
    for damaged in (content[:-1000], content[:50], b'', b'\xff' * 100):
        publish_bytes(folder, damaged)
        with pytest.raises(ValueError, match='not a readable safetensors file'):
            init_model(folder)
    (folder / 'model-00000000.safetensors').write_bytes(content)
    with pytest.raises(ValueError, match='expected one model per folder'):
        init_model(folder)


def test_published_weights_of_another_model_are_refused(folder):
    state = load_file(next(folder.glob('*.safetensors')))
    publish_bytes(folder, save({f'x.{k}': v for k, v in state.items()}))
    with pytest.raises(ValueError, match=r'does not fit MotionRecognizer.*\n.*found nothing'):
        init_model(folder)
    publish_bytes(folder, save({k: v[..., None].contiguous() for k, v in state.items()}))
    with pytest.raises(ValueError, match='does not fit MotionRecognizer'):
        init_model(folder)


@pytest.mark.parametrize(('name', 'value'), [
    ('embed_dims', 10**6), ('embed_dims', 2**15), ('embed_dims', 10**30), ('embed_dims', 1e999),
    ('embed_dims', '32'), ('embed_dims', None), ('embed_dims', [32]), ('embed_dims', -32),
    ('embed_dims', 0), ('depth', 10**6), ('depth', 1.5), ('max_tokens', 10**6),
    ('canvas', 10**6), ('canvas', 4096), ('num_frames', 10**6), ('patch', 0), ('unknown', 1),
    ('tokens', 'x' * 10**4), ('embed', dict(type='ConvCubeEmbed', channels=[10**6, 10**6]))])
def test_published_wrong_numbers_are_refused_without_memory(folder, name, value):
    """No memory is taken that the weights do not take, and no time."""
    edit(folder, lambda c: c['model']['backbone'].update({name: value}))
    with pytest.raises(ValueError, match='folder') as error:
        init_model(folder, device='cpu')
    assert len(str(error.value)) < 1000


@pytest.mark.parametrize(('text', 'words'), [
    ('', 'not JSON'), ('{', 'not JSON'), ('[' * 10**5, 'not JSON'), ('[]', 'a dict with'),
    ('{"model": 1' + '0' * 5000 + '}', 'not JSON'), ('{"default_scope": "mofm"}', 'model'),
    ('{"default_scope": "mofm", "model": {"x": ' + '[' * 100 + ']' * 100 + '}}', 'levels'),
    ('{"default_scope": "mofm", "model": {"x": NaN}}', 'nan'),
    ('{"default_scope": "mofm", "model": {}}', 'cannot be built'),
    ('"' + 'x' * 2**20 + '"', 'bytes, expected at most')])
def test_published_broken_config_is_named(folder, text, words):
    (folder / 'config.json').write_text(text)
    with pytest.raises(ValueError, match=words):
        init_model(folder)
    (folder / 'config.json').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match='expected text in UTF-8'):
        init_model(folder)


@pytest.mark.parametrize(('text', 'words'), [
    ('walk\nwave\n', r'labels.txt: found 2 names, expected 3'),
    ('walk\n\nwave\n', 'empty or unprintable'), ('a\nb\n\x1b[2J\n', 'empty or unprintable'),
    ('x' * 2**21, 'bytes, expected at most')])
def test_published_broken_labels_are_named(folder, text, words):
    (folder / 'labels.txt').write_text(text)
    with pytest.raises(ValueError, match=words):
        init_model(folder)


def test_safetensors_of_any_name_is_loaded(tmp_path, folder):
    """A safetensors file of one's own has no checksum in its name."""
    linear = torch.nn.Linear(2, 3)
    save_file(linear.state_dict(), tmp_path / 'mine.safetensors')
    other = torch.nn.Linear(2, 3)
    load_weights(other, str(tmp_path / 'mine.safetensors'))
    assert same(linear, other)


def test_checkpoint_url_is_not_unpickled(tmp_path, monkeypatch, trap):
    """MMEngine would; the same restrictions as for a file hold."""
    monkeypatch.setattr('mofm.hub.checkpoint._download', lambda url: trap.parent / 'marker.pth')
    with pytest.raises(ValueError, match='not a readable checkpoint'):
        load_weights(torch.nn.Linear(1, 1), 'https://example.com/a.pth')
    assert not trap.exists()


def test_init_model_refuses_json_config(tmp_path):
    """MMEngine would import the modules that a JSON config names."""
    (tmp_path / 'strange_module.py').write_text(f'open({str(tmp_path / "marker")!r}, "w")')
    path = tmp_path / 'mine.json'
    path.write_text('{"custom_imports": {"imports": ["strange_module"]}, "model": {}}')
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        with pytest.raises(ValueError, match='mine.json: expected a .py config'):
            init_model(path)
    assert not (tmp_path / 'marker').exists()


def test_init_model_overrides_python_config_only(tmp_path):
    path = tmp_path / 'mine.py'
    path.write_text("model = dict(type='KeypointFeatures')\n")
    assert init_model(path, cfg_options={'load_from': 2}, device='cpu').cfg.load_from == 2
    with pytest.raises(ValueError, match='cfg_options: found .*, expected a .py config'):
        init_model(tmp_path, cfg_options={'load_from': 2})


def test_published_changed_description_is_named(folder):
    """One digit of a setting, or one letter of a name, which alone would be valid."""
    path = folder / 'labels.txt'
    path.write_text(path.read_text().replace('walk', 'talk'))
    with pytest.raises(ValueError, match=r'labels.txt: content: found SHA-256 .* damaged or was'):
        init_model(folder)
    path.write_bytes('\ufeffwalk\r\nwave\r\nsquat\r\n'.encode())  # of another editor
    assert init_model(folder).dataset_meta['classes'] == ['walk', 'wave', 'squat']
    edit(folder, lambda c: c['model']['data_preprocessor'].update(sigma=.7))
    with pytest.raises(ValueError, match=r'config.json: content: found SHA-256 .*damaged or was'):
        init_model(folder)
    state = load_file(next(folder.glob('*.safetensors')))
    publish_bytes(folder, save(state))  # of version 0.2
    assert init_model(folder).data_preprocessor.sigma == .7


@pytest.mark.parametrize(('text', 'words'), [
    ('walk\nwave\nwalk\n', r"line 3: found 'walk', expected a name other than that of line 1"),
    ('walk\nw\u202eave\nsquat\n', 'line 2: found .* unprintable'),
    ('walk\nw\x00ave\nsquat\n', 'line 2: found .* unprintable'),
    ('walk\nwave\x85squat\nx\n', 'line 2: found .* unprintable'),
    ('\n', 'line 1: found .* unprintable'), ('', 'line 1: found .* unprintable')])
def test_published_odd_labels_are_named(folder, text, words):
    (folder / 'labels.txt').write_text(text, encoding='utf-8')
    with pytest.raises(ValueError, match=f'labels.txt: {words}'):
        init_model(folder)


@pytest.mark.parametrize(('text', 'words'), [
    ('{"default_scope": "mofm", "model": {}, "model": {}}', "'model' twice"),
    ('{"default_scope": "mofm", "model": {"x": -Infinity}}', 'model.x: found -inf'),
    ('{"default_scope": "mofm", "model": {"x": 1' + '0' * 4000 + '}}', 'model.x: found'),
    ('{"default_scope": "mofm", "model": [' + '{},' * 20000 + '{}]}', 'over 10000 values'),
    ('{"default_scope": "mofm", "model": ' + '{"x":' * 900 + '1' + '}' * 901, 'levels')])
def test_published_odd_json_is_named(folder, text, words):
    (folder / 'config.json').write_text(text)
    outcome = run_limited(init_model, folder)
    assert isinstance(outcome.error, ValueError)
    assert re.search(f'config.json: .*{words}', str(outcome.error))


@pytest.mark.parametrize('name', ['config.json', 'labels.txt', 'model'])
@pytest.mark.parametrize('kind', ['link', 'device', 'pipe', 'folder', 'circle', 'nothing'])
def test_published_file_of_another_kind_is_refused(folder, tmp_path, name, kind):
    """Nothing outside of the folder is read, and nothing is waited for."""
    path = next(folder.glob(f'{name}*'))
    content = path.read_bytes()
    path.unlink()
    (tmp_path / 'secret').write_bytes(content)
    target = dict(link=tmp_path / 'secret', device='/dev/zero', circle=path, nothing='none')
    if kind in target:
        path.symlink_to(target[kind])
    else:
        os.mkfifo(path) if kind == 'pipe' else path.mkdir()
    outcome = run_limited(init_model, folder, seconds=5)
    assert isinstance(outcome.error, ValueError)
    assert re.search(f'{path.name}: (link|kind of file): found', str(outcome.error))


def test_published_cache_of_the_hub_links_to_its_blobs(hub, tmp_path):
    snapshot = find_published(hub)
    (snapshot.parents[1] / 'blobs').mkdir()
    for number, path in enumerate(sorted(snapshot.iterdir())):
        blob = snapshot.parents[1] / 'blobs' / str(number)
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, path.parent))
    assert init_model(hub).dataset_meta['classes']


def safetensors(header, data=b''):
    """The bytes of a safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, 'little') + text + data


def entry(dtype, shape, *offsets):
    return dict(dtype=dtype, shape=shape, data_offsets=offsets)


@pytest.mark.parametrize('content', [
    safetensors(dict(a=entry('F32', [1], 0, 4), b=entry('F32', [1], 0, 4)), bytes(4)),
    safetensors(dict(a=entry('F32', [1], 0, 4), b=entry('F32', [2], 2, 10)), bytes(10)),
    safetensors(dict(a=entry('F32', [1], 4, 8)), bytes(8)),
    safetensors(dict(a=entry('F32', [1], 4, 0)), bytes(8)),
    safetensors(dict(a=entry('F32', [-1], 0, 4)), bytes(4)),
    safetensors(dict(a=entry('F32', [2**62, 8], 0, 4)), bytes(4)),
    safetensors(dict(a=entry('F32', [2**63, 0], 0, 0))),
    safetensors(dict(a=entry('F32', [10**30], 0, 4)), bytes(4)),
    safetensors(dict(a=entry('X', [1], 0, 4)), bytes(4)),
    safetensors(dict(a=dict(entry('F32', [1], 0, 4), more=1), b=1), bytes(4)),
    safetensors(b'{"a":' + b'[' * 10**6), safetensors(b'[]'), safetensors(b'\xff' * 64),
    (2**63).to_bytes(8, 'little'), (2**64 - 1).to_bytes(8, 'little') + bytes(8),
    safetensors(b'{' + b' ' * 2**24 + b'}')], ids=map(str, range(16)))
def test_published_tricks_of_safetensors_are_refused(folder, content):
    publish_bytes(folder, content)
    outcome = run_limited(init_model, folder, memory=2**28, seconds=10)
    assert isinstance(outcome.error, ValueError)
    assert re.search('safetensors: (not a readable|.* expected)', str(outcome.error))


@pytest.mark.parametrize('dtype', [
    torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.int32, torch.bool])
def test_published_weights_of_an_odd_type_are_named(folder, dtype):
    state = load_file(next(folder.glob('*.safetensors')))
    state['cls_head.fc.bias'] = torch.zeros(3).to(dtype)
    publish_bytes(folder, save(state))
    with pytest.raises(ValueError, match=r"(?s)folder.*cls_head.fc.bias'?: found .*, expected"):
        init_model(folder)


def test_published_huge_shape_without_elements_is_refused(folder):
    state = load_file(next(folder.glob('*.safetensors')))
    state['cls_head.fc.bias'] = torch.zeros(2**40, 0)
    publish_bytes(folder, save(state))
    with pytest.raises(ValueError, match=r'cls_head.fc.bias: found \(1099511627776, 0\)'):
        init_model(folder)
