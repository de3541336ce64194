"""LiveStream: poses, tracks, scores and events of a camera, a stream, a file or a folder."""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mofm.apis import EventRule, MotionInferencer, MotionStream
from mofm.hub.zoo import DEFAULT
from mofm.keypoints import PoseTracker
from mofm.keypoints.gaps import interpolate
from mofm.pose_estimation import PoseEstimator, build_estimator
from mofm.utils.checks import is_number, require

from .events import Event, EventDetector, utc
from .source import Frame, NewestFrames, in_real_time, open_source

_WINDOW = 2.  # seconds, of models trained on whole clips
_PATIENCE = 2.  # seconds in which a person may be away, and between two frames that are filled
_BREAK = 60.  # seconds after which all starts anew
_ENDING = 1.  # seconds to wait for the source at the end
_LEAST_JOINTS = 3  # in the image, of a pose
_FPS_OVER = 30  # frames over which the rate is measured


@dataclass(frozen=True)
class LiveResult:
    """Result of a frame.

    Attributes:
        image (np.ndarray): (H, W, 3) uint8 BGR, the frame.
        time (float): Its seconds since the first frame.
        person (np.ndarray): (N,) track IDs of the persons in the frame.
        keypoint (np.ndarray): (N, 17, 2) pixels, COCO-17.
        keypoint_score (np.ndarray): (N, 17), 0 for a missing joint.
        scores (dict[int, dict[str, float]]): Scores of the latest window of each of them, by
            label, e.g. probabilities of the classes; without persons who had no full window yet.
        active (dict[int, str]): Labels of their open events.
        events (list[Event]): What starts and ends with the frame, or since the one before.
        lag (float): Seconds from reading the frame to the result.
        fps (float): Processed frames per second.
        dropped (int): Frames dropped so far.
    """

    image: np.ndarray
    time: float
    person: np.ndarray
    keypoint: np.ndarray
    keypoint_score: np.ndarray
    scores: dict[int, dict[str, float]] = field(default_factory=dict)
    active: dict[int, str] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    lag: float = 0.
    fps: float = 0.
    dropped: int = 0


