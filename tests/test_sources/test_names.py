"""Recordings of several native files with one name."""
import zipfile
from pathlib import Path

import pytest

from mofm.annotations import AnnotationError, dump_annotations, load_annotations
from mofm.sources import BVH, PYSKL, PennAction, ShanghaiTech
from mofm.sources import prepare as module
from mofm.sources.prepare import prepare
from tests.test_sources.native_files import SAMPLES, mocap, penn_action, pyskl
from tests.test_sources.numbers_source import Numbers

AVENUE = Path('../shared/failing/data/02_avenue_names')


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, '_PARTS', 5)


def numbers(folder, **files):
    """Text files of numbers of frames; ``__`` in a name is a folder."""
    for name, count in files.items():
        path = folder / f'{name.replace("__", "/")}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(count))
    return folder


def prepared(source, path, workers=0):
    report = prepare(source, path, workers)
    data = load_annotations(path)
    return report, {ann['frame_dir']: ann for ann in data['annotations']}, data['split']


@pytest.mark.parametrize('workers', [0, 2])
def test_clips_of_train_and_test_with_one_name_are_both_kept(tmp_path, workers):
    if not AVENUE.exists():
        pytest.skip('no shared files')
    report, clips, split = prepared(ShanghaiTech(AVENUE), tmp_path / 'a.pkl', workers)
    assert split == dict(train=['train/01/1', 'train/02/1', 'train/03/1'],
                         test=['test/01/1', 'test/02/1', 'test/03/1', '04/1'])
    assert [clips[name]['clip'] for name in split['test']] == ['test/01', 'test/02', 'test/03',
                                                              '04']
    assert [clips[name]['label'] for names in split.values() for name in names] == (
        [1] * 4 + [0] * 3 if [*split][0] == 'test' else [0] * 3 + [1] * 4)
    assert report.problems == []
    assert any(note.startswith('6 recordings have the name of one in another file')
               for note in report.notes)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('suffix', ['.pkl', '.arrow'])
def test_files_of_one_name_get_their_folders(tmp_path, suffix, workers):
    folder = numbers(tmp_path / 'in', a__x=1, b__x=2, b__y=3, x=4, c__d__x=5)
    report, clips, _ = prepared(Numbers(folder), tmp_path / f'out{suffix}', workers)
    assert {name: ann['total_frames'] for name, ann in clips.items()} == {
        'a/x': 1, 'b/x': 2, 'y': 3, 'x': 4, 'c/d/x': 5}
    assert report.problems == []
    assert report.clips == 5


def test_interrupted_run_gives_the_names_of_an_unbroken_one(tmp_path):
    folder = numbers(tmp_path / 'in', **{f'{c}__{i}': i + j + 1 for i in range(6)
                                        for j, c in enumerate('ab')})
    prepare(Numbers(folder), tmp_path / 'whole.pkl', 0)
    (folder / 'b/3.txt').write_text('stop')
    with pytest.raises(KeyboardInterrupt):
        prepare(Numbers(folder), tmp_path / 'out.pkl', 0)
    (folder / 'b/3.txt').write_text('5')
    assert prepare(Numbers(folder), tmp_path / 'out.pkl', 2).resumed > 0
    assert (tmp_path / 'out.pkl').read_bytes() == (tmp_path / 'whole.pkl').read_bytes()


def test_copies_are_reported_once_and_files_of_other_content_are_kept(tmp_path):
    folder = numbers(tmp_path / 'in', a__x=3, b__x=3, c__x=4, a__y=5, b__y=5)
    report, clips, _ = prepared(Numbers(folder), tmp_path / 'out.pkl')
    assert {name: ann['total_frames'] for name, ann in clips.items()} == {
        'a/x': 3, 'c/x': 4, 'y': 5}
    assert report.problems == [
        f"{folder}:b/{name}.txt: frame_dir: found '{name}' with the content that 'a/{name}.txt' "
        'has, expected another recording; the first is kept' for name in 'xy']
    assert report.summary() == ('3 clips, 12 frames, 0 of 5 files skipped, '
                                '2 of 5 recordings skipped')
    with pytest.raises(AnnotationError, match='b/x.txt: frame_dir: found'):
        prepare(Numbers(folder, strict=True), tmp_path / 'strict.pkl', 0)


