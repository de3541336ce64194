"""Poses of the people in a video, by the 2D models of MMPose.

The poses of a video go into one JSON file in the format of MMPose's demo, which the reader
``mmpose`` tracks and turns into annotations. Frames are written as soon as they are done, so that
an interrupted video goes on where it stopped.
"""
import difflib
import fcntl
import itertools
import json
import re
import warnings
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.fileio import load
from mmengine.registry import DefaultScope

from mofm.datasets.annotation import AnnotationError, Problem, written_at_once
from mofm.engine.checkpoint import load_local

#: HRNet-W32 (Sun et al., "Deep High-Resolution Representation Learning", CVPR 2019) as MMPose
#: trained it on COCO: 74.6 AP.
MODEL = 'td-hm_hrnet-w32_8xb64-210e_coco-256x192'
#: The detector of MMPose's inferencer.
DETECTOR = 'rtmdet-m'

VIDEOS = {'.avi', '.flv', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm', '.wmv'}
IMAGES = {'.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp'}

Boxes = Callable[[np.ndarray], np.ndarray]


def _error(file: object, field: str, found: object, expected: object) -> AnnotationError:
    return AnnotationError(Problem(str(file), None, field, str(found), str(expected)))


def _by_number(path: Path) -> list:
    """Sort key that puts frame 10 after frame 9."""
    return [int(t) if t.isdecimal() else t for t in re.split(r'(\d+)', path.name)]


def find_videos(path: Union[str, Path]) -> Dict[str, Path]:
    """Videos in a folder and below it, or the one that the path is.

    Args:
        path (str or Path): A video, an image, or a folder. Images in one folder are the frames
            of a video.

    Returns:
        dict[str, Path]: Files, or folders of images, by their name inside ``path``.

    Raises:
        AnnotationError: If there are none.
    """
    path = Path(path)
    if path.is_file():
        return {path.name: path}
    files = [f for f in sorted(path.rglob('*')) if not f.name.startswith('.') and f.is_file()]
    found = {f for f in files if f.suffix.lower() in VIDEOS}
    found |= {f.parent for f in files if f.suffix.lower() in IMAGES}
    if not found:
        raise _error(path, 'videos', 'none' if path.exists() else 'no such file or folder',
                     'files such as .mp4 or .avi, or folders of images')
    return {path.absolute().name if f == path else f.relative_to(path).as_posix(): f
            for f in sorted(found)}


class Video:
    """Frames of a video file, of an image, or of a folder of images.

    Videos are turned upright as their metadata say, which OpenCV leaves to its caller.

    Args:
        path (str or Path): The file or folder.

    Attributes:
        size (int): Bytes of the file or of all images.
        fps (float or None): Frames per second; None if unknown. This and the following are known
            after :meth:`open`.
        width (int): Of the first frame, in pixels.
        height (int): The same.
        expected_frames (int): Number of frames; of a file it is what the header says, which may
            be an estimate.
    """

    def __init__(self, path: Union[str, Path]):
        self.path = Path(path)
        self.images: List[Path] = []
        if self.path.is_dir():
            self.images = sorted((f for f in self.path.iterdir() if f.suffix.lower() in IMAGES
                                  and not f.name.startswith('.')), key=_by_number)
        elif self.path.suffix.lower() in IMAGES:
            self.images = [self.path]
        self.size = sum(f.stat().st_size for f in self.images or [self.path])

    def open(self):
        """Read the header and the first frame.

        Raises:
            AnnotationError: If that is not possible.
        """
        self.fps, self.expected_frames = None, len(self.images)
        if not self.images:
            capture = self._capture()
            fps = capture.get(cv2.CAP_PROP_FPS)
            self.fps = fps if 0 < fps < np.inf else None
            self.expected_frames = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
            capture.release()
        first = next(self._read(0), None)
        if first is None:
            raise _error(self.path, 'video', 'no frame that can be decoded',
                         'a video that OpenCV reads')
        self.height, self.width = first.shape[:2]

    def _capture(self):
        capture = cv2.VideoCapture(str(self.path), cv2.CAP_FFMPEG)
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
        return capture

    def _read(self, start):
        if self.images:
            for file in self.images[start:]:
                try:
                    image = cv2.imread(str(file))
                except cv2.error:  # far too large
                    image = None
                if image is None:
                    raise _error(file, 'image', 'bytes that cannot be decoded', 'an image')
                yield image
            return
        capture = self._capture()
        try:
            # grabbing is exact, seeking is not
            if all(capture.grab() for _ in range(start)):
                while True:
                    there, image = capture.read()
                    if not there:
                        break
                    yield image
        finally:
            capture.release()

    def frames(self, start: int = 0) -> Iterator[np.ndarray]:
        """Frames in order.

        Args:
            start (int): The first one, from 0.

        Yields:
            np.ndarray: (H, W, 3) uint8, blue green red.

        Raises:
            AnnotationError: If an image cannot be read or has another size than the first.
        """
        for index, image in enumerate(self._read(start), start):
            if image.shape[:2] != (self.height, self.width):
                raise _error(self.images[index] if self.images else self.path, 'size',
                             f'{image.shape[1]} x {image.shape[0]} in frame {index}',
                             f'{self.width} x {self.height} as in the first')
            yield image


def whole_frame(image: np.ndarray) -> np.ndarray:
    """The image as the box of one person.

    Args:
        image (np.ndarray): (H, W, 3).

    Returns:
        np.ndarray: (1, 5), x1, y1, x2, y2 and score 1.
    """
    height, width = image.shape[:2]
    return np.array([[0, 0, width, height, 1]], np.float32)


def read_boxes(path: Union[str, Path]) -> Dict[int, np.ndarray]:
    """Boxes of persons from a file ``{"FRAME": [[x1, y1, x2, y2, score], ...], ...}``.

    Args:
        path (str or Path): A JSON file. Frames count from 0, those without persons may be
            missing; coordinates are in pixels; the score may be missing.

    Returns:
        dict[int, np.ndarray]: (N, 5) float32 by frame; scores in [0, 1], by default 1.

    Raises:
        AnnotationError: If it is anything else.
    """
    try:
        data = json.loads(Path(path).read_bytes())
    except Exception as error:  # damaged or hostile text: also recursion and encoding errors
        raise _error(path, 'file', f'{type(error).__name__}: {error}', 'a readable JSON file'
                     ) from None
    if not isinstance(data, dict):
        raise _error(path, 'file', type(data).__name__, '{"FRAME": [[x1, y1, x2, y2], ...], ...}')
    out = {}
    for key, rows in data.items():
        field = f'frame {key[:40]!r}'
        if not re.fullmatch(r'\d{1,9}', key) or int(key) in out:
            raise _error(path, field, 'this key', 'the number of a frame, once')
        if not isinstance(rows, list) or not all(
                isinstance(row, list) and len(row) in (4, 5)
                and all(type(v) in (int, float) for v in row) for row in rows):
            raise _error(path, field, str(rows)[:100], 'lists of 4 or 5 numbers')
        try:
            boxes = np.array([row + [1] * (5 - len(row)) for row in rows], np.float32)
        except OverflowError:
            raise _error(path, field, str(rows)[:100], 'numbers of usual size') from None
        boxes = boxes.reshape(-1, 5)
        if not (np.isfinite(boxes).all() and (boxes[:, 2:4] > boxes[:, :2]).all()
                and ((boxes[:, 4] >= 0) & (boxes[:, 4] <= 1)).all()):
            raise _error(path, field, str(rows)[:100],
                         'x1 < x2, y1 < y2 and a score in [0, 1]')
        out[int(key)] = boxes
    return out


def _mmpose():
    """MMPose, without its warnings about operators that no 2D model needs."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            import mmpose.apis
    except ImportError as error:
        raise ImportError(f'MMPose cannot be imported ({error}): pip install --no-deps -r '
                          'requirements/pose.txt') from None
    return mmpose


def _find_model(package, name: str) -> Tuple[Path, Optional[str]]:
    """Config file and URL of the weights, if any, of a model of an OpenMMLab package."""
    root = Path(package.__file__).parent / '.mim'
    configs = {file.stem: file for file in (root / 'configs').rglob('*.py')}
    names = list(configs)
    for index in load(root / 'model-index.yml')['Import']:
        for entry in load(root / index)['Models']:
            alias = entry.get('Alias') or []
            entry_names = [entry['Name'], *([alias] if isinstance(alias, str) else alias)]
            if name in entry_names:
                weights = entry.get('Weights')
                return (root / entry['Config'],
                        weights[0] if isinstance(weights, list) else weights)
            names += entry_names
    if name in configs:
        return configs[name], None
    close = difflib.get_close_matches(name, names, n=3, cutoff=.4)
    raise ValueError(f'{name}: found no config file and no model of {package.__name__} '
                     f'{package.__version__} of this name, expected e.g. {", ".join(close)}')


def _config(package, model: str, checkpoint: Optional[str]) -> Tuple[str, str]:
    """Config file and checkpoint, as path or URL, of a model."""
    config, url = (model, None) if Path(model).is_file() else _find_model(package, str(model))
    if not (checkpoint or url):
        raise ValueError(f'{model}: found no checkpoint, expected the path or URL of one, as none '
                         'is published for it')
    return str(config), str(checkpoint or url)


def _fetch(checkpoint: str) -> str:
    """Path of a checkpoint, downloaded if it is a URL.

    ``torch.hub`` would unpickle a download without restrictions, so it only fetches it.
    """
    if not re.match(r'https?://', checkpoint):
        return checkpoint
    file = Path(torch.hub.get_dir()) / 'checkpoints' / checkpoint.rpartition('/')[2]
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(checkpoint, str(file))
        except OSError as error:
            raise ValueError(f'{checkpoint}: cannot be downloaded ({error}); fetch it by hand and '
                             'give its path as the checkpoint') from None
    return str(file)


def _load_weights(model: torch.nn.Module, checkpoint: str) -> dict:
    """Load a checkpoint completely, also one of an older MMPose; return what else is in it."""
    # dataset_meta of MMPose holds colours
    with torch.serialization.safe_globals([type(np.dtype('uint8'))]):
        content = load_local(checkpoint, map_location='cpu')
    try:
        missing = model.load_state_dict(content.get('state_dict', content), strict=False)[0]
    except RuntimeError as error:
        missing = [' '.join(str(error).split())[:300]]
    if missing:
        raise ValueError(f'{checkpoint}: found a checkpoint that is not of this model, expected '
                         f'all of its weights ({len(missing)} wrong, e.g. {missing[0]})')
    return content.get('meta', {})


class PersonDetector:
    """Boxes of persons by a detector of MMDetection.

    Args:
        model (str): Name or config file of a model whose class 0 is the person, as in COCO.
        checkpoint (str, optional): Path or URL; by default the published weights of the name.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        min_score (float): Weaker boxes are left out. 0.3 and 0.3 as in MMPose's demo.
        max_overlap (float): Of two boxes with a larger IoU the weaker one is left out.

    Raises:
        ImportError: If MMDetection or MMPose is not installed.
        ValueError: If there is no such model.
    """

    def __init__(self, model: str = DETECTOR, checkpoint: Optional[str] = None,
                 device: Optional[str] = None, min_score: float = .3, max_overlap: float = .3):
        _mmpose()
        from mmpose.evaluation.functional import nms
        try:
            import mmdet
            from mmdet.apis import DetInferencer
        except ImportError as error:
            raise ImportError(
                f'no person detector, as MMDetection cannot be imported ({error}): install mmdet '
                'and the full mmcv, or give --boxes PATH or --whole-frame') from None
        config, checkpoint = _config(mmdet, model, checkpoint)
        self._detect = DetInferencer(config, _fetch(checkpoint), device=device)
        self._detect.show_progress = False
        self._nms = nms
        self.min_score = min_score
        self.max_overlap = max_overlap

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Find the persons in an image.

        Args:
            image (np.ndarray): (H, W, 3) uint8, blue green red.

        Returns:
            np.ndarray: (N, 5) float32, x1, y1, x2, y2 in pixels and the score.
        """
        found = self._detect(image)['predictions'][0]
        boxes = np.column_stack((np.reshape(found['bboxes'], (-1, 4)), found['scores']))
        keep = (np.array(found['labels']) == 0) & (boxes[:, 4] >= self.min_score)
        boxes = boxes[keep].astype(np.float32)
        return boxes[self._nms(boxes, self.max_overlap)]


class PoseExtractor:
    """Poses of the persons in images.

    Args:
        model (str): Name of a 2D model of MMPose, or a config file.
        checkpoint (str, optional): Path or URL; by default the published weights of the name.
        device (str, optional): By default the first GPU, or the CPU if there is none.
        boxes (Callable): From an image to the boxes (N, 4) or (N, 5) of its persons, e.g.
            :func:`whole_frame` or a :class:`PersonDetector`. Bottom-up models, which find the
            persons themselves, ignore it.
        batch_size (int): Persons (bottom-up: frames) that go through the network at once.

    Raises:
        ImportError: If MMPose is not installed.
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If there is no such model, it cannot be built with what is installed, or the
            checkpoint is not one of it.
    """

    def __init__(self, model: str = MODEL, checkpoint: Optional[str] = None,
                 device: Optional[str] = None, boxes: Boxes = whole_frame, batch_size: int = 32):
        if batch_size < 1:
            raise ValueError(f'found batch_size={batch_size}, expected at least 1')
        mmpose = _mmpose()
        config, checkpoint = _config(mmpose, model, checkpoint)
        device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        with DefaultScope.overwrite_default_scope('mmpose'), warnings.catch_warnings():
            warnings.simplefilter('ignore')  # about where it found what it looked for
            config = Config.fromfile(config)
            try:
                self.model = mmpose.apis.init_model(config, None, device)
            except KeyError as error:  # of a registry
                raise ValueError(f'{model}: cannot be built ({str(error)[:80]}...); models with '
                                 'parts of MMDetection or with compiled operators need mmdet and '
                                 'the full mmcv') from None
            self.pipeline = Compose(config.test_dataloader.dataset.pipeline)
        meta = _load_weights(self.model, _fetch(checkpoint))
        self.meta = meta.get('dataset_meta') or self.model.dataset_meta
        self.bottom_up = config.get('data_mode') == 'bottomup'
        self.boxes = boxes
        self.batch_size = batch_size

    def extract(self, frames: Iterable[np.ndarray],
                boxes: Optional[Iterable[np.ndarray]] = None) -> Iterator[Dict[str, np.ndarray]]:
        """Find the poses in images, a batch of persons from one or more of them at a time.

        Args:
            frames (Iterable[np.ndarray]): (H, W, 3) uint8, blue green red.
            boxes (Iterable[np.ndarray], optional): (N, 4) or (N, 5) for each frame: x1, y1, x2,
                y2 in pixels and the score. By default what :attr:`boxes` finds.

        Yields:
            dict: For each frame, float32: ``keypoints`` (N, V, 2) in pixels, ``keypoint_scores``
            (N, V) clipped to [0, 1], ``bboxes`` (N, 4), ``bbox_scores`` (N,).

        Raises:
            AnnotationError: If the network gives NaN.
        """
        find = whole_frame if self.bottom_up else self.boxes
        pairs = ((f, find(f)) for f in frames) if boxes is None else zip(frames, boxes)
        waiting, samples = [], []
        # A batch holds whole frames, so the batches after a restart are the same.
        for image, found in pairs:
            found = np.asarray(found, np.float32)
            if found.shape[1] == 4:
                found = np.column_stack((found, np.ones(len(found), np.float32)))
            if waiting and (len(samples) + len(found) > self.batch_size
                            or len(waiting) == self.batch_size):
                yield from self._poses(waiting, samples)
                waiting, samples = [], []
            waiting.append(found)
            samples += [self._sample(image, box) for box in found]
        yield from self._poses(waiting, samples)

    def _sample(self, image, box):
        """One input of the network."""
        person = {} if self.bottom_up else dict(bbox=box[None, :4], bbox_score=box[4:])
        return self.pipeline(dict(img=image, **person, **self.meta))

    def _poses(self, boxes, samples):
        """Results of some frames, of which each has as many samples as boxes."""
        results = []
        with torch.no_grad():
            for i in range(0, len(samples), self.batch_size):
                batch = pseudo_collate(samples[i:i + self.batch_size])
                results += [r.pred_instances for r in self.model.test_step(batch)]
        results = iter(results)
        empty = np.zeros((0, self.meta['num_keypoints'], 3), np.float32)
        for found in boxes:
            parts = [np.dstack((r.keypoints, r.keypoint_scores))
                     for r in itertools.islice(results, len(found))]
            pose = np.concatenate([empty, *parts]).astype(np.float32)
            if not np.isfinite(pose).all():
                raise AnnotationError('keypoints: the network gives NaN or infinite values, '
                                      'expected finite ones; check the checkpoint')
            keypoints, scores = pose[..., :2], pose[..., 2].clip(0, 1)
            if self.bottom_up:
                found = np.column_stack((keypoints.min(1), keypoints.max(1), scores.mean(1)))
            yield dict(keypoints=keypoints, keypoint_scores=scores, bboxes=found[:, :4],
                       bbox_scores=found[:, 4])


def _instances(poses: Mapping[str, np.ndarray]) -> List[dict]:
    """Poses of a frame as in the files: 2 decimals of pixels, 4 of scores."""
    columns = [poses['keypoints'].astype(float).round(2).tolist(),
               poses['keypoint_scores'].astype(float).round(4).tolist(),
               poses['bboxes'].astype(float).round(2).tolist(),
               poses['bbox_scores'].astype(float).round(4).tolist()]
    names = ('keypoints', 'keypoint_scores', 'bbox', 'bbox_score')
    return [dict(zip(names, values)) for values in zip(*columns)]


def _line(value: dict) -> bytes:
    return json.dumps(value, separators=(',', ':')).encode() + b'\n'


def _check_settings(file: Path, meta: object, settings: dict):
    """Refuse to go on with poses that were made in another way."""
    meta = meta if isinstance(meta, dict) else {}
    for name, expected in settings.items():
        if meta.get(name) != expected:
            raise _error(file, f'meta_info.{name}', repr(meta.get(name)),
                         f'{expected!r}, as now; delete the file or choose another output')


def _done_frames(part, file: Path, settings: dict) -> int:
    """Frames in a part file, whose damaged end is cut off; -1 if it has no head either."""
    end, frames = 0, -1
    part.seek(0)
    for line in part:
        try:
            item = json.loads(line) if line.endswith(b'\n') else None
        except ValueError:
            item = None
        if not isinstance(item, dict) or (frames >= 0 and item.get('frame_id') != frames):
            break
        if frames < 0:
            _check_settings(file, item.get('meta_info'), settings)
        frames += 1
        end += len(line)
    part.truncate(end)
    part.seek(end)
    return frames


def extracted(output: Union[str, Path], settings: dict) -> Optional[dict]:
    """What a complete pose file says about its video.

    Args:
        output (str or Path): ``NAME.json`` as written by :func:`extract_video`.
        settings (dict): As given to it.

    Returns:
        dict or None: Its ``meta_info``; None if there is no such file.

    Raises:
        AnnotationError: If it was made with other settings.
    """
    output = Path(output)
    if not output.exists():
        return None
    with open(output, 'rb') as f:
        head = f.readline(2**16)
    try:
        meta = json.loads(head.rstrip().rstrip(b',') + b'}')['meta_info']
    except (ValueError, KeyError, TypeError):
        meta = None
    _check_settings(output, meta, settings)
    return meta


def extract_video(extractor: PoseExtractor, video: Video, output: Union[str, Path],
                  settings: dict, boxes: Optional[Mapping[int, np.ndarray]] = None,
                  progress: Callable[[int], None] = lambda frames: None) -> dict:
    """Write the poses of a video.

    Until the file is complete, ``NAME.jsonl.part`` beside it has a line per frame; the same call
    goes on after the last complete one.

    Args:
        extractor (PoseExtractor): The network.
        video (Video): The frames.
        output (str or Path): ``NAME.json``, in the format of MMPose's demo with frames from 0.
        settings (dict): What the poses depend on, goes into ``meta_info``. The rest of an
            interrupted video must have the same.
        boxes (Mapping[int, np.ndarray], optional): (N, 5) by frame, see :func:`read_boxes`; by
            default those of the extractor.
        progress (Callable): Called with the number of frames done so far.

    Returns:
        dict: The ``meta_info`` of the file; ``num_frames`` and ``frames_with_persons`` count.

    Raises:
        AnnotationError: If the video cannot be read, the boxes are not of this video, or another
            process works on it.
    """
    output = Path(output)
    video.open()
    if boxes is not None:
        _check_boxes(boxes, video)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(output.name + 'l.part')
    with open(partial, 'a+b') as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _error(partial, 'file', 'another process that writes it',
                         'one process per video') from None
        start = _done_frames(part, partial, settings)
        if start < 0:
            part.write(_line(dict(meta_info=dict(
                settings, width=video.width, height=video.height, fps=video.fps,
                dataset=extractor.meta.get('dataset_name'), frame_offset=0))))
            start = 0
        progress(start)
        given = None if boxes is None else (
            boxes.get(i, np.zeros((0, 5), np.float32)) for i in itertools.count(start))
        frames = start
        for poses in extractor.extract(video.frames(start), given):
            part.write(_line(dict(frame_id=frames, instances=_instances(poses))))
            part.flush()
            frames += 1
            progress(frames)
        if boxes and max(boxes) >= frames:
            raise _error(video.path, 'boxes', f'frame {max(boxes)}',
                         f'frames 0 to {frames - 1}, which the video has')
        meta = _complete(part, output, frames)
    partial.unlink()
    return meta


def _check_boxes(boxes, video):
    """Boxes beside the image are those of another video or size."""
    for frame, found in boxes.items():
        if ((found[:, 2:4] <= 0) | (found[:, :2] >= (video.width, video.height))).any():
            raise _error(video.path, 'boxes', f'one outside of the image in frame {frame}',
                         f'pixels of an image of {video.width} x {video.height}')


def _complete(part, output, frames):
    """Lines of a part file as one JSON file, whose first line is the head."""
    part.seek(0)
    meta = json.loads(part.readline())['meta_info']
    start = part.tell()
    empty = sum(line.endswith(b'"instances":[]}\n') for line in part)
    meta.update(num_frames=frames, frames_with_persons=frames - empty)
    part.seek(start)
    with written_at_once(output) as f:
        f.write(_line(dict(meta_info=meta))[:-2] + b',\n"instance_info":[\n')
        for i, line in enumerate(part):
            f.write(b',\n' * (i > 0) + line[:-1])
        f.write(b'\n]}\n')
    return meta