class LiveStream:
    """Iterator over the results of a live source.

    >>> for result in LiveStream('rtsp://camera/stream'):
    ...     for event in result.events:
    ...         print(event.event, event.label, event.person, event.start, event.end)

    Cameras and network streams are read by a thread that keeps the newest frame, so that a slow
    machine drops frames and does not lag; poses in between are interpolated, as windows have a
    length in time. Files and folders are processed frame by frame unless ``realtime``.

    Args:
        source (int, str or Path): Number of a camera, an ``rtsp://`` or ``http://`` URL, a video
            file, or a folder to which images and videos are added.
        model (MotionInferencer, str or Path): Model, or what :class:`MotionInferencer` takes.
            Defaults to that of ``mofm demo``.
        task (str, optional): Task of the model, by default the first.
        estimator (PoseEstimator or str): Pose network or its name. Defaults to 'auto'.
        window (float, optional): Seconds of a window. By default the frames of the config's data
            set at the frame rate of the source, else 2 seconds.
        stride (float): Seconds between two windows of a person. Defaults to 0.5.
        start (float, optional): Score at which an event starts, by default that of the task;
            without one there are no events.
        end (float, optional): Score at which it ends, by default that of the task or ``start``.
        min_length (float): Seconds of the shortest event. Defaults to 0.5.
        realtime (bool): Play files at their own speed, and drop frames. Defaults to False.
        fps (float, optional): Frames per second, where the source lacks them or is wrong.
        retries (int, optional): Failed attempts to reconnect after which the stream ends. Defaults
            to None, endless.
        notify (Callable, optional): Called with each line about the state of the source; by
            default they are printed to stderr.

    Attributes:
        name (str): Name of the source without credentials.
        rule (EventRule): Score and levels of the events.
        dropped (int): Frames dropped so far.
        idle (Callable): Called several times a second while the source sends no frame.

    Raises:
        OSError: If the source cannot be opened.
        ValueError: If an argument is out of range or the task has no events.
        ImportError: If no pose estimator is installed.
    """

    def __init__(self, source: int | str | Path, model: MotionInferencer | str | Path = DEFAULT,
                 task: str | None = None, estimator: PoseEstimator | str = 'auto',
                 window: float | None = None, stride: float = .5, start: float | None = None,
                 end: float | None = None, min_length: float = .5, realtime: bool = False,
                 fps: float | None = None, retries: int | None = None,
                 notify: Callable[[str], None] | None = None):
        for name, value, low in (('window', window, .1), ('stride', stride, .01),
                                 ('min_length', min_length, 0), ('fps', fps, .1),
                                 ('start', start, -np.inf), ('end', end, -np.inf)):
            require(value is None or is_number(value, low), self, name, value,
                    'a number' + f' of at least {low}' * bool(np.isfinite(low)))
        self.inferencer = model if isinstance(model, MotionInferencer) else MotionInferencer(model)
        self._task = self.inferencer.task(task)
        self.rule = self._levels(start, end)
        self._estimator = build_estimator(estimator) if isinstance(estimator, str) else estimator
        self._window, self._stride, self.realtime = window, stride, realtime
        self._events = EventDetector(self._task.task, self.rule, min_length, _PATIENCE)
        self._tracker: PoseTracker | None = None
        self._windows: MotionStream | None = None
        self._fps = self._captured = 0.  # of the newest frame
        self._number = -1  # the same, at the nominal rate
        self._before: tuple | None = None  # persons and points of the frame before
        self._times: deque[tuple[int, float]] = deque()  # of the numbers
        self._scores: dict[int, dict[str, float]] = {}
        self._started: dict[str, str] = {}  # times by the clock of open events
        self._done: deque[float] = deque(maxlen=_FPS_OVER + 1)
        self._newest: NewestFrames | None = None
        self._source = open_source(source, fps, retries=retries,
                                   **dict(notify=notify) if notify else {})
        self.name, self.live = self._source.name, self._source.live
        self.idle: Callable[[], object] = lambda: None

    def _levels(self, start, end) -> EventRule:
        """Return the rule of the task with the levels of the caller."""
        rule = self._task.event_rule
        if rule is None:
            others = [name for name in self.inferencer.tasks
                      if self.inferencer.task(name).event_rule]
            raise ValueError(f'task: found {self._task.task!r}, which has no events, expected '
                             f'{" or ".join(others) or "a model of actions or anomalies"}')
        if start is None:
            start, end = rule.start, rule.end if end is None else end
        elif end is None:
            end = start if rule.end is None or rule.start is None else \
                start + rule.end - rule.start
        if start is not None:
            good = start <= end if rule.below else start >= end
            require(good, self, 'end', end,
                    f'at {"least" if rule.below else "most"} start={start}')
        return replace(rule, start=start, end=end)

    @property
    def dropped(self) -> int:
        """Frames dropped so far."""
        return self._newest.dropped if self._newest else 0

    @property
    def reading(self) -> bool:
        """Whether a thread still waits for the source, also after the last result."""
        return self._newest is not None and self._newest.reading

    def stop(self):
        """End the iteration after the current frame; open events end. Signal handlers may call it.

        Leaving the loop by ``break`` ends the source, but no events.
        """
        self._source.stop.set()

    def __iter__(self) -> Iterator[LiveResult]:
        """Iterate over the results, one per processed frame.

        If events end without a frame, because the source is broken or ends, the result of the last
        frame comes once more with these events.
        """
        result = None
        try:
            for frame in self._frames():
                if self._source.stop.is_set():
                    break
                if frame is not None:
                    result = self._process(frame)
                    yield result
                    continue
                self.idle()
                if result is not None and self.live:
                    now = result.time + time.monotonic() - self._captured
                    if ended := self._events.expire(now, source=self.name):
                        yield self._again(result, ended, now)
            if result is not None and (ended := self._events.close(self.name)):
                yield self._again(result, ended, result.time)
        finally:
            self._source.stop.set()
            if self._newest is not None:
                self._newest.end(_ENDING)

    def _frames(self) -> Iterator[Frame | None]:
        if self.realtime and not self.live:
            self._newest = NewestFrames(self._source, in_real_time(self._source))
        elif self.live:
            self._newest = NewestFrames(self._source, self._source.frames())
        return iter(self._newest or self._source.frames())

    def _again(self, result: LiveResult, events: list[Event], now: float) -> LiveResult:
        return replace(result, events=self._dated(events, now), active={})

    def _dated(self, events: list[Event], now: float) -> list[Event]:
        """Add the times by the clock to events of a live source."""
        if not self.live:
            return events
        dated = []
        for event in events:
            if event.end is None:
                self._started[event.id] = utc(now - event.start)
                dated.append(replace(event, start_utc=self._started[event.id]))
            else:
                dated.append(replace(event, start_utc=self._started.pop(event.id),
                                     end_utc=utc(now - event.end)))
        return dated

    def _process(self, frame: Frame) -> LiveResult:
        """Find persons, scores and events of a frame."""
        self._captured, events = frame.captured, []
        if self._tracker is None:  # its IDs are unique to the end
            self._tracker = PoseTracker(round(_PATIENCE * frame.fps))
        windows = self._windows_of(frame)
        if windows is not self._windows:  # the image changed, or there was a long break
            events += self._events.close(frame.source)
            self._windows, self._before = windows, None
        keypoint, score = self._poses(frame.image)
        number = max(self._number + 1, round(frame.time * frame.fps))
        self._times.append((number, frame.time))
        person = self._tracker.update(keypoint, score, number)
        points = np.concatenate([keypoint, score[..., None]], -1)
        for place, persons, rows in (*self._between(number, person, points, frame.fps),
                                     (number, person, points)):
            events += self._push(windows, place, persons, rows, frame.source)
        self._number, self._before = number, (person, points)
        events += self._events.expire(frame.time, person.tolist(), frame.source)
        self._scores = {p: s for p, s in self._scores.items() if p in self._events.persons}
        now = time.monotonic()
        self._done.append(now)
        return LiveResult(
            frame.image, frame.time, person, keypoint, score,
            {p: self._scores[p] for p in person.tolist() if p in self._scores},
            {p: label for p in person.tolist() if (label := self._events.current(p))},
            self._dated(events, frame.time + now - frame.captured), now - frame.captured,
            (len(self._done) - 1) / max(now - self._done[0], 1e-9), self.dropped)

    def _poses(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the poses in an image, without joints outside of it."""
        poses = next(iter(self._estimator.extract([image])))
        keypoint, score = poses['keypoints'], poses['keypoint_scores']
        inside = ((keypoint >= 0) & (keypoint < image.shape[1::-1])).all(-1)
        score = np.where(inside, score, 0)
        seen = (score > 0).sum(1) >= _LEAST_JOINTS
        return keypoint[seen], score[seen]

    def _windows_of(self, frame: Frame) -> MotionStream:
        """Return the windows for a frame, new ones if it cannot continue those before."""
        (height, width), old = frame.image.shape[:2], self._windows
        if old is not None and old.img_shape == (height, width) and self._fps == frame.fps \
                and frame.time * frame.fps - self._number <= _BREAK * frame.fps:
            return old
        self._fps, window = frame.fps, None
        dataset = self.inferencer.dataset
        if self._window or not (dataset.get('seg_len') or dataset.get('window')):
            window = max(round((self._window or _WINDOW) * frame.fps), 1)
        new = MotionStream(self.inferencer, (height, width), self._task.task, window,
                           max(round(self._stride * frame.fps), 1))
        new.max_missing = max(new.max_missing, new.window // 4)
        self._times = deque(maxlen=2 * new.window)
        return new

    def _between(self, number, person, points, fps) -> Iterator[tuple]:
        """Interpolate the poses of dropped frames since the frame before."""
        if self._before is None or not 1 < number - self._number <= _PATIENCE * fps:
            return
        before, old = self._before
        same, now, then = np.intersect1d(person, before, return_indices=True)
        pair = np.stack([old[then], points[now]], 1)  # (P, 2, 17, 3)
        places = np.arange(self._number + 1, number)
        keypoint, score = interpolate(pair[..., :2], pair[..., 2],
                                      np.array([self._number, number]), places)
        for i, place in enumerate(places.tolist()):
            yield place, same, np.concatenate([keypoint[:, i], score[:, i, :, None]], -1)

    def _push(self, windows, number, person, points, source) -> list[Event]:
        """Add the poses of a frame to the windows; returns the events of those it fills."""
        events, (numbers, times) = [], np.transpose(self._times)
        for window in windows.push(points[..., :2], points[..., 2], number, person):
            scores = self._task.window_scores(window.output)
            self._scores[window.person] = scores
            first, middle, last = np.interp(
                (window.frames[0], window.frame, window.frames[1]), numbers, times).tolist()
            events += self._events.update(window.person, (first, middle, last), scores, source)
        return events
