"""ONNX export: the graph equals the model."""

import shutil
import sys
from functools import lru_cache
from types import SimpleNamespace

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose

from mofm.apis.export import evaluate_onnx, export_onnx, quantize_onnx, to_inputs
from mofm.apis.graph import ExportableModel, GraphRenderer
from mofm.apis.inferencers.tokens import TokensInferencer
from mofm.apis.model import init_model
from mofm.apis.row_embed import RowEmbed
from mofm.datasets import SyntheticMotion, motion_collate
from mofm.evaluation.functional import roc_auc
from mofm.models import MotionDataPreprocessor
from mofm.models.backbones import ConvCubeEmbed
from mofm.registry import DATASETS
from mofm.structures import CubeGrid
from mofm.version import __version__

GRID = dict(num_frames=16, canvas=36, patch=4)
SAMPLE, PACK = dict(type='UniformSampleFrames', clip_len=16, test_mode=True), dict(
    type='PackMotionInputs')
COMPACT, FORMAT = dict(type='PoseCompact'), dict(type='ThermalCubeFormat', **GRID)
MIRROR = dict(type='PoseMirror')
RENDER = dict(type='MotionDataPreprocessor', **GRID)
BACKBONE = dict(type='MoFMBackbone', **GRID, embed_dims=32, depth=1, num_heads=2, max_tokens=82)
LINEAR, CONV = dict(type='LinearCubeEmbed'), dict(type='ConvCubeEmbed', channels=(8, 16))
OCCUPIED = dict(BACKBONE, embed=LINEAR, tokens='occupied')
MODELS = dict(
    action=dict(type='MotionRecognizer', backbone=OCCUPIED,
                cls_head=dict(type='ActionClsHead', num_classes=3, in_channels=32)),
    aligned=dict(type='MotionRecognizer',
                 backbone=dict(OCCUPIED, depth=2, align=dict(blocks=(1, 2), parts=2)),
                 cls_head=dict(type='ActionClsHead', num_classes=3, in_channels=17 * 2 * 64)),
    segments=dict(type='MotionRecognizer',
                  backbone=dict(OCCUPIED, segments=2, align=dict(parts=2)),
                  cls_head=dict(type='ActionClsHead', num_classes=3, in_channels=17 * 2 * 32)),
    anomaly=dict(type='MotionRecognizer', backbone=dict(BACKBONE, embed=LINEAR),
                 cls_head=dict(type='AnomalyClsHead', in_channels=32, probe_norm=True)),
    one_shot=dict(type='MotionRecognizer', backbone=dict(OCCUPIED, embed=CONV, with_cls=True),
                  cls_head=dict(type='OneShotHead', in_channels=32, out_channels=16)),
    cubes=dict(type='MotionRecognizer', backbone=dict(BACKBONE, embed=CONV),
               cls_head=dict(type='ActionClsHead', num_classes=3, in_channels=32)),
    jigsaw=dict(type='JigsawDetector', backbone=OCCUPIED,
                head=dict(type='JigsawHead', in_channels=32, canvas=36, grid=(3, 3))),
    dved=dict(type='DVEDTokenizer', **GRID, vocab_size=64, code_dim=8, hidden=8, num_blocks=1),
    kmeans=dict(type='KMeansTokenizer', **GRID, vocab_size=32, trace_weight=0.5))
FIELDS = dict(action=['pred_score'], aligned=['pred_score'], segments=['pred_score'],
              anomaly=['normality'], one_shot=['embedding'],
              cubes=['pred_score'], jigsaw=['normality'], dved=['tokens', 'occupied'],
              kmeans=['tokens', 'occupied'])


