"""HTML report of a test run: settings, metrics with intervals, and worst mistakes."""
import platform
import shlex
import sys
import time
from pathlib import Path

import mmengine
import numpy as np
import torch
from mmengine.dist import collect_results, get_world_size, is_main_process
from mmengine.hooks import Hook
from torch import Tensor

import mofm
from mofm.engine.runner.access import loaded_from
from mofm.evaluation.measures import (
    Reading,
    accuracy_references,
    collect_references,
    format_readings,
    group_views,
    read_metrics,
    to_table,
)
from mofm.registry import HOOKS
from mofm.utils.tables import write_csv


@HOOKS.register_module()
class ReportHook(Hook):
    """HTML report of a test, ``report.html`` in the folder of the run, see :class:`Report`.

    The log and ``metrics.csv`` in the same folder have every metric with its 95 % interval and its
    level of chance, if the metric gives them (``references()``) or is mmaction2's accuracy.

    Its sections depend on the predictions: ``pred_score`` (classification), ``embedding``
    (one-shot recognition, with :class:`OneShotAccuracy`) or ``normality`` (anomaly detection, with
    :class:`FrameAUC` or :class:`ClipAUC`). Other tests get a report of their metrics, and the
    ``tables()`` of these: title -> head and rows.

    Only a few numbers per sample are kept. The keypoints of the mistakes are read from the data
    set again, by ``sample_idx``.

    Pictures of metrics with an ``out_dir`` go there, see :func:`save_pictures`.

    Args:
        num_mistakes (int): Number of mistakes shown as animations. Defaults to 20.
        page (bool): Write the report, otherwise only metrics and pictures. Defaults to True.
    """

    priority = 'LOWEST'  # after the metrics are logged

    def __init__(self, num_mistakes: int = 20, page: bool = True):
        self.num_mistakes = num_mistakes
        self.page = page

    def before_test_epoch(self, runner):
        """Reset the samples and the clock."""
        self._rows: list[tuple] = []
        self._start = time.time()

    def after_test_iter(self, runner, batch_idx: int, data_batch=None, outputs=None):
        """Keep a few numbers per sample."""
        for name, keep in _KEEP.items():
            if all(name in s and 'sample_idx' in s and 'gt_label' in s for s in outputs):
                index = [s.sample_idx for s in outputs]
                label = torch.cat([s.gt_label for s in outputs]).cpu()
                values = torch.stack([getattr(s, name) for s in outputs]).float().cpu()
                self._kept, self._num_classes = name, values.shape[-1]
                self._rows += zip(index,
                                  label.tolist(),
                                  *keep(values, label, outputs),
                                  strict=True)
                return

    def after_test_epoch(self, runner, metrics: dict[str, float]):
        """Write the report."""
        seconds = time.time() - self._start
        dataset = runner.test_dataloader.dataset
        rows = collect_results(self._rows, len(dataset), 'cpu')
        self._rows = []
        if not is_main_process():
            return
        from mofm.visualization.evaluation_report import Report, save_pictures  # matplotlib
        for metric in runner.test_evaluator.metrics:
            save_pictures(metric)
        readings = self._read(runner, metrics, rows)
        if readings:
            write_csv(Path(runner.log_dir) / 'metrics.csv', *to_table(readings))
            runner.logger.info(f'\n{format_readings(readings)}')
        if not self.page:
            return
        report = Report(f'Test of {Path(runner.cfg.filename or "a model").stem}', readings,
                        _facts(runner, dataset, seconds), runner.cfg.pretty_text)
        for metric in runner.test_evaluator.metrics:
            for title, (head, cells) in getattr(metric, 'tables', dict)().items():
                report.add_table(title, head, cells)
        if rows:
            self._report(report, dataset, rows, runner.test_evaluator.metrics)
        path = Path(runner.log_dir) / 'report.html'
        report.save(path)
        runner.logger.info(f'report: {path}')

    def _read(self, runner, metrics: dict, rows: list) -> list[Reading]:
        """Join the metrics with intervals and levels of chance."""
        references = collect_references(runner.test_evaluator.metrics)
        if rows and self._kept == 'pred_score':
            label, rank = np.array([(row[1], row[-2]) for row in rows]).T
            if rank.min() >= 0:  # finite scores
                found = accuracy_references(label, rank, self._num_classes,
                                            group_views([row[-1] for row in rows]))
                references |= {f'acc/{name}': reference for name, reference in found.items()}
        return read_metrics(metrics, references)

    def _report(self, report, dataset, rows, metrics):
        """Add the sections of the task."""
        from mofm.evaluation import ClipAUC, FrameAUC, OneShotAccuracy
        from mofm.visualization.evaluation_report import (
            report_classification,
            report_clips,
            report_frames,
            report_one_shot,
        )
        if self._kept == 'pred_score':
            report_classification(report, dataset, rows, self.num_mistakes)
            return
        for metric in metrics:
            for kind, write in ((FrameAUC, report_frames), (ClipAUC, report_clips),
                                (OneShotAccuracy, report_one_shot)):
                if isinstance(metric, kind):
                    write(report, dataset, rows, metric, self.num_mistakes)
                    return


def _keep_scores(scores: Tensor, label: Tensor, samples: list) -> tuple:
    """Keep the best classes, their scores, score and rank of the true class, and the name."""
    top = scores.topk(min(3, scores.shape[1]))
    known = label < scores.shape[1]
    true = scores.gather(1, (label * known)[:, None])[:, 0] * known
    rank = (scores > true[:, None]).sum(1).where(known & scores.isfinite().all(1), -1)
    return (top.indices.tolist(), top.values.tolist(), true.tolist(), rank.tolist(),
            [s.get('frame_dir', '') for s in samples])


def _keep_normality(normality: Tensor, label: Tensor, samples: list) -> tuple:
    return (normality.tolist(), [s.get('clip') for s in samples],
            [s.get('frame', 0) for s in samples])


# Field of a data sample -> numbers kept. Classifiers of anomalies also have scores.
_KEEP = dict(normality=_keep_normality, pred_score=_keep_scores,
             embedding=lambda embedding, label, samples: ())


def _facts(runner, dataset, seconds: float) -> dict[str, str]:
    """Collect the settings of the run."""
    device = next(runner.model.parameters(), torch.empty(0)).device
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else \
        f'{platform.machine()} CPU, {torch.get_num_threads()} threads'
    processes = get_world_size()
    split = getattr(dataset, 'split', None)
    program = sys.argv[0].split() if sys.argv[0].startswith('mofm ') else ['python', sys.argv[0]]
    return {
        'config': str(runner.cfg.filename),
        'checkpoint': str(loaded_from(runner) or 'none: initial weights of the training'),
        'data': (getattr(dataset, 'ann_file', '') or type(dataset).__name__)
        + (f', split {split}' if split else ''),
        'samples': str(len(dataset)),
        'date': time.strftime('%Y-%m-%d %H:%M:%S'),
        'time': f'{seconds:.1f} s, {len(dataset) / max(seconds, 1e-9):.1f} samples per second',
        'device': name + (f', {processes} processes' if processes > 1 else ''),
        'seed': str(runner.seed),
        'versions': ', '.join([f'Python {platform.python_version()}', *(
            f'{package.__name__} {package.__version__}'
            for package in (mofm, torch, mmengine, np))]),
        'command': shlex.join([*program, *sys.argv[1:]])}
