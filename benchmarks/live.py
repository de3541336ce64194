"""Latency of a live stream, from the capture of a frame to its result and to an event.

python benchmarks/live.py walk.mp4

The video plays back and forth at 30 frames per second as a camera would, through `LiveStream` with
pose network, tracking and model.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
from common import machine

from mofm.apis import MotionInferencer
from mofm.live import LiveStream
from mofm.pose_estimation import build_estimator

FPS = 30
# of the pose network: title, name, options
ESTIMATORS = (('MediaPipe, with squares', 'mediapipe', {}),
              ('MediaPipe, `tiles=False`', 'mediapipe', dict(tiles=False)))


def play(video: Path, target: Path, seconds: float, side: int):
    """Write a video of 30 frames per second that goes back and forth, with this longer side."""
    capture, images = cv2.VideoCapture(str(video)), []
    step = max(round(capture.get(cv2.CAP_PROP_FPS) / FPS), 1)
    while capture.grab() and len(images) < 10 * FPS:
        images.append(capture.retrieve()[1])
        for _ in range(step - 1):
            capture.grab()
    ratio = side / max(images[0].shape)
    images = [cv2.resize(image, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
              for image in images]
    order = [*range(len(images)), *range(len(images) - 2, 0, -1)]
    writer = cv2.VideoWriter(str(target), cv2.VideoWriter_fourcc(*'mp4v'), FPS,
                             images[0].shape[1::-1])
    for number in range(round(seconds * FPS)):
        writer.write(images[order[number % len(order)]])
    writer.release()


def measure(video: Path, inferencer: MotionInferencer, name: str, options: dict) -> str:
    """Return the row of a pose network."""
    stream = LiveStream(video, inferencer, estimator=build_estimator(name, **options),
                        realtime=True, start=.2, end=.1)  # low, so that there are events
    lags, known, count = [], [], 0
    began, worked = time.perf_counter(), time.process_time()
    for result in stream:
        count += 1
        lags.append(result.lag)
        known += [result.time + result.lag - event.start for event in result.events
                  if event.event == 'start']
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    lags = 1000 * np.array(lags[5:])  # without the first calls
    events = f'{np.median(known):.1f} s ({len(known)})' if known else '-'
    return (f'{np.median(lags):.0f} ms | {np.percentile(lags, 95):.0f} ms | {count / seconds:.1f} '
            f'| {stream.dropped} of {stream.dropped + count} | {1000 * worked / count:.0f} ms '
            f'| {events}')


def main():
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('video', type=Path, help='with persons')
    parser.add_argument('--model', default='mofm-tiny-penn')
    parser.add_argument('--seconds', type=float, default=30)
    parser.add_argument('--sides', nargs='+', type=int, default=[640, 1280],
                        help='pixels of the longer side [640 1280]')
    parser.add_argument('--device')
    args = parser.parse_args()
    inferencer = MotionInferencer(args.model, device=args.device)
    print(f'{args.video.name}, {args.seconds:g} s at {FPS} frames per second, {args.model}\n'
          f'{machine(inferencer.model.data_preprocessor.device)}\n')
    print('| poses | side | capture to result: median | 95 % | results/s | frames dropped | CPU '
          'time per result | start of an event known after (events) |\n' + '|---' * 8 + '|')
    with tempfile.TemporaryDirectory() as folder:
        for side in args.sides:
            video = Path(folder) / f'{side}.mp4'
            play(args.video, video, args.seconds, side)
            for title, name, options in ESTIMATORS:
                print(f'| {title} | {side} | {measure(video, inferencer, name, options)} |',
                      flush=True)


if __name__ == '__main__':
    main()
