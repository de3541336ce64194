"""Nearest-neighbor baseline without training."""

from collections.abc import Callable

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from tqdm import tqdm


@torch.no_grad()
def evaluate_nearest_neighbors(cfg: Config, preprocessor: Callable, features: Callable,
                               answer: Callable, neighbors: int = 1) -> dict[str, float]:
    """Evaluate predictions from the nearest training windows, without augmentation.

    Args:
        cfg (Config): Config of data loaders and test evaluator.
        preprocessor (Callable): A data preprocessor.
        features (Callable): Maps preprocessed inputs to features (B, D).
        answer (Callable): Sets the prediction of a data sample, given the sample, the distances
            (k,) of its nearest training windows and their data samples.
        neighbors (int): Number k of training windows. Defaults to 1.

    Returns:
        dict: Metrics by name.
    """
    from sklearn.neighbors import NearestNeighbors  # heavy

    cfg.train_dataloader.dataset.pipeline = cfg.test_dataloader.dataset.pipeline
    train, test = (Runner.build_dataloader(loader)
                   for loader in (cfg.train_dataloader, cfg.test_dataloader))

    def batches(loader, title):
        for batch in tqdm(loader, title):
            data = preprocessor(dict(batch))
            yield batch, data['data_samples'], features(data['inputs']).numpy()

    known, rows = [], []
    for _, samples, part in batches(train, 'Training windows'):
        known += samples
        rows.append(part)
    search = NearestNeighbors(n_neighbors=neighbors, algorithm='brute').fit(np.concatenate(rows))
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = test.dataset.metainfo
    for batch, samples, part in batches(test, 'Test windows'):
        for sample, distance, index in zip(samples, *search.kneighbors(part), strict=True):
            answer(sample, distance, [known[i] for i in index])
        evaluator.process(samples, batch)
    return evaluator.evaluate(len(test.dataset))
