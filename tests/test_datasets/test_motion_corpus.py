"""Corpora of several annotation files, on the disk and at URLs."""

import functools
import http.server
import json
import re
import threading
from collections import Counter

import fsspec
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mofm.annotations import (
    AnnotationError,
    UnreadableError,
    dump_annotations,
    load_annotations,
    read_manifest,
    write_manifest,
)
from mofm.datasets import (
    MixtureSampler,
    MotionCorpus,
    MotionDataset,
    TrackWindowDataset,
    motion_corpus,
)
from tests.test_tools.tool_runner import here

SIZES = (5, 3, 8)


def write_shard(path, start, count, classes=('a', 'b', 'c')):
    """Write clips whose numbers are in their names and in the first coordinate."""
    clips = [dict(frame_dir=f'clip{i}', label=i % 3, img_shape=(100, 200), total_frames=4,
                  keypoint=np.full((1, 4, 17, 2), 20 + i, np.float16),
                  keypoint_score=np.ones((1, 4, 17), np.float16))
             for i in range(start, start + count)]
    split = dict(train=[clip['frame_dir'] for clip in clips])
    dump_annotations(dict(split=split, annotations=clips, metainfo=dict(classes=list(classes))),
                     path)


@pytest.fixture
def corpus(tmp_path):
    """Manifest of three shards, the second of which is drawn four times as often."""
    names = ['parts/0.arrow', 'parts/1.pkl', 'parts/2.arrow']
    for i, name in enumerate(names):
        write_shard(tmp_path / name, sum(SIZES[:i]), SIZES[i])
    weights = {str(tmp_path / name): weight for name, weight in zip(names, (1, 4, 1), strict=True)}
    assert write_manifest(tmp_path / 'corpus.json', weights) == 16
    return tmp_path / 'corpus.json'


@pytest.fixture
def server(tmp_path):
    """A server of the files of the folder; returns its URL."""
    pytest.importorskip('aiohttp', reason='http:// needs the extra remote')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *args: None
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as one:
        thread = threading.Thread(target=one.serve_forever, args=(.02, ))
        thread.start()
        yield f'http://127.0.0.1:{one.server_port}'
        one.shutdown()
        thread.join()


@pytest.fixture
def bucket(monkeypatch):
    """A local server of the S3 protocol with an empty bucket; returns its URL."""
    pytest.importorskip('s3fs', reason='s3:// needs the extra remote')
    moto = pytest.importorskip('moto.server', reason='needs moto[server]')
    one = moto.ThreadedMotoServer('127.0.0.1', 0, verbose=False)
    one.start()
    monkeypatch.setenv('AWS_ENDPOINT_URL', f'http://127.0.0.1:{one._server.server_port}')
    for name in ('AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY'):
        monkeypatch.setenv(name, 'test')
    fsspec.get_filesystem_class('s3').clear_instance_cache()  # of another server
    name = f'motion-{one._server.server_port}'  # all servers of a process share their buckets
    fsspec.filesystem('s3').mkdir(name)
    yield f's3://{name}/corpora'
    one.stop()


