"""Draw the attention of a backbone: rollout, and the mean over heads of each block.

python tools/analysis/visualize_attention.py configs/dt1_penn_tiny.py CHECKPOINT --clips 0738
"""

from mofm.utils.tool import run_tool

from pictures import add_clips, choose, load, make_parser, rendered, save


def main():
    """Parse the command line and draw."""
    parser = make_parser(__doc__)
    add_clips(parser)
    args = parser.parse_args()
    from mofm.models.backbones import MoFMBackbone
    from mofm.visualization import clip_attention, cube_attention, draw_attention

    model, dataset = load(args)
    backbone = getattr(model, 'backbone', model)
    if not isinstance(backbone, MoFMBackbone):
        raise SystemExit(f'{args.config}: found a {type(model).__name__} without MoFMBackbone, '
                         'expected a model with attention, e.g. configs/dt1_penn_tiny.py')
    for index, name in choose(dataset, args).items():
        inputs, _, keypoints = rendered(model, dataset, index)
        weights, cubes = clip_attention(backbone, inputs)
        maps = cube_attention(weights, cubes, backbone.grid.num_cubes)
        save({f'{name}_attention': draw_attention(keypoints, maps, backbone.grid)}, args.out)


if __name__ == '__main__':
    run_tool(main)
