"""ViCLIP by its formulas, its tokenizer by hand, and released files, on random weights."""

import gzip
import json
import runpy
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mofm.annotations import AnnotationError, dump_annotations
from mofm.datasets import MotionDataset
from projects.tmor.language.clip_tokenizer import VOCABULARY, CLIPTokenizer
from projects.tmor.language.encoders import encode_clips, load_encoder
from projects.tmor.language.tables import FeatureTable
from projects.tmor.language.viclip import TextEncoder, ViCLIP, VideoEncoder

TOOLS = Path(__file__).resolve().parents[3] / 'projects/tmor/tools'
MERGES = ['w a', 'l k</w>', 'wa lk</w>', "' s</w>", 'j u']
TOKENS = 512 + len(MERGES) + 2
START, END = TOKENS - 2, TOKENS - 1
SIZES = dict(width=128, depth=2, patch=4, grid=2, num_frames=3, out_channels=6)
TEXT_SIZES = dict(width=64, depth=2, length=7, num_tokens=TOKENS, out_channels=6)


def inside(letter):
    """Return the token of a letter that others follow."""
    return ord(letter) - ord('!')


def final(letter):
    """Return the token of the last letter of a word."""
    return 256 + inside(letter)


@pytest.fixture(scope='module')
def state():
    """Random weights by released name."""
    generator = torch.Generator().manual_seed(0)
    encoders = torch.nn.ModuleDict(dict(vision_encoder=VideoEncoder(**SIZES),
                                        text_encoder=TextEncoder(**TEXT_SIZES)))
    found = {name: torch.randn(value.shape, generator=generator) * .3
             for name, value in encoders.state_dict().items()}
    return dict(found, temp=torch.tensor(.01))


@pytest.fixture
def released(tmp_path, state):
    """Write weights and vocabulary as released; returns the path of the weights."""
    pytest.importorskip('tokenizers')
    torch.save(dict(model=state, args=Namespace(epochs=1)), tmp_path / 'viclip.pth')
    (tmp_path / VOCABULARY).write_bytes(gzip.compress('\n'.join(
        ['#version: 0.2', *MERGES, 'never used']).encode()))
    return tmp_path / 'viclip.pth'


# ----------------------------------------------------------------------------------- formulas
def norm(x, weights, name):
    mean, var = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (x - mean) / np.sqrt(var + 1e-5) * weights[f'{name}.weight'] + weights[f'{name}.bias']


def linear(x, weights, name, bias='bias'):
    return x @ weights[f'{name}weight'].T + weights[f'{name}{bias}']


