"""Helpers of tools that draw pictures: arguments, model, clips, folder."""

import argparse
import difflib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from tqdm import tqdm

from mofm.registry import DATASETS
from mofm.utils.config import load_config
from mofm.utils.names import file_stem


def make_parser(description: str, checkpoint: bool = True) -> argparse.ArgumentParser:
    """Make a parser of config, checkpoint, folder and overrides."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument('config', help='config file')
    if checkpoint:
        parser.add_argument('checkpoint', help='checkpoint of tools/train.py')
    add_out(parser)
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE',
                        help='override settings, e.g. val_dataloader.dataset.split=train')
    return parser


def add_out(parser: argparse.ArgumentParser):
    """Add the folder of the pictures."""
    parser.add_argument('--out', type=Path, default=Path('work_dirs/pictures'), metavar='FOLDER',
                        help='folder of the pictures [%(default)s]')


def positive(text: str) -> int:
    """Parse a positive integer."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'found {value}, expected at least 1')
    return value


def add_clips(parser: argparse.ArgumentParser):
    """Add the arguments of tools that show single clips."""
    parser.add_argument('--clips', nargs='+', metavar='NAME',
                        help='frame_dir of the clips to show [random clips]')
    parser.add_argument('--num', type=positive, default=3,
                        help='number of random clips [%(default)s]')
    parser.add_argument('--seed', type=int, default=0, help='seed of random clips [%(default)s]')


def load_dataset(args: argparse.Namespace) -> tuple:
    """Load a config with its overrides, and its validation clips."""
    cfg = read_config(args)
    init_default_scope('mofm')
    try:
        return cfg, DATASETS.build(cfg.val_dataloader.dataset)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from error


def read_config(args: argparse.Namespace) -> Config:
    """Load a config with its overrides."""
    try:
        return load_config(args.config, args.cfg_options)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error


def load(args: argparse.Namespace) -> tuple:
    """Load a model in evaluation mode, and the validation clips of its config."""
    from mofm.apis.model import init_model

    check_folder(args.out)
    cfg, dataset = load_dataset(args)
    try:
        return init_model(cfg, args.checkpoint), dataset
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(f'error: {error}') from error


def check_folder(folder: Path):
    """Exit early if the folder is not writable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise SystemExit(
            f'--out: {folder}: {error.strerror}; expected a writable folder') from error


def class_names(dataset, labels: Sequence[int]) -> list[str]:
    """Return the class names, their indices if the data set does not name them."""
    return list(dataset.metainfo.get('classes') or map(str, range(max(labels) + 1)))


def choose(dataset, args: argparse.Namespace) -> dict[int, str]:
    """Map index to name for the clips of :func:`add_clips`; repeated names get the index."""
    if args.clips is None:
        rng = np.random.default_rng(args.seed)
        indices = np.sort(rng.permutation(len(dataset))[:args.num]).tolist()
        names = [dataset.get_data_info(index)['frame_dir'] for index in indices]
        return {index: name if names.count(name) == 1 else f'{name}_{index}'
                for index, name in zip(indices, names, strict=True)}
    names = {dataset.get_data_info(i)['frame_dir']: i for i in reversed(range(len(dataset)))}
    for name in args.clips:
        if name not in names:
            like = difflib.get_close_matches(name, names, 3, 0) or list(names)[:3]
            raise SystemExit(f'--clips: no clip {name!r} in {len(names)} clips; '
                             f'similar are {", ".join(like)}')
    return {names[name]: name for name in args.clips}


class Batches:
    """Batches of a data set in order, with a progress bar per pass.

    Args:
        dataset (Dataset): Packed samples.
        title (str): Title of the bar.
        num (int, optional): Number of clips, evenly spaced. Defaults to all.
    """

    def __init__(self, dataset, title: str, num: int | None = None):
        from mmengine.dataset import pseudo_collate
        from torch.utils.data import DataLoader, Subset

        self.indices = np.arange(len(dataset))
        if num is not None and num < len(dataset):
            self.indices = np.linspace(0, len(dataset) - 1, num).round().astype(int)
        self.loader = DataLoader(Subset(dataset, self.indices.tolist()), 32,
                                 collate_fn=pseudo_collate)
        self.title = title

    def __iter__(self):
        return iter(tqdm(self.loader, self.title))


def rendered(model, dataset, index: int) -> tuple:
    """Render a clip: thermal cubes, data samples and keypoints (M, J, F, 3)."""
    from mmengine.dataset import pseudo_collate

    batch = pseudo_collate([dataset[index]])
    data = model.data_preprocessor(batch)
    return data['inputs'], data['data_samples'], data['inputs'].keypoints[0].cpu().numpy()


def save(figures: dict, folder: Path):
    """Write pictures and list them; names are untrusted."""
    from mofm.visualization import save_figure

    used: dict[str, int] = {}
    for name, figure in figures.items():
        path = folder / f'{file_stem(name, used)}.png'
        save_figure(figure, path)
        print(path)
