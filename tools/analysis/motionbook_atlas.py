"""Draw an atlas of the MotionBook: the most frequent tokens, and typical clips with them.

python tools/analysis/motionbook_atlas.py configs/mofm/dved_tiny.py CHECKPOINT --tokens 12
"""

from mofm.utils.tool import run_tool

import numpy as np
from pictures import Batches, load, make_parser, positive, save


def main():
    """Parse the command line and draw."""
    parser = make_parser(__doc__)
    parser.add_argument('--tokens', type=positive, default=12, help='rows [%(default)s]')
    parser.add_argument('--num', type=positive, help='number of clips [all of the validation]')
    args = parser.parse_args()
    from mofm.models.tokenizers import MotionTokenizer
    from mofm.visualization import collect_atlas, draw_atlas

    model, dataset = load(args)
    if not isinstance(model, MotionTokenizer):
        raise SystemExit(f'{args.config}: found a {type(model).__name__}, expected a tokenizer, '
                         'e.g. configs/mofm/dved_tiny.py')
    batches = Batches(dataset, 'Clips', args.num)
    entries, share = collect_atlas(model, batches, args.tokens)
    used = share[share > 0]
    print(f'{len(batches.indices)} clips use {len(used)} of {len(share)} tokens, perplexity '
          f'{np.exp(-(used * np.log(used)).sum()):.0f}; the {len(entries)} most frequent are '
          f'{sum(entry.share for entry in entries):.1%} of the cubes with a joint')
    save({'motionbook_atlas': draw_atlas(entries, model.grid)}, args.out)


if __name__ == '__main__':
    run_tool(main)