def build(name, pipeline=(SAMPLE, COMPACT, FORMAT, PACK), **model):
    torch.manual_seed(0)
    model = init_model(Config(dict(
        model=dict(MODELS[name], data_preprocessor=RENDER, **model),
        test_dataloader=dict(dataset=dict(pipeline=list(pipeline))))), device='cpu')
    for parameter in model.parameters():  # so that the clips get different results
        torch.nn.init.normal_(parameter, std=0.3)
    if name == 'kmeans':  # centers as training finds them, not far from every cube
        cubes = model.describe(ordinary(model, clips(8))[0])
        model.centers.data[1:] = cubes[torch.randperm(len(cubes))[:31]]
    model.dataset_meta = dict(classes=['walk', 'wave', 'squat'])
    return model


@lru_cache
def synthetic(count, seed):
    return list(SyntheticMotion(count, seed=seed, num_frames=(16, 16)))


def clips(count, persons=2, seed=0):
    """Synthetic people with missing joints on images of many sizes."""
    rng = np.random.default_rng(seed)
    people, out = synthetic(count * persons, seed), []
    for i in range(count):
        group = people[i * persons:(i + 1) * persons]
        scale = rng.uniform(0.2, 1)
        clip = {key: np.concatenate([p[key] for p in group])
                for key in ('keypoint', 'keypoint_score')}
        clip['keypoint'] = (clip['keypoint'] * scale).astype(np.float32)
        clip['keypoint_score'][rng.random(clip['keypoint_score'].shape) < 0.2] = 0
        clip['img_shape'] = tuple(int(s * scale) for s in group[0]['img_shape'])
        out.append(clip)
    return out


def without(clip, persons):
    """The clip with the last persons missing."""
    score = clip['keypoint_score'].copy()
    score[len(score) - persons:] = 0
    return dict(clip, keypoint_score=score)


def ordinary(model, batch):
    """Thermal cubes, and the results of a test."""
    pipeline = Compose(model.cfg.test_dataloader.dataset.pipeline)
    data = model.data_preprocessor(motion_collate([pipeline(dict(clip)) for clip in batch]))
    with torch.no_grad():
        return data['inputs'], model(**data, mode='predict')


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    """Function from a name in MODELS to the model and its ONNX file, made once."""
    folder, done = tmp_path_factory.mktemp('onnx'), {}

    def get(name):
        if name not in done:
            model, path = build(name), folder / f'{name}.onnx'
            done[name] = model, path, export_onnx(model, path)
        return done[name]

    return get


def batches():
    """Any batch, any number of persons, missing persons, a clip with nobody."""
    return (clips(1, persons=1, seed=1), clips(3, persons=3, seed=2),
            [*clips(2), without(clips(1)[0], 1), without(clips(1)[0], 2)],
            [without(clips(1)[0], 2)])


def assert_ordinary(name, model, batch, results):
    """Results of a graph are those of a test."""
    samples = ordinary(model, batch)[1]
    for field, result in zip(FIELDS[name], results, strict=True):
        expected = np.stack([sample.get(field).numpy() for sample in samples])
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-4)
        if len(batch) > 1:
            assert np.ptp(result.astype(float), axis=0).max() > 1e-3  # clips are told apart


@pytest.mark.parametrize('name', MODELS)
def test_export_graph_equals_model(name):
    model = build(name)
    graph = ExportableModel(model)
    for batch in batches():
        results = graph(*map(torch.from_numpy, to_inputs(batch).values()))
        assert_ordinary(name, model, batch, [result.detach().numpy() for result in results])


def test_export_graph_has_tokens_of_every_segment():
    model = build('kmeans', segments=2)
    batch = clips(4, seed=3)
    tokens, occupied = ExportableModel(model)(*map(torch.from_numpy, to_inputs(batch).values()))
    cubes, samples = ordinary(model, batch)
    expected = torch.stack([sample.tokens for sample in samples])
    assert tokens.shape == (4, 2 * 81)
    assert torch.equal(occupied, torch.stack([sample.occupied for sample in samples]))
    assert (tokens == expected).float().mean() > 0.99
    # two may fit equally well
    assert TokensInferencer.graph_gap(model, cubes, 'tokens', tokens, expected).max() < 1e-4


