"""Gallery of exemplars: scores, files, and galleries of other models."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from mofm.apis import Gallery
from mofm.hub.checkpoint import fingerprint
from mofm.registry import METRICS

QUIET = dict(progress=False)


@pytest.fixture
def one_shot(inferencer):
    return inferencer('one_shot')


@pytest.fixture
def gallery(one_shot):
    return Gallery(one_shot)


@pytest.fixture
def embed(one_shot):
    """Embeddings of recordings."""
    return one_shot.task('one_shot').embed


def test_gallery_nearest_exemplar_of_a_class_counts(one_shot, gallery, embed, motion):
    embedding = embed(motion)
    assert gallery.add('walk', motion[0]) == 1
    assert gallery.add('wave', [motion[1], motion[4]]) == 2
    assert gallery.add('walk', motion[3]) == 1
    assert len(gallery) == 4
    assert gallery.classes == ('walk', 'wave')
    cosine = embedding @ embedding.T
    expected = np.stack([cosine[:, [0, 3]].max(1), cosine[:, [1, 4]].max(1)], 1)
    results = one_shot(motion, gallery=gallery, **QUIET)
    np.testing.assert_allclose([r.scores[0] for r in results], expected, atol=1e-5)
    assert results[4].top(1)[0] == ('wave', pytest.approx(1, abs=1e-5))
    assert results[0].classes == ('walk', 'wave')
    np.testing.assert_allclose(results[2].embedding, embedding[2:3], atol=1e-5)


def test_gallery_accuracy_equals_metric(one_shot, gallery, embed, motion):
    exemplars = {0: 'walk', 1: 'wave', 2: 'squat'}
    for i, name in exemplars.items():
        gallery.add(name, motion[i])
    right = [r.top(1)[0][0] == exemplars[ann['label']]
             for ann, r in zip(motion[3:], one_shot(motion[3:], gallery=gallery, **QUIET),
                               strict=True)]
    metric = METRICS.build(dict(type='OneShotAccuracy'))
    results = [(e, ann['label'], i in exemplars, '')
               for i, (ann, e) in enumerate(zip(motion, embed(motion), strict=True))]
    assert np.mean(right) == pytest.approx(metric.compute_metrics(results)['top1'])
    assert np.mean(right) > 0


def test_gallery_takes_every_window_as_exemplar(gallery, motion):
    assert gallery.add('walk', motion[0], window=10, stride=5) == (
        -(-(motion[0]['total_frames'] - 10) // 5) + 1)


def test_gallery_removed_classes_do_not_come_back(one_shot, gallery, motion):
    gallery.add('walk', motion[0])
    gallery.add('wave', motion[1])
    gallery.remove('walk')
    assert gallery.classes == ('wave', )
    assert len(gallery) == 1
    assert one_shot(motion[0], gallery=gallery, **QUIET)[0].top()[0][0] == 'wave'
    with pytest.raises(ValueError, match=r"found 'walk', expected one of \['wave'\]"):
        gallery.remove('walk')


def test_gallery_round_trips_through_file(one_shot, gallery, inferencer, motion, tmp_path):
    gallery.add('walk', motion[0])
    gallery.add('wave', motion[1:3])
    path = tmp_path / 'new/gallery.npz'
    gallery.save(path)
    model = inferencer('one_shot')
    other = Gallery(model)
    other.add('squat', motion[5])
    other.load(path)
    assert other.classes == ('walk', 'wave')
    assert len(other) == 3
    expected = one_shot(motion, gallery=gallery, **QUIET)
    for read in (other, path, str(path)):
        for a, b in zip(expected, model(motion, gallery=read, **QUIET), strict=True):
            np.testing.assert_array_equal(a.scores, b.scores)
    with pytest.raises(ValueError, match="found suffix '.json', expected '.npz'"):
        other.save(tmp_path / 'gallery.json')


def test_gallery_of_another_model_is_refused(one_shot, gallery, inferencer, motion, tmp_path):
    gallery.add('walk', motion[0])
    gallery.save(tmp_path / 'gallery.npz')
    model = inferencer('one_shot', seed=1)
    assert fingerprint(model.model) != fingerprint(one_shot.model)
    other = Gallery(model)
    with pytest.raises(ValueError, match='a gallery of another model.*add the exemplars again'):
        other.load(tmp_path / 'gallery.npz')
    assert len(other) == 0


def test_gallery_that_is_empty_is_refused(one_shot, gallery, motion, tmp_path):
    message = 'found no exemplar, expected at least one; add some with gallery.add'
    for given in ({}, dict(gallery=gallery)):
        with pytest.raises(ValueError, match=message):
            one_shot.iter(motion[0], **given)
    with pytest.raises(ValueError, match=message):
        gallery.save(tmp_path / 'a.npz')


def test_gallery_bad_exemplars_add_nothing(gallery, inferencer, motion):
    with pytest.raises(ValueError, match='no person'):
        gallery.add('walk', [motion[0], np.zeros((4, 17, 3))])
    with pytest.raises(ValueError, match="name: found '', expected a string .* not empty"):
        gallery.add('', motion[0])
    assert len(gallery) == 0
    with pytest.raises(ValueError, match="found 'one_shot'.*action and features only"):
        Gallery(inferencer('action'))


@pytest.mark.parametrize('change', [
    dict(name=np.array(['a', 'b'])), dict(name=np.array([{}], object)), dict(embedding=np.ones(4)),
    dict(embedding=np.full((1, 8), np.nan, np.float32)), dict(name=np.array(['a'] * 0))])
def test_gallery_damaged_files_are_named(one_shot, gallery, tmp_path, change):
    content = dict(name=np.array(['a']), embedding=np.ones((1, 8), np.float32),
                   model=fingerprint(one_shot.model))
    np.savez(tmp_path / 'a.npz', **{**content, **change})
    with pytest.raises(ValueError, match='a.npz'):
        gallery.load(tmp_path / 'a.npz')
    (tmp_path / 'b.npz').write_bytes((tmp_path / 'a.npz').read_bytes()[:100])
    with pytest.raises(ValueError, match='b.npz: not a gallery'):
        gallery.load(tmp_path / 'b.npz')
    with pytest.raises(ValueError, match='not a gallery'):
        gallery.load(tmp_path / 'none.npz')


def test_gallery_that_threads_change_and_use_loses_nothing(one_shot, gallery, motion):
    gallery.add('first', motion[0])

    def change(i):
        gallery.add(f'class {i}', motion[i % len(motion)])
        if i % 3 == 0:
            gallery.remove(f'class {i}')
        result, = one_shot(motion[0], gallery=gallery, **QUIET)
        return result.scores.shape[1] == len(result.classes)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(change, range(24)))
    assert set(gallery.classes) == {'first', *(f'class {i}' for i in range(24) if i % 3)}
    assert len(gallery) == 17


def test_gallery_file_with_a_name_of_lines_is_refused(gallery, motion, tmp_path):
    gallery.add('a', motion[0])
    gallery.save(tmp_path / 'a.npz')
    with np.load(tmp_path / 'a.npz') as content:
        fields = dict(content, name=np.array(['a\nb']))
    np.savez(tmp_path / 'a.npz', **fields)
    with pytest.raises(ValueError, match=r"a.npz: name: found 'a\\nb', expected a list of string"):
        gallery.load(tmp_path / 'a.npz')
    assert gallery.classes == ('a', )
