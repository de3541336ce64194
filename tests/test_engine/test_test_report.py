"""HTML report of a test run: numbers against scikit-learn, and the page in a browser."""
import base64
import csv
import json
import re
import shutil
import subprocess
from html import escape
from html.parser import HTMLParser
from io import BytesIO
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.hooks import Hook
from mmengine.runner import Runner
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, recall_score, roc_auc_score

from mofm.annotations import dump_annotations
from mofm.datasets import SyntheticMotion
from mofm.engine.hooks.report_hook import ReportHook
from mofm.evaluation.functional import expected_calibration_error
from mofm.registry import DATASETS, METRICS
from mofm.utils.config import load_config
from mofm.visualization.evaluation_report import (
    ranking_errors,
    report_classification,
    report_clips,
    report_one_shot,
)
from mofm.visualization.report import Report

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = '<script>alert(1)</script>'
CLASSES = ['<b onclick="alert(2)">', 'a$^$', 'squat & "co"']
VOID = {'meta', 'img', 'br', 'hr', 'link', 'input', 'wbr'}


@DATASETS.register_module(force=True)
class HostileMotion(SyntheticMotion):
    """Clips with hostile names."""

    def load_data_list(self):
        clips = super().load_data_list()
        for i, clip in enumerate(clips):
            clip['frame_dir'] = f'{HOSTILE}{i}\ud800'
        return clips