@pytest.mark.parametrize(('patch', 'strides'), [
    (4, ((4, 1, 1), (3, 2, 2))), (4, ((2, 1, 2),)), (3, ((5, 2, 1), (1, 1, 1))),
    (1, ((2, 1, 1), (2, 2, 2)))])
def test_row_embedding_equals_convolutions(patch, strides):
    torch.manual_seed(0)
    grid = CubeGrid(13, 12, patch)
    embed = ConvCubeEmbed(5, grid, 32, (8, 16)[:len(strides)], strides)
    for parameter in embed.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    cubes = torch.rand(7, 5, 13, patch, patch)
    torch.testing.assert_close(RowEmbed(embed, grid)(cubes), embed(cubes), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', ['aligned', 'anomaly', 'one_shot'])
def test_export_graph_averages_mirror_images_as_the_head(name):
    model = build(name, (SAMPLE, COMPACT, MIRROR, FORMAT, PACK))
    plain = ExportableModel(build(name))
    graph = ExportableModel(model)
    for batch in batches():
        inputs = [torch.from_numpy(value) for value in to_inputs(batch).values()]
        found = [result.detach().numpy() for result in graph(*inputs)]
        assert_ordinary(name, model, batch, found)
        if len(batch) > 1:  # one may have scores of 0 and 1
            assert np.abs(found[0] - plain(*inputs)[0].detach().numpy()).max() > 1e-3


@pytest.mark.parametrize('name', [
    'jigsaw', 'dved', *(pytest.param(name, marks=pytest.mark.slow)
                        for name in ('anomaly', 'one_shot', 'cubes'))])
def test_export_onnx_equals_pytorch(exported, name):
    model, path, difference = exported(name)
    assert max(difference.values()) <= 1e-4
    session = onnxruntime.InferenceSession(path)
    for batch in batches():
        assert_ordinary(name, model, batch, session.run(None, to_inputs(batch)))


def weights(path):
    """Bytes of the weights of a file, without the convolutions of cubes, which stay float."""
    return sum(len(tensor.raw_data) for tensor in onnx.load(path).graph.initializer
               if '.embed.blocks.' not in tensor.name)


@pytest.mark.parametrize('name', [
    'jigsaw', 'dved', *(pytest.param(name, marks=pytest.mark.slow)
                        for name in ('anomaly', 'one_shot', 'kmeans'))])
def test_quantized_file_is_smaller_and_agrees(exported, tmp_path, name):
    path, quantized = exported(name)[1], tmp_path / 'int8.onnx'
    quantize_onnx(path, quantized)
    assert [file.name for file in tmp_path.iterdir()] == ['int8.onnx']
    kinds = {node.op_type for node in onnx.load(quantized).graph.node}
    assert kinds & {'MatMulInteger', 'ConvInteger'}
    assert ('Conv' in kinds) <= (name == 'dved')  # those of cubes are products
    # of a model this small most bytes describe the graph
    assert weights(quantized) < 0.7 * weights(path)
    inputs = to_inputs(clips(8))
    expected, found = (onnxruntime.InferenceSession(file).run(None, inputs)
                       for file in (path, quantized))
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.9
    float_meta, meta = (onnx.load(file).metadata_props for file in (path, quantized))
    assert {(m.key, m.value) for m in float_meta} <= {(m.key, m.value) for m in meta}


@pytest.mark.parametrize('name', [
    'jigsaw', 'dved', pytest.param('one_shot', marks=pytest.mark.slow)])
def test_export_onnx_file_has_no_inferred_shapes(exported, name):
    path = exported(name)[1]
    model = onnx.load(path)
    assert not model.graph.value_info
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)


