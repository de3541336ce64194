"""Draw docs/images/packages.svg from the import contract in pyproject.toml."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH, HEIGHT, GAP, LEFT = 640, 34, 10, 40


def draw(contract: str) -> str:
    """SVG of the layers of a contract, each a row of boxes; a row may import those below it."""
    layers = re.search(r'^layers = \[\n(.*?)^\]', contract, re.MULTILINE | re.DOTALL)[1]
    rows = [['projects'], *([f'mofm.{name}' for name in line.strip(' ",').split(' | ')]
                            for line in layers.splitlines())]
    bottom = len(rows) * (HEIGHT + GAP)
    shapes = [f'<path d="M18 8V{bottom - 16}m-5 -8l5 8l5 -8" class="arrow"/>',
              f'<text transform="translate(12 {bottom / 2}) rotate(-90)">imports</text>']
    for y, names in enumerate(rows):
        width = (WIDTH - LEFT - GAP * (len(names) - 1)) / len(names)
        for x, name in enumerate(names):
            left, top = LEFT + x * (width + GAP), y * (HEIGHT + GAP) + 2
            shapes += [f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{HEIGHT}"/>',
                       f'<text x="{left + width / 2:.0f}" y="{top + 22}">{name}</text>']
    style = ('text{font:14px sans-serif;text-anchor:middle;fill:#222}'
             'rect{fill:#e8eaf6;stroke:#3f51b5}.arrow{fill:none;stroke:#3f51b5;stroke-width:2}'
             'svg{background:#fff}')
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH + 2} {bottom}">\n'
            f'<style>{style}</style>\n' + '\n'.join(shapes) + '\n</svg>\n')


if __name__ == '__main__':
    (ROOT / 'docs/images/packages.svg').write_text(draw((ROOT / 'pyproject.toml').read_text()))