def test_files_of_one_folder_get_their_paths(tmp_path):
    folder = tmp_path / 'in'
    (folder / 'a').mkdir(parents=True)
    (folder / 'a/x.bvh').write_bytes(mocap.bvh())
    (folder / 'a/x.BVH').write_bytes(mocap.bvh(mocap.bvh_values(4)))
    report, clips, _ = prepared(BVH(folder, keep_3d=True), tmp_path / 'out.pkl')
    assert sorted(clips) == ['a/x.BVH/a/x', 'a/x.bvh/a/x']
    assert report.problems == []


def test_two_pickles_with_one_clip_keep_both(tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    for name, label in (('train', 0), ('val', 1)):
        anns = [pyskl.annotation('a'), pyskl.annotation(name)]
        for ann in anns:
            ann['label'] = label
            ann['keypoint'] = ann['keypoint'] + label
        dump_annotations(dict(annotations=anns, split={name: ['a', name]}), folder / f'{name}.pkl')
    report, clips, split = prepared(PYSKL(folder), tmp_path / 'out.pkl')
    assert split == dict(train=['train/a', 'train'], val=['val/a', 'val'])
    assert [ann['label'] for ann in clips.values()] == [0, 0, 1, 1]
    assert report.problems == []


@pytest.mark.parametrize('name', ['ntu60_2d', 'penn_action', 'pyskl', 'nw_ucla', 'utkinect'])
def test_readers_that_drop_folders_report_copies(tmp_path, name):
    reader, files, options = SAMPLES[name]
    for path, content in files.items():
        for root in ('first', 'second'):
            target = tmp_path / 'in' / root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    alone, expected, split = prepared(reader(tmp_path / 'in/first', **options),
                                      tmp_path / 'alone.pkl')
    report, clips, both = prepared(reader(tmp_path / 'in', **options), tmp_path / 'out.pkl')
    assert clips.keys() == expected.keys()
    assert both == split
    assert report.skipped['recordings'] == alone.clips
    assert all(f'{tmp_path}/in:second/' in line and 'with the content that' in line
               for line in report.problems)


def test_reader_that_drops_folders_keeps_other_content(tmp_path):
    for folder, frames in (('a', 3), ('b', 5)):
        fields = penn_action.penn_fields(frames=frames)
        (tmp_path / 'in' / folder).mkdir(parents=True)
        (tmp_path / 'in' / folder / '0001.mat').write_bytes(penn_action.mat(fields))
    report, clips, _ = prepared(PennAction(tmp_path / 'in'), tmp_path / 'out.pkl')
    assert {name: ann['total_frames'] for name, ann in clips.items()} == {'a/0001': 3, 'b/0001': 5}
    assert report.problems == []


def test_recordings_of_one_name_in_a_zip_file_are_both_kept(tmp_path):
    with zipfile.ZipFile(tmp_path / 'in.zip', 'w') as archive:
        archive.writestr('a\\x.txt', '1')
        archive.writestr('b/x.txt', '2')
    report, clips, _ = prepared(Numbers(tmp_path / 'in.zip'), tmp_path / 'out.pkl')
    assert sorted(clips) == ['a/x', 'b/x']
    assert report.problems == []


def test_folder_that_cannot_be_in_a_name_is_a_problem_of_its_recording(tmp_path):
    folder = numbers(tmp_path / 'in', **{'a__x': 1, 'b\n__x': 2, 'c\n__y': 3})
    report, clips, _ = prepared(Numbers(folder), tmp_path / 'out.pkl')
    assert sorted(clips) == ['a/x', 'y']
    assert len(report.problems) == report.skipped['recordings'] == 1
    assert 'as another file has the same name' in report.problems[0]


def test_file_names_that_are_no_text_can_be_printed(tmp_path):
    folder = numbers(tmp_path / 'in', x=1)
    (folder / b'\xff.md'.decode(errors='surrogateescape')).touch()
    report, _, _ = prepared(Numbers(folder), tmp_path / 'out.pkl')
    assert report.details().encode() == (
        b'notes:\n  files of other kinds are passed over: 1 .md (\\udcff.md)')