def test_evaluation_of_files_has_metrics_of_a_test(exported, tmp_path):
    """The second file is of a model that always says normal."""
    model, path, _ = exported('jigsaw')
    constant = onnx.load(path)
    constant.graph.node.append(onnx.helper.make_node('Mul', ['raw', 'zero'], ['normality']))
    constant.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(0), 'zero'))
    for node in constant.graph.node[:-1]:
        node.output[:] = ['raw' if name == 'normality' else name for name in node.output]
    onnx.save(constant, tmp_path / 'constant.onnx')
    model.cfg.test_dataloader.dataset.update(
        type='SyntheticMotion', num_clips=12, num_frames=(16, 20), test_mode=True)
    model.cfg.test_evaluator = dict(type='ClipAUC', normal_labels=(0, 1, 2))
    dataset = DATASETS.build(model.cfg.test_dataloader.dataset)
    data = motion_collate([dataset[i] for i in range(12)])
    with torch.no_grad():
        samples = model(**model.data_preprocessor(data), mode='predict')
    normal = np.array([int(s.gt_label) in (0, 1, 2) for s in samples])
    scores = np.array([s.normality.item() for s in samples])

    found, other = evaluate_onnx(model, path, tmp_path / 'constant.onnx')

    assert 0 < normal.sum() < 12
    assert found['metrics'] == {
        'anomaly/clip_auc': pytest.approx(roc_auc(normal, scores))}
    assert other['metrics'] == {'anomaly/clip_auc': 0.5}
    assert found['size'] == path.stat().st_size
    assert found['latency'] > 0
    assert found['equal'] is None


def test_export_onnx_file_describes_itself(exported):
    model = onnx.load(exported('dved')[1])
    onnx.checker.check_model(model)
    shapes = {tensor.name: [axis.dim_param or axis.dim_value
                            for axis in tensor.type.tensor_type.shape.dim]
              for tensor in (*model.graph.input, *model.graph.output)}
    assert shapes == dict(keypoints=['batch', 'persons', 17, 16, 3], img_shape=['batch', 2],
                          tokens=['batch', 81], occupied=['batch', 81])
    meta = {entry.key: entry.value for entry in model.metadata_props}
    assert meta == dict(task='tokens', num_joints='17', num_frames='16', canvas='36', patch='4',
                        sigma='0.6', mofm_version=__version__)


PIPELINES = {
    'whole image': [FORMAT],
    'box': [COMPACT, FORMAT],
    'free ratio': [dict(COMPACT, hw_ratio=None, padding=0.1), FORMAT],
    'range of ratios in the image': [
        dict(COMPACT, hw_ratio=(0.8, 1.5), allow_imgpad=False), FORMAT],
    'large threshold': [dict(COMPACT, threshold=200), FORMAT],
    'mirror images': [COMPACT, MIRROR, FORMAT],
    'mirror images of the whole image': [MIRROR, FORMAT],
    'rendered by the loader': [
        COMPACT, dict(FORMAT, render='loader', sigma=0.8, use_score=True)]}


@pytest.mark.parametrize('steps', PIPELINES.values(), ids=PIPELINES)
def test_export_heat_equals_transforms(steps):
    """Pixel by pixel: one rounding more and the edge of a support or of a box moves."""
    model = build('action', [SAMPLE, *steps, PACK])
    images = 1 + (MIRROR in steps)  # of a clip
    batch = [*clips(16, persons=3), *(without(clip, 3) for clip in clips(1, persons=3))]
    batch[0]['keypoint'][0, :, 3] = np.nan
    batch[1]['keypoint_score'][1, :, 4] = np.inf
    inputs = [torch.from_numpy(value) for value in to_inputs(batch).values()]
    render = GraphRenderer(model.cfg.test_dataloader.dataset.pipeline, model.data_preprocessor)
    found, expected = render(*inputs), ordinary(model, batch)[0]
    assert len(expected.occupied()) == images * len(batch)
    assert expected.occupied()[:-images].any(1).all()
    assert not expected.occupied()[-images:].any()
    torch.testing.assert_close(found.volume(), expected.volume(), rtol=0, atol=1e-6)
    assert torch.equal(found.occupied(), expected.occupied())
    torch.testing.assert_close(found.cubes(), expected.cubes(), rtol=0, atol=1e-6)
    for segments in (1, 2):
        torch.testing.assert_close(found.shares(4, segments), expected.shares(4, segments),
                                   rtol=0, atol=1e-5)


