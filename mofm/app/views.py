"""HTML of results: bars, a curve to click on, cards of hits; every text from a file is escaped."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np

from mofm.apis.demo import FPS, View
from mofm.apis.inferencers import ActionResult, AnomalyResult
from mofm.apis.motion_index import Hit

_POINTS = 600  # of a curve


def facts(about: Mapping[str, str]) -> str:
    """Return a list of names and texts."""
    rows = ''.join(f'<dt>{escape(name.capitalize())}</dt><dd>{escape(text.replace("`", ""))}</dd>'
                   for name, text in about.items())
    return f'<dl class="facts">{rows}</dl>'


def bars(scores: Sequence[tuple[str, float]]) -> str:
    """Return bars of probabilities, the best first."""
    rows = ''.join(
        f'<li><span>{escape(name.replace("_", " "))}</span><b>{100 * score:.0f} %</b>'
        f'<i style="width:{100 * max(score, 0):.1f}%"></i></li>' for name, score in scores)
    return f'<ol class="bars">{rows}</ol>'


def curve(result: AnomalyResult) -> str:
    """Return the normality over time; a click moves the video of the recording to the frame."""
    total, fps = len(result.smoothed), result.fps or FPS
    frames = np.unique(np.linspace(0, total - 1, min(total, _POINTS)).round().astype(int))
    low, high = result.smoothed.min(), result.smoothed.max()
    height = 96 - 92 * (result.smoothed[frames] - low) / max(high - low, 1e-9)
    points = ' '.join(f'{x + .5},{y:.1f}' for x, y in zip(frames, height, strict=True))

    def when(frame: int) -> str:
        return f'{frame / fps:.1f} s' if result.fps else f'frame {frame}'

    moments = ''.join(f'<button class="moment" data-frame="{frame}">{when(frame)}</button>'
                      for frame in sorted(result.thumbnails()))
    ticks = ''.join(f'<span>{when(int(frame))}</span>'
                    for frame in np.linspace(0, total - 1, 5))
    return (f'<div class="curve" data-fps="{fps}"><p>Normality, from {low:.3f} to {high:.3f}. '
            'A click shows the moment in the video.</p>'
            f'<div class="plot" data-frames="{total}" role="slider" tabindex="0" '
            f'aria-label="moment" aria-valuemin="0" aria-valuemax="{total - 1}" '
            f'aria-valuenow="0"><svg viewBox="0 0 {total} 100" preserveAspectRatio="none">'
            f'<polyline points="{points}"/></svg><i></i></div><div class="ticks">{ticks}</div>'
            + (f'<p>Least normal: {moments}</p>' if moments else '') + '</div>')


def view(shown: View) -> str:
    """Return the answer of a model."""
    result = shown.result
    if isinstance(result, ActionResult):
        several = f'<p>{escape(result.summary())}</p>' if len(result.frames) > 1 else ''
        return several + bars(result.top())
    if isinstance(result, AnomalyResult):
        return curve(result)
    return f'<p>{escape(result.summary())}</p>'


def listed(texts: Sequence[str]) -> str:
    """Return a list of texts."""
    return f'<ul>{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'


def pictures(paths: Sequence[Path]) -> str:
    """Return images; on a phone they scroll in a frame of their own."""
    return ''.join(f'<div class="scroll"><img src="{_data(path)}" alt="{escape(path.stem)}"></div>'
                   for path in paths)


def _data(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode()
    return f'data:image/{path.suffix[1:]};base64,{content}'


def hits(found: Sequence[Hit], images: Sequence[Path]) -> str:
    """Return a card for each hit."""
    cards = []
    for hit, image in zip(found, images, strict=True):
        when = '{:.1f} to {:.1f} s'.format(*hit.seconds) if hit.seconds else \
            f'frames {hit.first} to {hit.last}'
        name = escape(hit.recording)
        cards.append(f'<li><img src="{_data(image)}" alt="skeleton in motion">'
                     f'<b>{hit.similarity:.2f}</b> <span title="{name}">{name}</span>'
                     f'<small>person {hit.person}, {when}</small></li>')
    return f'<ol class="hits">{"".join(cards)}</ol>'
