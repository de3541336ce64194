"""Draw clips, their heat, their motion tokens, and the reconstruction from the tokens.

python tools/analysis/visualize_tokens.py configs/mofm/dved_tiny.py CHECKPOINT --clips 0738

Writes four pictures per clip: keypoints, heat of each joint, tokens (Figure 1 of the paper) and
reconstruction (Figure 3).
"""

from mofm.utils.tool import run_tool

from pictures import add_clips, choose, load, make_parser, rendered, save


def main():
    """Parse the command line and draw."""
    parser = make_parser(__doc__)
    add_clips(parser)
    args = parser.parse_args()
    from mofm.models.tokenizers import MotionTokenizer
    from mofm.visualization import (
        draw_heat,
        draw_joint_heat,
        draw_pose_clip,
        draw_tokenized_clip,
    )

    model, dataset = load(args)
    if not isinstance(model, MotionTokenizer):
        raise SystemExit(f'{args.config}: found a {type(model).__name__}, expected a tokenizer, '
                         'e.g. configs/mofm/dved_tiny.py')
    for index, name in choose(dataset, args).items():
        clip = dataset.get_data_info(index)
        inputs, samples, keypoints = rendered(model, dataset, index)
        sample = model(inputs, samples, mode='predict')[0].cpu()
        save({f'{name}_clip': draw_pose_clip(clip['keypoint'][0], clip['keypoint_score'][0]),
              f'{name}_joints': draw_joint_heat(inputs.volume()[0].cpu(),
                                                model.grid.patch),
              f'{name}_tokens': draw_tokenized_clip(keypoints, sample.tokens, sample.occupied,
                                                    model.grid, model.vocab_size),
              f'{name}_reconstruction': draw_heat(sample.heat, sample.reconstruction)},
             args.out)


if __name__ == '__main__':
    run_tool(main)