@pytest.fixture
def memory():
    """A folder in the memory of this process; returns its URL."""
    yield 'memory://corpora'
    fsspec.filesystem('memory').rm('/corpora', recursive=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Folder of local copies."""
    monkeypatch.setenv('MOFM_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


def names(dataset):
    return [dataset[i]['frame_dir'] for i in range(len(dataset))]


def upload(folder, url):
    """Copy the files of a folder to a URL."""
    system, path = fsspec.core.url_to_fs(url)
    for file in folder.rglob('*.*'):
        system.pipe_file(f'{path}/{file.relative_to(folder)}', file.read_bytes())


def test_manifest_round_trip_keeps_files_clips_and_weights(corpus, tmp_path):
    shards = read_manifest(corpus)
    assert [shard.path for shard in shards] == [
        str(tmp_path / f'parts/{name}') for name in ('0.arrow', '1.pkl', '2.arrow')]
    assert [shard.clips for shard in shards] == [*SIZES]
    assert [shard.weight for shard in shards] == [1, 4, 1]


@pytest.mark.parametrize(('text', 'words'), [
    ('{', 'file: found JSONDecodeError'),
    ('[' * 10**5, 'file: found'),
    ('[]', r'shards: found \[\], expected a list'),
    ('{"shards": []}', 'shards: found'),
    ('{"shards": ["a.arrow"]}', r'shards\[0\]: found str'),
    ('{"shards": [{"file": "a.arrow", "size": 3}]}', r'shards\[0\]: found dict'),
    ('{"shards": [{"file": "../a.arrow"}]}', r'shards\[0\]\.file: found .*below its folder'),
    ('{"shards": [{"file": "a/../../a.arrow"}]}', r'shards\[0\]\.file: found'),
    ('{"shards": [{"file": "/etc/a.arrow"}]}', r'shards\[0\]\.file: found'),
    ('{"shards": [{"file": "C:\\\\a.arrow"}]}', r'shards\[0\]\.file: found'),
    ('{"shards": [{"file": "http://127.0.0.1/a.arrow"}]}', r'shards\[0\]\.file: found'),
    ('{"shards": [{"file": 3}]}', r'shards\[0\]\.file: found 3'),
    ('{"shards": [{"file": "a.arrow"}, {"file": "a.arrow"}]}', 'shards: found a file twice'),
    ('{"shards": [{"file": "a.arrow", "clips": 0}]}', r'shards\[0\]\.clips: found 0'),
    ('{"shards": [{"file": "a.arrow", "clips": true}]}', r'shards\[0\]\.clips: found True'),
    ('{"shards": [{"file": "a.arrow", "weight": 0}]}', r'shards\[0\]\.weight: found 0'),
    ('{"shards": [{"file": "a.arrow", "weight": NaN}]}', r'shards\[0\]\.weight: found nan'),
    ('{"shards": [{"file": "a.arrow", "weight": "2"}]}', r"shards\[0\]\.weight: found '2'"),
])
def test_manifest_of_another_form_is_named(tmp_path, text, words):
    (tmp_path / 'corpus.json').write_text(text)
    with pytest.raises(AnnotationError, match=rf'corpus\.json: {words}'):
        MotionCorpus(str(tmp_path / 'corpus.json'))


def test_manifest_of_files_elsewhere_is_refused(corpus, tmp_path):
    with pytest.raises(AnnotationError, match=r'0\.arrow\.file: found .*below its folder'):
        write_manifest(tmp_path / 'other/corpus.json', [str(tmp_path / 'parts/0.arrow')])


def test_corpus_has_the_clips_of_all_shards(corpus):
    dataset = MotionCorpus(str(corpus), split='train', pipeline=[
        lambda ann: dict(ann, value=float(ann['keypoint'][0, 0, 0, 0]))])
    assert names(dataset) == [f'clip{i}' for i in range(16)]
    assert [dataset[i]['value'] for i in range(16)] == [20 + i for i in range(16)]
    assert dataset.metainfo['classes'] == ['a', 'b', 'c']
    assert dataset.weights == [5, 12, 8]
    assert not dataset.skipped
    loader = DataLoader(dataset, 4, num_workers=1, collate_fn=lambda batch: [
        sample['frame_dir'] for sample in batch])
    assert sum(loader, []) == [f'clip{i}' for i in range(16)]


def test_corpus_of_track_windows_has_those_of_all_shards(corpus, tmp_path):
    settings = dict(split='train', seg_len=3, min_len=2, pipeline=[
        lambda ann: dict(ann, value=float(ann['keypoint'][0, 0, 0, 0]))])
    dataset = MotionCorpus(str(corpus), dataset_type='TrackWindowDataset', **settings)
    alone = [TrackWindowDataset(str(tmp_path / f'parts/{name}'), **settings)
             for name in ('0.arrow', '1.pkl', '2.arrow')]
    found = [(window['clip'], window['frame'], window['value']) for window in dataset]
    assert found == [(window['clip'], window['frame'], window['value'])
                     for part in alone for window in part]
    assert {clip for clip, *_ in found} == {f'clip{i}' for i in range(16)}
    assert dataset.weights == [len(alone[0]), 4 * len(alone[1]), len(alone[2])]
    assert dataset.metainfo['classes'] == ['normal', 'abnormal']
    with pytest.raises(AnnotationError, match=r"corpus.json: found a manifest.*'MotionCorpus'"):
        TrackWindowDataset(str(corpus), **settings)
    with pytest.raises(ValueError, match="dataset_type: found 'Motion', expected MotionDataset"):
        MotionCorpus(str(corpus), dataset_type='Motion')


def test_corpus_is_drawn_by_the_weights_of_its_manifest(corpus):
    init_default_scope('mofm')
    loader = Runner.build_dataloader(dict(
        dataset=dict(type='MotionCorpus', ann_file=str(corpus)), batch_size=5, num_workers=0,
        sampler=dict(type='MixtureSampler', num_samples=50)), seed=0)
    counts = Counter(name for batch in loader for name in batch['frame_dir'])
    shares = [sum(counts[f'clip{i}'] for i in part) for part in (
        range(5), range(5, 8), range(8, 16))]
    assert shares == [10, 24, 16]
    assert isinstance(loader.sampler, MixtureSampler)


DAMAGES = {
    'missing': (lambda path: path.unlink(), 'no such file'),
    'empty': (lambda path: path.write_bytes(b''), 'cannot be read, it may be truncated'),
    'truncated': (lambda path: path.write_bytes(path.read_bytes()[:-500]), 'cannot be read'),
    'overwritten': (lambda path: path.write_bytes(
        path.read_bytes()[:99] + b'\xff' * 500 + path.read_bytes()[599:]), 'cannot be read'),
    'other': (lambda path: write_shard(path, 5, 2), 'annotations: found 2, expected'),
    'invalid': (lambda path: dump_annotations(dict(
        split=dict(train=[]), annotations=[dict(
            frame_dir=f'{i}', label=0, img_shape=(9, 9), total_frames=1,
            keypoint=np.full((1, 1, 17, 2), np.nan, np.float16),
            keypoint_score=np.ones((1, 1, 17), np.float16)) for i in range(8)],
        metainfo=dict(classes=['a', 'b', 'c'])), path), 'none of 8 annotations can be used'),
}


@pytest.mark.parametrize('shard', [1, 2])
@pytest.mark.parametrize('damage', sorted(DAMAGES))
def test_corpus_names_skips_and_counts_damaged_shards(corpus, tmp_path, damage, shard):
    path = tmp_path / ('parts/1.pkl' if shard == 1 else 'parts/2.arrow')
    change, words = DAMAGES[damage]
    change(path)
    dataset = MotionCorpus(str(corpus))
    kept = [i for i in range(16) if not sum(SIZES[:shard]) <= i < sum(SIZES[:shard + 1])]
    assert names(dataset) == [f'clip{i}' for i in kept]
    assert len(dataset.weights) == 2
    assert dataset.skipped == f'{corpus}: skipped 1 of 3 shards'
    problem, = dataset.problems
    assert re.search(rf'{re.escape(str(path))}: {words}', problem)
    with pytest.raises(AnnotationError, match=re.escape(str(path))):
        MotionCorpus(str(corpus), on_error='raise')


def test_corpus_without_a_usable_shard_is_an_error(corpus, tmp_path):
    for path in (tmp_path / 'parts').iterdir():
        path.write_bytes(b'ARROW1')
    with pytest.raises(UnreadableError, match=r'json: none of 3 shards can be used\n.*0\.arrow'):
        MotionCorpus(str(corpus))


@pytest.mark.parametrize(('settings', 'words'), [
    (dict(split='val'), "no split 'val'"), (dict(num_classes=5), 'metainfo.classes: found 3'),
    (dict(classes=[7]), 'none of 5 annotations can be used')])
def test_corpus_wrong_settings_are_no_damage(corpus, settings, words):
    with pytest.raises(AnnotationError, match=rf'0\.arrow.*{words}'):
        MotionCorpus(str(corpus), **settings)


def test_corpus_of_other_classes_is_refused(corpus, tmp_path):
    write_shard(tmp_path / 'parts/2.arrow', 8, 8, ['a', 'b', 'other'])
    with pytest.raises(AnnotationError, match=r'2\.arrow: metainfo: found .*that of .*0\.arrow'):
        MotionCorpus(str(corpus))


def test_corpus_refuses_other_shards_in_another_process(corpus, monkeypatch):
    monkeypatch.setattr(motion_corpus, 'all_gather_object', lambda used: [used, used[1:]])
    with pytest.raises(RuntimeError, match=r'3 usable shards here and 2 in process 1.*0\.arrow'):
        MotionCorpus(str(corpus))


@pytest.mark.parametrize('kind', ['memory', 'server', 'bucket'])
def test_remote_corpus_equals_local_one(corpus, tmp_path, cache, request, kind):
    url = request.getfixturevalue(kind)
    if kind != 'server':
        upload(tmp_path, url)
    dataset = MotionCorpus(f'{url}/corpus.json', split='train')
    for got, expected in zip(dataset, MotionCorpus(str(corpus), split='train'), strict=True):
        assert got.keys() == expected.keys()
        assert all(np.array_equal(got[name], expected[name]) for name in got)
    assert dataset.weights == [5, 12, 8]
    assert len(load_annotations(f'{url}/parts/1.pkl')['annotations']) == 3
    files = {file: file.stat().st_mtime_ns for file in cache.rglob('*.*') if file.name != '.lock'}
    assert sorted(file.name for file in files if file.is_file()) == [
        '0.arrow', '1.pkl', '2.arrow', 'corpus.json']
    MotionDataset(f'{url}/parts/0.arrow')
    assert all(file.stat().st_mtime_ns == time for file, time in files.items())  # once


@pytest.mark.parametrize('kind', ['memory', 'server', 'bucket'])
def test_remote_shard_that_is_missing_is_named_by_its_url(corpus, tmp_path, request, kind):
    (tmp_path / 'parts/0.arrow').unlink()
    (tmp_path / 'parts/2.arrow').write_bytes(b'ARROW1')
    url = request.getfixturevalue(kind)
    if kind != 'server':
        upload(tmp_path, url)
    dataset = MotionCorpus(f'{url}/corpus.json')
    assert names(dataset) == ['clip5', 'clip6', 'clip7']
    missing, damaged = dataset.problems
    assert missing.startswith(f'{url}/parts/0.arrow: ann_file: found FileNotFoundError')
    assert damaged.startswith(f'{url}/parts/2.arrow: cannot be read')
    with pytest.raises(AnnotationError, match=rf'{url}/other\.json: ann_file: found FileNotFound'):
        MotionCorpus(f'{url}/other.json')


def test_remote_file_that_changes_is_downloaded_again(tmp_path, memory):
    write_shard(tmp_path / 'a.arrow', 0, 3)
    upload(tmp_path, memory)
    first = MotionDataset(f'{memory}/a.arrow')
    write_shard(tmp_path / 'a.arrow', 7, 2)
    upload(tmp_path, memory)
    assert names(MotionDataset(f'{memory}/a.arrow')) == ['clip7', 'clip8']
    assert names(first) == ['clip0', 'clip1', 'clip2']  # its copy stays


def test_remote_download_that_breaks_leaves_no_copy(tmp_path, memory, cache, monkeypatch):
    write_shard(tmp_path / 'a.arrow', 0, 3)
    upload(tmp_path, memory)
    system = type(fsspec.filesystem('memory'))

    def break_off(self, path, target, **kwargs):
        with open(target, 'wb') as f:
            f.write(b'ARROW1')
        raise ConnectionResetError('the server went away')

    with monkeypatch.context() as patch:
        patch.setattr(system, 'get_file', break_off)
        with pytest.raises(UnreadableError, match=r'a\.arrow: ann_file: found ConnectionReset'):
            MotionDataset(f'{memory}/a.arrow')
    assert {path.name for path in cache.rglob('*') if path.is_file()} == {'.lock'}
    assert len(MotionDataset(f'{memory}/a.arrow')) == 3


@pytest.mark.parametrize(('url', 'words'), [
    ('nowhere://a/b.arrow', 'nowhere://a/b.arrow: ann_file: found ValueError: Protocol not known'),
    ('memory://u:secret@host/b.arrow', r'memory://\*\*\*@host/b.arrow: ann_file: found FileNot')])
def test_remote_unknown_protocols_and_passwords_in_messages(url, words):
    with pytest.raises(UnreadableError, match=words):
        load_annotations(url)


def test_manifest_of_the_tool_has_weights_and_a_line_per_file(corpus, tmp_path):
    files = [str(tmp_path / name) for name in ('parts/1.pkl', 'parts/2.arrow')]
    shown = here('data/write_manifest.py', str(corpus), *files, '--weights', '2', '0.5')
    assert '11 clips in 2 files' in shown.stdout
    lines = corpus.read_text().splitlines()
    assert [json.loads(line.rstrip(',')) for line in lines[1:-1]] == [
        dict(file='parts/1.pkl', clips=3, weight=2),
        dict(file='parts/2.arrow', clips=8, weight=.5)]
    assert MotionCorpus(str(corpus)).weights == [6, 4]