class Page(HTMLParser):
    """Tags in balance, texts of the elements, rows of the tables, addresses."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.texts, self.addresses = [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.addresses += [v for k, v in attributes if k in ('src', 'href', 'srcset', 'action')]
        assert not any(k.startswith('on') for k, _ in attributes)
        self.texts.append([(*self.open, tag), ''])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != 'style':
            for text in self.texts[::-1]:
                if text[0] == tuple(self.open):
                    text[1] += data
                    break

    def all(self, *tags):
        """Texts of the elements that are inside of one another, in order."""
        return [text.strip() for path, text in self.texts if path[-len(tags):] == tags]

    def rows(self, title):
        """Cells of the table in a section."""
        rows, inside = [], False
        for path, text in self.texts:
            if path[-1] == 'h2':
                inside = text == title
            if inside and path[-1] == 'tr' and 'tbody' in path:
                rows.append([])
            if inside and path[-1] == 'td':
                rows[-1].append(text)
        return rows

    def metrics(self):
        """Lines of the cards by the name of the metric."""
        cards = {}
        for path, text in self.texts:
            if path[-3:] == ('dl', 'div', 'dt'):
                lines = cards[text] = []
            elif path[-3:] == ('dl', 'div', 'dd'):
                lines.append(text)
        return cards


class Predictions(Hook):
    """Predictions of the model, computed independently of the report."""

    def before_test_epoch(self, runner):
        self.label, self.scores = [], []

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.label += [int(s.gt_label) for s in outputs]
        self.scores += [s.pred_score.numpy() for s in outputs]


def run(config: str, work_dir, **options):
    """Test random weights; the page, metrics of the results file, and predictions."""
    cfg = load_config(ROOT / 'configs' / config)
    cfg.merge_from_dict({
        'model.backbone': dict(embed_dims=32, depth=1, num_heads=2, init_cfg=None),
        'test_dataloader': dict(num_workers=0, persistent_workers=False, batch_size=4)})
    cfg.merge_from_dict(options)
    cfg.work_dir, cfg.experiment_name = str(work_dir), f'report_{Path(work_dir).name}'
    runner = Runner.from_cfg(cfg)
    predictions = Predictions()
    for hook in (ReportHook(), *([predictions] if 'dt1' in config else [])):
        runner.register_hook(hook)
    runner.test()
    path, = Path(work_dir).glob('*/report.html')
    results, = Path(work_dir).glob('*/*.json')
    return path, json.loads(results.read_text()), predictions


def synthetic(**kwargs):
    pipeline = load_config(ROOT / 'configs/dt1_penn_tiny.py').val_pipeline
    return dict(_delete_=True, actions=('walk', 'wave', 'squat'), num_frames=(16, 20),
                pipeline=pipeline, test_mode=True, **kwargs)


@pytest.fixture(scope='module')
def classified(tmp_path_factory):
    torch.manual_seed(3)
    return run('dt1_penn_tiny.py', tmp_path_factory.mktemp('dt1'), **{
        'model.cls_head': dict(num_classes=3, in_channels=32),
        'test_dataloader.dataset': synthetic(
            type='HostileMotion', num_clips=29, metainfo=dict(classes=CLASSES))})


def read(path):
    return Page(path.read_text(encoding='utf-8'))


def test_report_of_classification_shows_rows_and_mistakes(classified):
    path, results, predictions = classified
    page, label = read(path), predictions.label
    guess = np.argmax(predictions.scores, 1)
    value, interval, chance = page.metrics()['Top-1 accuracy']
    assert value.strip() == f'{100 * accuracy_score(label, guess):.1f}'
    assert chance == f'chance {100 * max(np.bincount(label)) / 29:.1f}, higher is better'
    with open(path.with_name('metrics.csv'), newline='') as file:
        table = {row['metric']: row for row in csv.DictReader(file)}
    assert table.keys() == {'acc/top1', 'acc/top5', 'acc/mean1'}
    row = table['acc/top1']
    assert float(row['value']) == results['acc/top1']
    assert float(row['low']) < float(row['value']) < float(row['high'])
    assert interval == f'95 %: [{100 * float(row["low"]):.1f}, {100 * float(row["high"]):.1f}]'
    assert row['text'] == f'{value.strip()} {interval[6:]}'
    assert row['text'] in max(path.parent.glob('*.log')).read_text()
    shown = [[int(cell or 0) for cell in row] for row in page.rows('Confusion')]
    assert shown == confusion_matrix(label, guess).tolist()
    matrix = confusion_matrix(label, guess)
    recall = recall_score(label, guess, average=None)
    rows = page.rows('Classes')
    assert len(rows) == 3
    for name, count, accuracy, _, taken in rows:
        c = CLASSES.index(name)
        low, high = binomtest(int(matrix[c, c]), int(matrix[c].sum())).proportion_ci(
            method='wilson')
        assert count == str(matrix[c].sum())
        assert accuracy == f'{100 * recall[c]:.1f} [{100 * low:.1f}, {100 * high:.1f}]'
        wrong = np.where(np.arange(3) == c, 0, matrix[c])
        assert taken == f'{CLASSES[wrong.argmax()]} ({wrong.max()})'
    assert [float(row[2].split()[0]) for row in rows] == [round(100 * r, 1)
                                                          for r in sorted(recall)]
    pairs = page.rows('Most confused')
    counts = sorted((count for count in (matrix - np.diag(matrix.diagonal())).ravel()
                     if count >= 2), reverse=True)
    assert [int(row[2]) for row in pairs] == counts
    true, predicted, count, share = pairs[0]
    assert matrix[CLASSES.index(true), CLASSES.index(predicted)] == int(count)
    assert share == f'{int(count) / matrix[CLASSES.index(true)].sum():.1%}'

    wrong = np.flatnonzero(guess != label)
    worst = sorted(wrong, key=lambda i: predictions.scores[i][label[i]])
    assert page.all('ol', 'li', 'strong') == [f'{HOSTILE}{i}?' for i in worst[:20]]
    facts = page.all('ol', 'li', 'dl', 'dd')
    i = worst[0]
    assert facts[0] == f'{CLASSES[label[i]]}, {predictions.scores[i][label[i]]:.1%}'
    assert facts[1] == f'{CLASSES[guess[i]]}, {predictions.scores[i].max():.1%}'
    assert f'{len(wrong)} of 29 clips are misclassified' in ' '.join(page.all('section', 'p'))


def test_report_page_is_complete_and_escaped(classified):
    path, _, _ = classified
    text, page = path.read_text(encoding='utf-8'), read(path)
    assert path.stat().st_size < 5e6
    assert text.startswith('<!DOCTYPE html>')
    assert 'script' not in page.seen
    assert 'b' not in page.seen
    assert HOSTILE not in text
    assert page.addresses
    assert all(a.startswith('data:image/') for a in page.addresses)
    facts = dict(zip(page.all('table', 'tr', 'th'), page.all('table', 'tr', 'td'), strict=True))
    assert facts['samples'] == '29'
    assert facts['data'] == 'HostileMotion'
    assert facts['checkpoint'].startswith('none')
    assert f'torch {torch.__version__}' in \
        facts['versions']
    moving = 0
    for address in page.addresses:
        with Image.open(BytesIO(base64.b64decode(unquote(address).split(',')[1]))) as image:
            moving += image.format == 'GIF' and image.n_frames > 5
    assert moving == len(page.all('ol', 'li')) > 10


@pytest.fixture(scope='module')
def browse(tmp_path_factory):
    """Open a page in Chromium; its document afterwards, and what the browser has to say."""
    chromium = next(filter(None, map(shutil.which, (
        'chromium', 'chromium-browser', 'google-chrome'))), None)
    if chromium is None:
        pytest.skip('no chromium, chromium-browser or google-chrome in PATH')

    def browse(text):
        folder = tmp_path_factory.mktemp('browser')
        (folder / 'page.html').write_text(text, encoding='utf-8')
        done = subprocess.run(
            [chromium, '--headless=new', '--no-sandbox', '--disable-gpu', '--dump-dom',
             '--enable-logging=stderr', f'--user-data-dir={folder / "user"}',
             (folder / 'page.html').as_uri()], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-1000:]
        return done.stdout, [line for line in done.stderr.splitlines() if 'CONSOLE' in line]

    return browse


PROBE = """<script>
window.wrong = [];
window.alert = text => wrong.push('alert ' + text);
window.addEventListener('error', event => wrong.push('error ' + (event.message || event.target.src)), true);
window.addEventListener('load', () => {
  for (const element of document.querySelectorAll('*')) element.click();
  document.documentElement.dataset.probe = JSON.stringify({
    wrong, images: [...document.images].map(i => i.naturalWidth),
    requests: performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:')),
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth});
});
</script>"""  # noqa: E501


@pytest.mark.slow
def test_report_in_browser_is_complete(classified, browse):
    path, results, _ = classified
    text = path.read_text(encoding='utf-8')
    document, console = browse(text)
    assert console == []
    assert f'<dd class="value">{100 * results["acc/top1"]:.1f} <small>%</small></dd>' in document
    # the policy of the page forbids what we are looking for, so it has to go
    probed = re.sub('<meta http-equiv[^>]*>', PROBE, text)
    document, _ = browse(probed)
    found = json.loads(re.search("data-probe=['\"](.*?)['\"]>", document)[1]
                       .replace('&quot;', '"'))
    assert found['wrong'] == []
    assert found['requests'] == []
    assert found['overflow'] <= 0
    assert len(found['images']) == len(read(path).addresses)
    assert min(found['images']) > 50


@pytest.mark.slow
def test_report_in_browser_refuses_requests(classified, browse):
    """The policy works, and the test above would see a request."""
    text = classified[0].read_text(encoding='utf-8')
    _, console = browse(text.replace('</h1>', '</h1><img src="http://127.0.0.1:9/x.png">'))
    assert any('Content Security Policy' in line for line in console)


@pytest.mark.slow
@pytest.mark.parametrize('width', [390, 1280])
def test_report_of_120_classes_fits_the_screen(browse, dataset, tmp_path, width):
    """Only the matrix may scroll sideways, and needs to on a phone only."""
    names = [f'class number {c}, which has a long name' for c in range(119)] + ['sit_' * 20]
    rng = np.random.default_rng(0)
    label = np.repeat(np.arange(120), 5)
    best = np.c_[label, rng.integers(120, size=(600, 2))]
    best[rng.random(600) < .4] = 0
    rows = zip(range(600), label.tolist(), best.tolist(), [[.5, .3, .2]] * 600, [.5] * 600,
               strict=True)
    dataset = SimpleNamespace(metainfo=dict(classes=names), get_data_info=dataset.get_data_info)
    report = Report('many classes', [], {'checkpoint': 'work_dirs/' + 'x' * 200})
    report_classification(report, dataset, rows, 0)
    report.save(tmp_path / 'report.html')
    text = (tmp_path / 'report.html').read_text(encoding='utf-8')
    right = (best[label == 7, 0] == 7).sum()
    assert f'title="{names[7]} → {names[7]}: {right} ({right / 5:.1%})"' in text
    # a frame, as windows have a minimum width
    document, _ = browse(f'''<iframe id="page" style="width:{width}px;height:800px" srcdoc="{
        escape(text)}"></iframe><script>onload = () => {{
            const wide = e => e.scrollWidth - e.clientWidth;
            const shown = document.getElementById("page").contentDocument;
            document.documentElement.dataset.probe = JSON.stringify({{
                page: wide(shown.documentElement),
                matrix: wide(shown.querySelector(".confusion")),
                tables: [...shown.querySelectorAll(".scroll")].map(wide)}}); }};</script>''')
    found = json.loads(re.search("data-probe=['\"](.*?)['\"]>", document)[1]
                       .replace('&quot;', '"'))
    assert found['page'] <= 0
    assert max(found['tables']) <= 0
    assert len(found['tables']) == 4  # facts, pairs, classes and the figure
    assert (found['matrix'] > 1) == (width == 390)  # 1 is rounding


# ------------------------------------------------------------------------------- other tasks
def rows_of(dataset, scores):
    out = []
    for i, score in enumerate(scores):
        label, best = dataset.get_data_info(i)['label'], np.argsort(-score)
        out.append((i, label, best.tolist(), score[best].tolist(), score[label]))
    return out


@pytest.fixture(scope='module')
def dataset():
    return SyntheticMotion(num_clips=12, actions=('walk', 'wave', 'squat'), num_frames=(16, 20))


def written(report, folder):
    report.save(folder / 'report.html')
    return read(folder / 'report.html')


def test_report_without_mistakes_says_none(dataset, tmp_path):
    report = Report('a test', [], {})
    report_classification(report, dataset, rows_of(dataset, np.eye(3)[np.arange(12) % 3]), 20)
    page = written(report, tmp_path)
    assert page.all('section', 'p')[-1] == 'None.'
    assert not page.all('li')
    assert not page.rows('Most confused')
    assert [row[4] for row in page.rows('Classes')] == ['–'] * 3


def test_report_counts_nan_scores(dataset, tmp_path):
    report = Report('a test', [], {})
    scores = np.full((12, 3), 1 / 3)
    scores[:5] = np.nan
    report_classification(report, dataset, rows_of(dataset, scores), 20)
    assert '5 of 12 clips have NaN' in written(report, tmp_path).all('p')[0]


def test_calibration_error_equals_hand_computation():
    """Ten answers of 0.95, nine right; ten of 0.55, three right: (0.05 + 0.25) / 2."""
    confidence = np.repeat([.95, .55], 10)
    right = np.r_[np.arange(10) < 9, np.arange(10) < 3]
    assert expected_calibration_error(confidence, right) == pytest.approx(.15)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_ranking_errors_sum_to_the_auc(samples):
    abnormal, normality = map(np.array, zip(*samples, strict=True))
    error = ranking_errors(abnormal, normality)
    if abnormal.all() or not abnormal.any():
        assert not error.any()
    else:
        auc = roc_auc_score(~abnormal, normality)
        assert error[abnormal].mean() == pytest.approx(1 - auc)
        assert error[~abnormal].mean() == pytest.approx(1 - auc)


def one_shot_metric(dataset, embedding, exemplar=(), **kwargs):
    metric = METRICS.build(dict(type='OneShotAccuracy', **kwargs))
    metric.dataset_meta = dataset.metainfo
    samples = [dict(embedding=torch.tensor(e, dtype=torch.float32), frame_dir=f'clip{i}',
                    gt_label=torch.tensor([i % 3]), exemplar=i in exemplar)
               for i, e in enumerate(embedding)]
    metric.process({}, samples)
    return metric, metric.evaluate(len(samples))


@pytest.fixture(scope='module')
def embedding():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(3, 4))[np.arange(12) % 3] + rng.normal(size=(12, 4))
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def test_report_of_given_exemplars_lists_mistakes(dataset, embedding, tmp_path):
    exemplar = [0, 1, 5]
    metric, found = one_shot_metric(dataset, embedding, exemplar)
    rows = [(i, i % 3) for i in range(12)]
    report = Report('a test', [], {})
    report_one_shot(report, dataset, rows, metric, 20)
    page = written(report, tmp_path)
    similarity = embedding @ embedding[exemplar].T  # exemplar of class 0, 1, 2
    query = [i for i in range(12) if i not in exemplar]
    wrong = [i for i in query if similarity[i].argmax() != i % 3]
    assert found['one_shot/top1'] == pytest.approx(1 - len(wrong) / 9)
    assert wrong
    worst = sorted(wrong, key=lambda i: similarity[i, i % 3] - similarity[i].max())
    names = [dataset.get_data_info(i)['frame_dir'] for i in worst]
    assert page.all('li', 'strong') == names
    assert page.all('li', 'dl', 'dd')[1] == (
        f'{dataset.actions[similarity[worst[0]].argmax()]}, {similarity[worst[0]].max():.3f}')
    assert sum(float(row[1]) for row in page.rows('Classes')) == 9


def test_report_of_drawn_exemplars_lists_chances(dataset, embedding, tmp_path):
    """Chance to be recognized, over every draw of exemplars."""
    metric, _ = one_shot_metric(dataset, embedding, draws=20)
    similarity, target = embedding @ embedding.T, np.arange(12) % 3
    right, times = np.zeros(12), np.zeros(12)
    for draw in product(*(np.flatnonzero(target == c) for c in range(3))):
        query = np.setdiff1d(np.arange(12), draw)
        right[query] += similarity[query][:, list(draw)].argmax(1) == target[query]
        times[query] += 1
    assert metric.recognized == pytest.approx(right / times)
    for i, c in product(range(12), range(3)):
        others = [j for j in range(12) if target[j] == c and j != i]
        assert metric.similarity[i, c] == pytest.approx(similarity[i, others].mean(), abs=1e-6)
    report = Report('a test', [], {})
    report_one_shot(report, dataset, list(zip(range(12), target, strict=True)), metric, 20)
    page = written(report, tmp_path)
    chance = right / times
    worst = [i for i in np.argsort(chance) if chance[i] < .5]
    shares = [text for text in page.all('li', 'dl', 'dd') if text.endswith('of draws')]
    assert shares == [f'{chance[i]:.1%} of draws' for i in worst]
    assert worst


def test_report_of_clip_anomaly_lists_ranking_errors(dataset, tmp_path):
    metric = METRICS.build(dict(type='ClipAUC', normal_labels=[0, 2]))
    normality = np.random.default_rng(0).random(12)
    normality[1] = .99  # the most normal of all is abnormal
    report = Report('a test', [], {})
    report_clips(report, dataset, [(i, i % 3, v, None, 0) for i, v in enumerate(normality)],
                 metric, 4)
    page = written(report, tmp_path)
    normal, label = np.arange(12) % 3 != 1, np.arange(12) % 3
    rows = {row[0]: row[1:] for row in page.rows('Classes')}
    for c, name in enumerate(dataset.actions):
        some = (label == c) | (normal != normal[c])
        auc = roc_auc_score(normal[some], normality[some])
        assert rows[name] == ['normal' if c != 1 else 'abnormal', '4',
                              f'{normality[label == c].mean():.4f}', f'{100 * auc:.1f}']
    names = [dataset.get_data_info(i)['frame_dir'] for i in range(12)]
    shown = page.all('li', 'strong')
    assert shown[0] == names[np.flatnonzero(normal)[normality[normal].argmin()]]
    assert shown[2] == names[1]
    assert len(shown) == 4


def recordings():
    """Two clips of 60 frames, one person each; the second half of the frames is abnormal."""
    rng = np.random.default_rng(0)
    annotations = [dict(
        frame_dir=name, label=0, img_shape=(480, 640), total_frames=60,
        keypoint=rng.uniform(100, 300, (1, 60, 17, 2)).astype(np.float32),
        keypoint_score=np.ones((1, 60, 17), np.float32),
        frame_label=(np.arange(60) >= 30).astype(int)) for name in ('a$^$', 'b')]
    return dict(split=dict(test=['a$^$', 'b']), annotations=annotations)


def test_report_of_frame_anomaly_lists_frames(tmp_path):
    ann_file = str(tmp_path / 'tracks.pkl')
    dump_annotations(recordings(), ann_file)
    path, results, _ = run(
        'dt4_utkinect_tiny.py', tmp_path / 'dt4', **{
            'model.cls_head.in_channels': 32, 'test_dataloader.batch_size': 40,
            'test_dataloader.dataset': dict(ann_file=ann_file, abnormal_labels=(1,)),
            'test_evaluator': dict(gt=dict(path=ann_file, abnormal_labels=(1,)),
                                   out_dir=str(tmp_path / 'out'))})
    page, scores = read(path), np.load(tmp_path / 'out/scores.npz')
    assert page.metrics()['AUC over all frames'][::2] == [
        f'{100 * results["anomaly/micro_auc"]:.1f} ', 'chance 50.0, higher is better']
    for clip, frames, abnormal, lowest, auc in page.rows('Clips'):
        name = clip.replace('$', '_').replace('^', '_')
        smoothed = scores[f'{name}/smoothed']
        assert (frames, abnormal, lowest) == ('60', '30', f'{smoothed.min():.4f}')
        assert auc == f'{100 * roc_auc_score(~scores[f"{name}/label"], smoothed):.1f}'
    # no two windows of the same clip that overlap: frames 8 ... 51, thus at most 3 of 16 frames
    shown = page.all('li', 'strong')
    frames = [int(v) for k, v in zip(page.all('li', 'dl', 'dt'), page.all('li', 'dl', 'dd'),
                                     strict=True)
              if k == 'frame']
    false_alarms = sum(frame < 30 for frame in frames)  # come first
    for part in (slice(false_alarms), slice(false_alarms, None)):
        for clip in ('a$^$', 'b'):
            mine = sorted(f for f, name in zip(frames[part], shown[part],
                                               strict=True) if name == clip)
            assert (np.diff(mine) >= 16).all()
    assert 0 < false_alarms < len(frames)