def test_export_score_weighs_the_heat():
    model = build('dved')
    pipeline = model.cfg.test_dataloader.dataset.pipeline
    model.data_preprocessor = MotionDataPreprocessor(**GRID, use_score=True)
    batch = clips(4)
    found = GraphRenderer(pipeline, model.data_preprocessor)(
        *map(torch.from_numpy, to_inputs(batch).values()))
    torch.testing.assert_close(found.volume(), ordinary(model, batch)[0].volume())
    plain = GraphRenderer(pipeline, MotionDataPreprocessor(**GRID))(
        *map(torch.from_numpy, to_inputs(batch).values()))
    assert (found.volume() < plain.volume()).any()


@pytest.mark.parametrize('route', ['export', 'compile'])
def test_export_graph_has_no_break(route):
    """No branch depends on the data; the number of occupied cubes is a size of the graph."""
    model = build('jigsaw', head=dict(MODELS['jigsaw']['head'], ignore_empty=False))
    graph = ExportableModel(model)
    function = torch.export.export(
        graph, graph.example_inputs(), dynamic_shapes=graph.dynamic_shapes).module() \
        if route == 'export' else torch.compile(graph, backend='eager', fullgraph=True)
    for count in (1, 3):
        batch = clips(count)
        with torch._dynamo.config.patch(capture_scalar_outputs=True,  # noqa: SLF001
                                        capture_dynamic_output_shape_ops=True):
            found, = function(*map(torch.from_numpy, to_inputs(batch).values()))
        expected = torch.stack([s.normality for s in ordinary(model, batch)[1]])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_export_refuses_graph_that_differs(exported, tmp_path, monkeypatch):
    """The exporter makes the file of a model with other weights."""
    path = exported('jigsaw')[1]
    program = SimpleNamespace(
        model=SimpleNamespace(metadata_props={}, graph=SimpleNamespace(initializers={})),
        save=lambda file, external_data: shutil.copy(path, file))
    monkeypatch.setattr(torch.onnx, 'export', lambda *args, **kwargs: program)
    model = build('jigsaw')
    export_onnx(model, tmp_path / 'same.onnx')
    for wrong in (1, torch.nan):
        model.head.fc.bias.data[0] += wrong
        with pytest.raises(RuntimeError, match='found a difference of .* at most 0.0001'):
            export_onnx(model, tmp_path / 'model.onnx')
    assert [file.name for file in tmp_path.iterdir()] == ['same.onnx']


def test_export_names_models_without_graph(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match='found UniformSampleFrames, PoseFlip, Thermal.*expected'):
        ExportableModel(build('action', [SAMPLE, dict(type='PoseFlip'), FORMAT, PACK]))
    with pytest.raises(ValueError, match='num_clips of UniformSampleFrames: found 2'):
        ExportableModel(build('action', [dict(SAMPLE, num_clips=2), FORMAT, PACK]))
    with pytest.raises(ValueError, match='test_dataloader.dataset.pipeline: found none'):
        ExportableModel(build('action', []))
    baseline = init_model(Config(dict(model=dict(
        type='MotionRecognizer', backbone=dict(type='KeypointFeatures'),
        cls_head=dict(type='OneShotHead', out_channels=None)))), device='cpu')
    with pytest.raises(ValueError, match='found MotionRecognizer with KeypointFeatures'):
        ExportableModel(baseline)
    pretrainer = init_model(Config(dict(model=dict(
        type='MotionPretrainer', backbone=BACKBONE, tokenizer=MODELS['dved'],
        head=dict(type='MaskedTokenHead', vocab_size=64, in_channels=32)))), device='cpu')
    with pytest.raises(ValueError, match='found MotionPretrainer .*, which has no graph'):
        ExportableModel(pretrainer)
    monkeypatch.setitem(sys.modules, 'onnxscript', None)
    with pytest.raises(ImportError, match=r"pip install -e '\.\[export\]'"):
        export_onnx(build('action'), tmp_path / 'model.onnx')
