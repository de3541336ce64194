"""Draw a map of the validation clips: t-SNE of the pooled features of a backbone.

python tools/analysis/embedding_map.py configs/dt1_penn_tiny.py CHECKPOINT
"""

from mofm.utils.tool import run_tool

import numpy as np
from pictures import Batches, class_names, load, make_parser, positive, save


def main():
    """Parse the command line and draw."""
    parser = make_parser(__doc__)
    parser.add_argument('--num', type=positive, default=2000,
                        help='maximum number of clips, evenly spaced [%(default)s]')
    parser.add_argument('--thumbnails', action='store_true', help='draw a skeleton per class')
    args = parser.parse_args()
    import torch

    from mofm.visualization import draw_embedding, embed_in_plane

    model, dataset = load(args)
    if not hasattr(model, 'backbone'):
        raise SystemExit(f'{args.config}: found a {type(model).__name__}, expected a model with '
                         'a backbone, e.g. configs/dt1_penn_tiny.py')
    batches = Batches(dataset, 'Clips', args.num)
    features, labels = [], []
    for batch in batches:
        samples = batch['data_samples']
        with torch.no_grad():
            pooled = model(model.data_preprocessor(batch)['inputs'], mode='tensor').pooled
        features.append(pooled.view(len(samples), -1, pooled.shape[1]).mean(1).cpu())
        labels += [int(sample.gt_label) for sample in samples]
    if len(labels) < 4:
        raise SystemExit(f'found {len(labels)} clips, expected at least 4 for a map')
    points, labels = embed_in_plane(torch.cat(features).numpy()), np.array(labels)
    thumbnails = {}
    for label in np.unique(labels) if args.thumbnails else ():
        members = np.flatnonzero(labels == label)
        center = np.median(points[members], axis=0)
        nearest = members[np.linalg.norm(points[members] - center, axis=1).argmin()]
        clip = dataset.get_data_info(batches.indices[nearest])
        if len(clip['keypoint']):
            middle = clip['total_frames'] // 2
            thumbnails[label] = [np.asarray(clip[key][0, middle], np.float32)
                                 for key in ('keypoint', 'keypoint_score')]
    save({'embedding_map': draw_embedding(points, labels, class_names(dataset, labels),
                                          thumbnails)}, args.out)


if __name__ == '__main__':
    run_tool(main)
