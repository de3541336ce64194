"""Pictures of live results: skeletons with track IDs and classes, a curve of the score, rates."""

from collections import deque
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mofm.apis import EventRule
from mofm.visualization import draw_poses

from .stream import LiveResult

# Colors of Okabe and Ito without black, RGB; a person has that of the track ID.
_COLORS = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167),
           (213, 94, 0), (0, 114, 178))
_SECONDS = 20.  # of the curve
_WHITE, _GRAY, _DARK, _RED = (255, 255, 255), (170, 174, 184), (18, 20, 26), (240, 80, 70)


@lru_cache(maxsize=8)
def _font(size: int):
    return ImageFont.truetype(str(Path(matplotlib.get_data_path(), 'fonts/ttf/DejaVuSans.ttf')),
                              size)


def _color(person: int) -> tuple[int, int, int]:
    return _COLORS[person % len(_COLORS)]


class Overlay:
    """Draws results onto their frames, with the scores of the last 20 seconds.

    Args:
        rule (EventRule): Score and levels, see :attr:`LiveStream.rule`.
        live (bool): Show rate and lag. Defaults to True.
    """

    def __init__(self, rule: EventRule, live: bool = True):
        self.rule, self.live = rule, live
        self._curves: dict[int, deque[tuple[float, float]]] = {}  # time and score by person

    def draw(self, result: LiveResult) -> np.ndarray:
        """Draw a result; call it for every one, as it keeps the curve.

        Args:
            result (LiveResult): The result; its image is not modified.

        Returns:
            np.ndarray: (H, W, 3) uint8 BGR.
        """
        best = {person: self._best(scores) for person, scores in result.scores.items()}
        for person, (_, score) in best.items():
            self._curves.setdefault(person, deque()).append((result.time, score))
        begin = result.time - _SECONDS
        for curve in self._curves.values():
            while curve and curve[0][0] < begin:
                curve.popleft()
        self._curves = {person: curve for person, curve in self._curves.items() if curve}
        persons = result.person.tolist()
        colors = np.array([_color(p)[::-1] for p in persons], np.uint8).reshape(-1, 3)
        size = max(round(max(result.image.shape) / 60), 11)
        image = draw_poses(self._panels(result.image, size), result.keypoint,
                           result.keypoint_score, colors)
        picture = Image.fromarray(image[..., ::-1])
        draw = ImageDraw.Draw(picture)
        self._curve(draw, picture.size, result.time, size)
        for person, keypoint, score in zip(persons, result.keypoint, result.keypoint_score,
                                           strict=True):
            text = f'{person}'
            if person in best:
                text += '  {} {}'.format(*self._words(*best[person]))
            seen = keypoint[score > 0]
            self._tag(draw, picture.size, text, seen[seen[:, 1].argmin()], size, _color(person),
                      person in result.active)
        rates = f'{result.fps:.1f} fps, lag {1000 * result.lag:.0f} ms, {result.dropped} dropped'
        clock = f'{int(result.time // 60)}:{result.time % 60:04.1f}'
        draw.text((size, .5 * size), f'{clock}   {rates}' if self.live else clock, _WHITE,
                  _font(size))
        return np.ascontiguousarray(np.asarray(picture)[..., ::-1])

    def _best(self, scores: dict[str, float]) -> tuple[str, float]:
        label = (min if self.rule.below else max)(scores, key=scores.__getitem__)
        return label, scores[label]

    def _words(self, label: str, score: float) -> tuple[str, str]:
        if self.rule.score == 'probability':
            return label.replace('_', ' '), f'{100 * score:.0f} %'
        return self.rule.score, f'{score:.2f}'

    def _panels(self, image: np.ndarray, size: int) -> np.ndarray:
        """Darken the bar of the rates and the background of the curve."""
        image = image.copy()
        for bar in (image[:round(2.3 * size)], image[-6 * size:])[:1 + bool(self._curves)]:
            cv2.addWeighted(bar, .35, np.full_like(bar, _DARK[::-1]), .65, 0, dst=bar)
        return image

    def _tag(self, draw, limits, text, place, size, color, active):
        """Write text on a plate above a joint, bright while an event is open."""
        font = _font(size)
        left, top, right, bottom = draw.textbbox((0, 0), text, font)
        width, height = right + size, 1.7 * size
        x = float(np.clip(place[0] - width / 2, 2, max(limits[0] - width - 2, 2)))
        y = float(np.clip(place[1] - height - .8 * size, 2.5 * size, limits[1]))
        draw.rounded_rectangle((x, y, x + width, y + height), size / 3,
                               color if active else _DARK, color, max(size // 10, 1))
        draw.text((x + size / 2, y + (height - bottom - top) / 2), text,
                  _DARK if active else color, font)

    def _curve(self, draw, limits, now, size):
        """Draw the scores of the last seconds at the bottom, with the level of events."""
        if not self._curves:
            return
        font = _font(max(round(.8 * size), 9))
        left, right = size, limits[0] - size
        top, bottom = limits[1] - 4.3 * size, limits[1] - .8 * size
        values = [score for curve in self._curves.values() for _, score in curve]
        low, high = (0., 1.) if self.rule.score == 'probability' else (min(values), max(values))
        if self.rule.start is not None:
            low, high = min(low, self.rule.start), max(high, self.rule.start)
        span = max(high - low, 1e-6)

        def place(moment, score):
            return (right - (now - moment) / _SECONDS * (right - left),
                    bottom - (score - low) / span * (bottom - top))

        draw.text((left, limits[1] - 5.7 * size), f'{self.rule.score}, last {_SECONDS:.0f} s',
                  _GRAY, font)
        draw.line((left, bottom, right, bottom), (80, 84, 94), 1)
        if self.rule.start is not None:
            y = place(now, self.rule.start)[1]
            text = f'{self.rule.start:g}'
            draw.text((left, y), text, _RED, font, 'lm')
            for x in range(int(left + draw.textlength(text, font)) + 4, int(right),
                           max(size // 2, 4)):
                draw.line((x, y, x + max(size // 5, 2), y), _RED, 1)
        width = max(size // 7, 2)
        for person, curve in self._curves.items():
            points = [place(*point) for point in curve]
            if len(points) > 1:
                draw.line(points, _color(person), width, 'curve')
