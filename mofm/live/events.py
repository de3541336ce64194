"""Events out of scores over time: start and end, with hysteresis and a minimum length."""

import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone

from mofm.apis import EventRule


@dataclass(frozen=True)
class Event:
    """Start or end of an action or an anomaly of a person.

    Attributes:
        id (str): Unique; start and end have the same.
        event (str): 'start' or 'end'.
        task (str): Task of the model, e.g. 'action'.
        label (str): Class, or the name of the task if it has none.
        person (int): Track ID.
        score (float): That of the class: the latest at the start, the mean at the end.
        score_name (str): What the score is, e.g. 'probability'.
        start (float): Seconds since the first frame.
        end (float, optional): None for a start.
        source (str): Name of the source, without credentials.
        start_utc (str, optional): Start by the clock, ISO 8601; None for files.
        end_utc (str, optional): The same of the end.
    """

    id: str
    event: str
    task: str
    label: str
    person: int
    score: float
    score_name: str
    start: float
    end: float | None
    source: str
    start_utc: str | None = None
    end_utc: str | None = None

    def to_dict(self) -> dict:
        """Return the fields for a file, rounded, with the score under its own name."""
        fields = {name: round(value, 3) if isinstance(value, float) else value
                  for name, value in asdict(self).items()}
        out = {}
        for name, value in fields.items():
            if name == 'score':
                out[self.score_name] = round(self.score, 4)
            elif name != 'score_name':
                out['class' if name == 'label' else name] = value
        return out


@dataclass
class _Span:
    """Windows in a row that have one label."""

    label: str
    start: float
    end: float = 0.  # middle of the last window
    last: float = 0.  # its end
    score: float = 0.
    total: float = 0.
    count: int = 0
    id: str = ''

    def add(self, middle: float, last: float, score: float):
        self.end, self.last, self.score = middle, last, score
        self.total, self.count = self.total + score, self.count + 1


class EventDetector:
    """Turns the scores of windows into events, for each person on their own.

    A window stands for its middle, the first and last of a person for their whole. An event starts
    when the score of a label reaches ``rule.start`` for ``min_length`` seconds. It ends when the
    score does not reach ``rule.end`` for ``min_length`` seconds, another label starts, the person
    is not seen for ``patience`` seconds, or the stream ends.

    Args:
        task (str): Name of the task.
        rule (EventRule): Score and levels.
        min_length (float): Seconds of the shortest event, and of the shortest pause. Defaults to
            0.5.
        patience (float): Seconds without a person, or without a connection. Defaults to 2.
    """

    def __init__(self, task: str, rule: EventRule, min_length: float = .5, patience: float = 2.):
        self.task, self.rule = task, rule
        self.min_length, self.patience = min_length, patience
        self._run, self._count = uuid.uuid4().hex[:8], 0
        self._open: dict[int, _Span] = {}
        self._rising: dict[int, _Span | None] = {}  # too short to be events so far
        self._seen: dict[int, float] = {}

    def _reaches(self, score: float, level: float | None) -> bool:
        if level is None:
            return False
        return score < level if self.rule.below else score >= level

    def update(self, person: int, span: tuple[float, float, float], scores: dict[str, float],
               source: str = '') -> list[Event]:
        """Add a window.

        Args:
            person (int): Track ID.
            span (tuple[float, float, float]): First, middle and last second of the window.
            scores (dict[str, float]): Score of each label.
            source (str): Name of the source.

        Returns:
            list[Event]: Those that end and start with it.
        """
        first, middle, last = span
        found, new = [], person not in self._seen
        self._seen[person] = max(last, self._seen.get(person, last))
        current, rising = self._open.get(person), self._rising.get(person)
        if current is not None:
            if self._reaches(scores[current.label], self.rule.end):
                current.add(middle, last, scores[current.label])
            elif middle - current.end >= self.min_length:
                found.append(self._end(person, current.end, source))
                current = None
        best = (min if self.rule.below else max)(scores, key=scores.__getitem__)
        if not self._reaches(scores[best], self.rule.start) or (
                current is not None and current.label == best):
            rising = None
        else:
            if rising is None or rising.label != best:
                rising = _Span(best, first if new else middle)
            rising.add(middle, last, scores[best])
            if middle - rising.start >= self.min_length:
                if current is not None:
                    found.append(self._end(person, current.end, source))
                self._count += 1
                rising.id = f'{self._run}-{self._count}'
                self._open[person] = rising
                found.append(self._event('start', person, rising, None, source))
                rising = None
        self._rising[person] = rising
        return found

    def expire(self, now: float, present: Iterable[int] = (), source: str = '') -> list[Event]:
        """End the events of persons who were not seen for :attr:`patience` seconds.

        Args:
            now (float): Second of the stream.
            present (Iterable[int]): Track IDs of those who are seen.
            source (str): Name of the source.
        """
        self._seen.update((person, now) for person in present if person in self._seen)
        gone = [person for person, last in self._seen.items() if now - last > self.patience]
        return self._close(gone, source)

    def close(self, source: str = '') -> list[Event]:
        """End all events."""
        return self._close(list(self._seen), source)

    def _close(self, persons: list[int], source: str) -> list[Event]:
        for person in persons:
            del self._seen[person]
            self._rising.pop(person, None)
        return [self._end(person, self._open[person].last, source)
                for person in persons if person in self._open]

    @property
    def persons(self) -> set[int]:
        """Track IDs of those who had a window a short time ago."""
        return set(self._seen)

    def current(self, person: int) -> str | None:
        """Return the label of the open event of a person, None without one."""
        return self._open[person].label if person in self._open else None

    def _end(self, person: int, end: float, source: str) -> Event:
        return self._event('end', person, self._open.pop(person), end, source)

    def _event(self, kind: str, person: int, span: _Span, end: float | None, source: str) -> Event:
        score = span.total / span.count if kind == 'end' else span.score
        return Event(span.id, kind, self.task, span.label, person, score, self.rule.score,
                     span.start, end, source)


def utc(seconds_ago: float) -> str:
    """Return a time in the past, ISO 8601 in UTC with milliseconds."""
    moment = datetime.now(timezone.utc) - timedelta(seconds=seconds_ago)
    return moment.isoformat(timespec='milliseconds').replace('+00:00', 'Z')
