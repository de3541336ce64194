"""Draw the samples that the pipeline of a config feeds to the model.

python tools/analysis/browse_dataset.py configs/dt1_penn_tiny.py --phase train --num 8

Writes one picture per sample: stored keypoints, keypoints on the canvas, heat, and cubes with
masked ones marked; and contact_sheet.png with all samples. --seed changes samples and
augmentations.
"""

from mofm.utils.tool import run_tool

import argparse
import random
from pathlib import Path

import numpy as np
from mmengine.registry import init_default_scope
from pictures import add_clips, check_folder, choose, make_parser, read_config, save
from PIL import Image
from tqdm import tqdm

from mofm.registry import DATASETS, MODELS
from mofm.utils.files import atomic_path
from mofm.utils.names import file_stem


def load(args: argparse.Namespace) -> tuple:
    """Build the data set of a phase and the preprocessor that renders its samples."""
    cfg = read_config(args)
    init_default_scope('mofm')
    loader = cfg.get(f'{args.phase}_dataloader')
    if not loader:
        phases = [p for p in ('train', 'val', 'test') if cfg.get(f'{p}_dataloader')]
        raise SystemExit(f'{args.config}: found no {args.phase}_dataloader, expected --phase to '
                         f'be one of {phases}')
    preprocessor = MODELS.build(cfg.model.data_preprocessor)
    if not hasattr(preprocessor, 'grid'):
        raise SystemExit(f'{args.config}: model.data_preprocessor: found '
                         f'{type(preprocessor).__name__}, expected one of thermal cubes; a model '
                         'that reads coordinates has no heat to draw')
    return DATASETS.build(loader.dataset), preprocessor


def stack(*pictures: np.ndarray) -> Image.Image:
    """Stack pictures (H, W, 3) of any size vertically, resized to the width of the first."""
    width = pictures[0].shape[1]
    parts = [Image.fromarray(p) for p in pictures]
    parts = [p.resize((width, round(p.height * width / p.width)), Image.Resampling.LANCZOS)
             for p in parts]
    out = Image.new('RGB', (width, sum(p.height for p in parts)))
    for i, part in enumerate(parts):
        out.paste(part, (0, sum(p.height for p in parts[:i])))
    return out


def main():
    """Parse the command line and draw."""
    parser = make_parser(__doc__, checkpoint=False)
    parser.add_argument('--phase', choices=['train', 'val', 'test'], default='train',
                        help='data loader [%(default)s]')
    add_clips(parser)
    parser.set_defaults(num=8, out=Path('work_dirs/browse'))
    args = parser.parse_args()
    check_folder(args.out)
    browse(args)


def browse(args):
    """Draw the samples of a data set."""
    import torch
    from mmengine.dataset import pseudo_collate

    from mofm.visualization.heat import draw_heat
    from mofm.visualization.sample import draw_sample, draw_samples
    from mofm.visualization.visualizer import figure_to_image

    dataset, preprocessor = load(args)
    classes = dataset.metainfo.get('classes') or []
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    unions, masks, titles, used = [], [], [], {}
    for index, name in tqdm(choose(dataset, args).items(), 'Samples'):
        clip, sample = dataset.get_data_info(index), dataset[index]
        data = preprocessor(pseudo_collate([sample]))
        keypoints = sample['inputs']['keypoints'].numpy()
        keypoints = keypoints.reshape(-1, *keypoints.shape[-4:])[0]  # first clip
        union, mask = data['inputs'].union()[0].numpy(), data.get('mask')
        # of all segments of the clip
        mask = None if mask is None else mask.view(-1, preprocessor.grid.num_cubes).any(0).numpy()
        label = clip['label']
        title = f'{name}, {classes[label] if label < len(classes) else f"label {label}"}'
        figure = draw_sample(clip, keypoints, union, preprocessor.grid, mask, title)
        path = args.out / f'{file_stem(f"{index}_{name}", used)}.png'
        with atomic_path(path) as temporary:
            stack(figure_to_image(figure, 100),
                  figure_to_image(draw_heat(union), 100)).save(temporary)
        tqdm.write(str(path))
        unions.append(union)
        masks.append(mask)
        titles.append(title)
    save({'contact_sheet': draw_samples(unions, titles, preprocessor.grid, masks)}, args.out)


if __name__ == '__main__':
    run_tool(main, ValueError)
