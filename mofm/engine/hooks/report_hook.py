"""HTML report of a test run: settings, metrics and worst mistakes."""
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
from mofm.registry import HOOKS


@HOOKS.register_module()
class ReportHook(Hook):
    """HTML report of a test, ``report.html`` in the folder of the run, see :class:`Report`.

    Its sections depend on the predictions: ``pred_score`` (classification), ``embedding``
    (one-shot recognition, with :class:`OneShotAccuracy`) or ``normality`` (anomaly detection, with
    :class:`FrameAUC` or :class:`ClipAUC`). Other tests get a report of their metrics.

    Only a few numbers per sample are kept. The keypoints of the mistakes are read from the data
    set again, by ``sample_idx``.

    Pictures of metrics with an ``out_dir`` go there, see :func:`save_pictures`.

    Args:
        num_mistakes (int): Number of mistakes shown as animations. Defaults to 20.
        page (bool): Write the report, otherwise only the pictures. Defaults to True.
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
                self._kept = name
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
        if not self.page:
            return
        report = Report(f'Test of {Path(runner.cfg.filename or "a model").stem}',
                        {name: _figure(value) for name, value in metrics.items()},
                        _facts(runner, dataset, seconds), runner.cfg.pretty_text)
        if rows:
            self._report(report, dataset, rows, runner.test_evaluator.metrics)
        path = Path(runner.log_dir) / 'report.html'
        report.save(path)
        runner.logger.info(f'report: {path}')

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
    """Keep the three best classes, their scores, and the score of the true class."""
    top = scores.topk(min(3, scores.shape[1]))
    known = label < scores.shape[1]
    true = scores.gather(1, (label * known)[:, None])[:, 0] * known
    return top.indices.tolist(), top.values.tolist(), true.tolist()


def _keep_normality(normality: Tensor, label: Tensor, samples: list) -> tuple:
    return (normality.tolist(), [s.get('clip') for s in samples],
            [s.get('frame', 0) for s in samples])


# Field of a data sample -> numbers kept. Classifiers of anomalies also have scores.
_KEEP = dict(normality=_keep_normality, pred_score=_keep_scores,
             embedding=lambda embedding, label, samples: ())


def _figure(value) -> str:
    if not isinstance(value, float):
        return str(value)
    return f'{value:.4f}' if abs(value) >= .1 or value != value else f'{value:.4g}'


def _facts(runner, dataset, seconds: float) -> dict[str, str]:
    """Collect the settings of the run."""
    device = next(runner.model.parameters(), torch.empty(0)).device
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else \
        f'{platform.machine()} CPU, {torch.get_num_threads()} threads'
    processes = get_world_size()
    split = getattr(dataset, 'split', None)
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
        'command': shlex.join(['python', *sys.argv])}