def transformer(x, weights, name, depth, causal):
    """Compute blocks of one sequence (N, C), head by head."""
    for i in range(depth):
        block = f'{name}.transformer.resblocks.{i}'
        qkv = linear(norm(x, weights, f'{block}.ln_1'), weights, f'{block}.attn.in_proj_')
        heads = []
        for q, k, v in zip(*(np.split(part, part.shape[1] // 64, 1)
                             for part in np.split(qkv, 3, 1)), strict=True):
            scores = q @ k.T / 8
            if causal:
                scores[np.triu_indices(len(x), 1)] = -np.inf
            scores = np.exp(scores - scores.max(1, keepdims=True))
            heads.append(scores / scores.sum(1, keepdims=True) @ v)
        x = x + linear(np.concatenate(heads, 1), weights, f'{block}.attn.out_proj.')
        y = linear(norm(x, weights, f'{block}.ln_2'), weights, f'{block}.mlp.c_fc.')
        x = x + linear(y / (1 + np.exp(-1.702 * y)), weights, f'{block}.mlp.c_proj.')
    return x


def formula_video(clip, weights):
    """Encode a clip (T, 3, H, W), patch by patch."""
    prefix, patch = 'vision_encoder', SIZES['patch']
    kernel = weights[f'{prefix}.conv1.weight'][:, :, 0]  # (C, 3, P, P)
    places = weights[f'{prefix}.positional_embedding']
    rows = [weights[f'{prefix}.class_embedding'] + places[0]]
    for t, frame in enumerate(clip):
        for i in range(SIZES['grid']**2):
            top, left = (patch * place for place in divmod(i, SIZES['grid']))
            piece = frame[:, top:top + patch, left:left + patch]
            rows.append((kernel * piece).sum((1, 2, 3)) + places[1 + i]
                        + weights[f'{prefix}.temporal_positional_embedding'][0, t])
    x = norm(np.array(rows), weights, f'{prefix}.ln_pre')
    x = transformer(x, weights, prefix, SIZES['depth'], False)[0]
    return norm(x, weights, f'{prefix}.ln_post') @ weights[f'{prefix}.proj']


def formula_text(tokens, weights):
    """Encode the tokens of one text."""
    prefix = 'text_encoder'
    x = weights[f'{prefix}.token_embedding.weight'][tokens] + weights[
        f'{prefix}.positional_embedding'][:len(tokens)]  # what follows the end is not seen
    x = transformer(x, weights, prefix, TEXT_SIZES['depth'], True)[-1]
    return norm(x, weights, f'{prefix}.ln_final') @ weights[f'{prefix}.text_projection']


def test_viclip_equals_formula(released, state):
    weights = {name: value.double().numpy() for name, value in state.items()}
    model = load_encoder('viclip', weights=released, device='cpu')
    clips = torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(
        model.encode_vision(clips, test=True),
        [formula_video(clip, weights) for clip in clips.double().numpy()], atol=2e-4)
    texts = [[START, 514, 514, END], [START, inside('j'), final('u'), END]]
    np.testing.assert_allclose(model.encode_text(['Walk  walk', 'ju']),
                               [formula_text(tokens, weights) for tokens in texts], atol=2e-4)


def test_viclip_has_published_parameter_counts():
    """Those of CLIP, with 32 instead of 77 text positions and 8 temporal ones."""
    with torch.device('meta'):
        small = (VideoEncoder(768, 12, 16, 14, 8, 512), TextEncoder(512, 12, 32, 49408, 512))
        large = (VideoEncoder(1024, 24, 14, 16, 8, 768), TextEncoder(768, 12, 32, 49408, 768))
    for encoders, clip, width, video_width in ((small, 149_620_737, 512, 768),
                                               (large, 427_616_513, 768, 1024)):
        count = sum(p.numel() for encoder in encoders for p in encoder.parameters())
        assert count + 1 == clip - 45 * width + 8 * video_width  # and the temperature


# ---------------------------------------------------------------------------------- tokenizer
def test_tokenizer_merges_by_rank_and_cleans_texts(released):
    tokenizer = CLIPTokenizer(released.with_name(VOCABULARY), TOKENS)
    found = tokenizer(['WALK', 'walks', 'he\u2019s &amp;amp; 12', '', 'a b c d e f g'], 7)
    assert found.tolist() == [
        [START, 514, END, 0, 0, 0, 0],
        [START, 512, inside('l'), inside('k'), final('s'), END, 0],
        [START, inside('h'), final('e'), 515, final('&'), final('1'), END],  # shortened
        [START, END, 0, 0, 0, 0, 0],
        [START, *map(final, 'abcde'), END]]


@pytest.mark.parametrize(('content', 'expected'), [
    (None, f'the vocabulary of CLIP, {VOCABULARY}: beside the weights'),
    (b'#version', 'found .*expected a gzip file'),
    ('#version\nw a\nl', 'pairs: found 1, expected 5 lines of two symbols'),
    ('#version' + '\nwalk walk' * 5, 'expected pairs of earlier symbols')])
def test_tokenizer_refuses_other_files(tmp_path, content, expected):
    pytest.importorskip('tokenizers')
    if isinstance(content, str):
        content = gzip.compress(content.encode())
    if content is not None:
        (tmp_path / VOCABULARY).write_bytes(content)
    with pytest.raises(AnnotationError, match=expected):
        CLIPTokenizer(tmp_path / VOCABULARY, TOKENS)


# ------------------------------------------------------------------------------ released files
def test_viclip_reads_all_released_layouts(released, state, tmp_path):
    clips = list(np.random.default_rng(0).normal(size=(2, 3, 3, 8, 8)).astype(np.float32))
    expected = encode_clips(ViCLIP(released, device='cpu'), clips)
    torch.save({f'module.{name}': value for name, value in state.items()}, tmp_path / 'a.pth')
    torch.save(dict(module={name: value for name, value in state.items() if name != 'temp'}),
               tmp_path / 'b.pth')
    save_file(state, tmp_path / 'c.safetensors')
    for name in ('a.pth', 'b.pth', 'c.safetensors'):
        found = encode_clips(ViCLIP(tmp_path / name, device='cpu'), clips)
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(np.linalg.norm(expected, axis=1), 1, rtol=1e-5)


def _change(name, value):
    def change(state):
        if value is None:
            del state[name]
        else:
            state[name] = value
    return change


@pytest.mark.parametrize(('change', 'expected'), [
    (_change('vision_encoder.ln_pre.bias', None), '1 missing ones .*vision_encoder.ln_pre.bias'),
    (_change('head.weight', torch.zeros(1)), r"1 unknown parameters \['head.weight'\]"),
    (_change('vision_encoder.conv1.weight', None), r'conv1.weight: found nothing, expected'),
    (_change('text_encoder.ln_final.bias', torch.zeros(9)),
     r'ln_final.bias: found shape \(9,\), expected \(64,\)'),
    (_change('vision_encoder.positional_embedding', torch.zeros(4, 128)),
     r'positional_embedding: found shape \(4, 128\), expected \(2, 128\)'),
    (_change('text_encoder.ln_final.bias', torch.full((64, ), torch.nan)), 'NaN or infinite'),
    (_change('text_encoder.token_embedding.weight', torch.zeros(9, 65)),
     'text_encoder: found width 65, expected a multiple of 64')])
def test_viclip_refuses_other_weights(tmp_path, state, change, expected):
    state = dict(state)
    change(state)
    torch.save(dict(model=state), tmp_path / 'viclip.pth')
    with pytest.raises(ValueError, match=rf'viclip\.pth: .*{expected}'):
        ViCLIP(tmp_path / 'viclip.pth')


def test_viclip_names_missing_files_and_options():
    with pytest.raises(ValueError, match="options of the encoder viclip: .*'weights'"):
        load_encoder('viclip')
    with pytest.raises(FileNotFoundError, match='a/b: no such file; expected weights of ViCLIP'):
        load_encoder('viclip', weights='a/b')


def test_viclip_refuses_other_clips(released):
    with pytest.raises(ValueError, match=r'found shape \(1, 8, 3, 9, 9\), .*--num-frames 3 '
                       '--size 8'):
        encode_clips(ViCLIP(released, device='cpu'), [np.zeros((8, 3, 9, 9), np.float32)])


def test_tools_make_tables_and_triplets_by_viclip(released, tmp_path):
    """The commands of the README, from a path of weights."""
    def run(name, *arguments):
        runpy.run_path(str(TOOLS / f'{name}.py'))['main'](list(map(str, arguments)))

    texts = dict(walk='a walk', jump='ju')
    (tmp_path / 'texts.json').write_text(json.dumps(texts))
    for i, name in enumerate(texts):
        (tmp_path / 'videos' / name).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / f'videos/{name}/0.png'), np.full((8, 8, 3), 99 * i, np.uint8))
    dump_annotations(dict(split={}, annotations=[dict(
        frame_dir=name, label=0, img_shape=(8, 8), total_frames=1,
        keypoint=np.ones((1, 1, 17, 2), np.float32),
        keypoint_score=np.ones((1, 1, 17), np.float32)) for name in texts]), tmp_path / 'p.pkl')
    options = [f'weights={released}', 'device=cpu']
    encoder = ['--encoder', 'viclip', '--encoder-options', *options]
    size = ['--num-frames', 3, '--size', 8]
    run('text_features', tmp_path / 'texts.json', tmp_path / 'txt.npz', *encoder)
    run('video_features', tmp_path / 'videos', tmp_path / 'vis.npz', '--annotations',
        tmp_path / 'p.pkl', *encoder, *size)
    run('build_triplets', tmp_path / 'p.pkl', tmp_path / 'texts.json', tmp_path / 'set.arrow',
        '--videos', tmp_path / 'videos', '--video-encoder', 'viclip', '--video-encoder-options',
        *options, '--text-encoder', 'viclip', '--text-encoder-options', *options, *size,
        '--max-similarity', 1)
    text, video, own_text, own_video = (FeatureTable.load(tmp_path / f'{name}.npz') for name in (
        'txt', 'vis', 'set_txt', 'set_vis'))
    rows = ViCLIP(released, device='cpu').encode_text(list(texts.values()))
    np.testing.assert_allclose(text.features, torch.nn.functional.normalize(rows), atol=1e-3)
    np.testing.assert_array_equal(own_text.lookup(list(texts)), text.features)
    np.testing.assert_array_equal(own_video.lookup(list(texts)), video.features)
    assert video.features.shape == (2, 6)
    assert len(MotionDataset(str(tmp_path / 'set.arrow'))) == 2
