"""Answers of models about an upload, with the files that the page shows and offers."""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mofm.annotations import AnnotationError
from mofm.apis import MotionIndex, MotionInferencer, write_hits
from mofm.apis.demo import (
    View,
    about,
    title_of,
    videos_of,
    write_clip,
    write_page,
    write_skeletons,
)
from mofm.apis.inferencers import (
    ActionInferencer,
    BaseInferencer,
    OneShotResult,
    Result,
    join_tables,
)
from mofm.apis.motion_index import Hit
from mofm.apis.recordings import RecordingOptions, RecordingReader
from mofm.hub.zoo import DEFAULT, read_index
from mofm.sources.recognition import known_suffixes
from mofm.utils.file_tree import ARCHIVES
from mofm.utils.files import IMAGES, VIDEOS
from mofm.utils.names import file_stem
from mofm.utils.tables import write_arrow
from mofm.visualization import save_animation, save_figure

EXAMPLES = sorted(Path(__file__).with_name('examples').glob('*.json'))
READING = RecordingOptions()  # of videos, by default
MODEL = 'model'  # folder of the model in that of an index
_DRAWN = 3  # recordings of an upload that are drawn
_HITS = 12
_ANNOTATIONS = '.arrow', '.npy', '.npz'

#: Called with the done share in [0, 1] and a text.
Progress = Callable[[float, str], object]


def upload_suffixes() -> list[str]:
    """Return the suffixes of the files that can be uploaded."""
    return sorted({*VIDEOS, *IMAGES, *ARCHIVES, *_ANNOTATIONS, *known_suffixes()})


def explain(error: Exception) -> str:
    """Return the message of an error for users."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f'{Path(error.filename).name}: {error.strerror}'
    if isinstance(error, (ImportError, OSError, TypeError, ValueError)):
        return str(error)
    return f'{type(error).__name__}: {error}; the terminal of mofm app shows more'


@dataclass
class Answer:
    """Answers about an upload.

    Attributes:
        skeletons (dict[str, Path]): Video of each recording that is drawn.
        views (dict[str, list[View]]): Answers about it.
        archive (Path): Zip file of all tables, pictures and videos, and a report.
        names (list[str]): All recordings.
        notes (list[str]): What the upload was taken for, and what was skipped.
    """

    skeletons: dict[str, Path]
    views: dict[str, list[View]]
    archive: Path
    names: list[str]
    notes: list[str]


class Models:
    """Models that the page offers, by label; each is loaded when it is first used.

    Args:
        given (Sequence[Sequence[str]]): Models of the user, each one that stands alone or a config
            and a checkpoint; they are loaded at once.
        device (str, optional): See :class:`MotionInferencer`.
        batch_size (int): Clips at once. Defaults to 32.

    Attributes:
        device (str or None): As given.
        sources (dict[str, tuple]): Config and checkpoint by label.
        chosen (list[str]): Labels to start with: those of the user, or one of the zoo for each
            task.

    Raises:
        ValueError: If a model of the user has nothing to show.
    """

    def __init__(self, given: Sequence[Sequence[str]] = (), device: str | None = None,
                 batch_size: int = 32):
        self.device = device
        self._load = partial(MotionInferencer, device=device, batch_size=batch_size)
        self._loaded: dict[str, MotionInferencer] = {}
        self.sources: dict[str, tuple[str, str | None]] = {}
        first: dict[str, str] = {}
        zoo = read_index()
        for name in sorted(zoo, key=lambda name: name != DEFAULT):
            task = zoo[name].task
            if task != OneShotResult.task:  # needs exemplars
                label = f'{name}: {task}, trained on {zoo[name].data}'
                self.sources[label] = name, None
                first.setdefault(task, label)
        self.chosen = list(first.values())
        if given:
            known = {source: label for label, source in self.sources.items()}
            own = [(config, checkpoint[0] if checkpoint else None)
                   for config, *checkpoint in given]
            named = {known.get(source, ', '.join(Path(part).name for part in source if part)):
                     source for source in own}
            self.sources = {**named, **self.sources}
            self.chosen = list(named)
        for label in self.chosen if given else ():
            if not self.tasks(label):
                raise ValueError(f'{label}: found the tasks {", ".join(self.get(label).tasks)}, '
                                 'expected one with results that can be drawn')

    def get(self, label: str) -> MotionInferencer:
        """Return a model.

        Raises:
            ValueError: If the label is unknown.
        """
        if label not in self.sources:
            raise ValueError(f'model: found {label!r}, expected one of {list(self.sources)}')
        if label not in self._loaded:
            self._loaded[label] = self._load(*self.sources[label])
        return self._loaded[label]

    def tasks(self, label: str) -> list[BaseInferencer]:
        """Return the tasks of a model whose results can be drawn without further input."""
        inferencer = self.get(label)
        tasks = map(inferencer.task, inferencer.tasks)
        return [task for task in tasks if type(task).draw is not BaseInferencer.draw
                and task.task != OneShotResult.task]


def read_upload(path: Path, reading: RecordingOptions, device: str | None) -> list:
    """Return the inputs of an inferencer: the path, or the poses of a video, estimated once."""
    if not videos_of([path]):
        return [path]
    reader = RecordingReader(reading, device=device, progress=True)
    found = [dict(recording.ann, fps=recording.fps) for recording in reader.read(path)]
    if not found:
        raise AnnotationError(reader.problems[0])
    return found


def answer(path: Path, labels: Sequence[str], models: Models, folder: Path,
           progress: Progress = lambda share, text: None,
           reading: RecordingOptions = READING) -> Answer:
    """Let models answer about an upload.

    Args:
        path (Path): Anything that ``mofm demo`` takes.
        labels (Sequence[str]): Models.
        models (Models): Models by label.
        folder (Path): Folder of the files to write, empty.
        progress (Progress): Called before each step.
        reading (RecordingOptions): How videos are read, for the pose network.

    Raises:
        ValueError: If no model is chosen or no recording can be used.
        ImportError: If there is no pose network for a video.
    """
    if not labels:
        raise ValueError('models: found none, expected at least one')
    for label in labels:
        models.get(label)
    suffixes = upload_suffixes()
    if not path.name.lower().endswith(tuple(suffixes)):
        raise ValueError(f'{path.name}: found suffix {path.suffix!r}, expected a video or poses: '
                         f'{" ".join(suffixes)}')
    progress(0, 'reading the upload')
    videos = videos_of([path])
    inputs = read_upload(path, reading, models.device)
    work = _Work(folder, videos)
    for number, label in enumerate(labels):
        progress(.4 + .4 * number / len(labels), f'asking {models.sources[label][0]}')
        for task in models.tasks(label):
            work.add(task, models.sources[label], inputs)
    progress(.8, 'drawing')
    return work.finish(path.name)


class _Work:
    """Answer under construction."""

    def __init__(self, folder: Path, videos: dict[str, Path]):
        self.folder, self.videos = folder, videos
        self.tables: dict[Path, list] = {}
        self.names: dict[str, None] = {}
        self.notes: dict[str, None] = {}
        self.views: dict[str, list[View]] = {}
        self.skeletons: dict[str, Path] = {}
        self.drawn: dict[str, tuple[BaseInferencer, Result]] = {}
        self.used: dict[str, int] = {}

    def add(self, task: BaseInferencer, source: tuple[str, str | None], inputs: list):
        """Add the results of a task."""
        results = task.iter(inputs, progress=False, cut_long=True)
        known, name = about(task, *source), Path(source[0]).stem
        table = self.folder / f'{file_stem(f"{task.task} {name}", self.used)}.csv'
        for result in results:
            self.tables.setdefault(table, []).append(result.to_table())
            self.names[result.name] = None
            if result.name in self.views or len(self.views) < _DRAWN:
                views = self.views.setdefault(result.name, [])
                title = title_of(task)
                if title in (view.title for view in views):
                    title = f'{title}, {name}'
                views.append(View(title, known, result, table))
                self._draw(task, views[-1])
                # the first that writes its answer on the frames
                if result.name not in self.drawn or (
                        type(self.drawn[result.name][0]).overlay is BaseInferencer.overlay):
                    self.drawn[result.name] = task, result
        self.notes.update(dict.fromkeys([*results.notes, *map(str, results.problems)]))

    def _draw(self, task, view: View):
        drawn = (task.draw_over_time(view.result) if isinstance(task, ActionInferencer)
                 else task.draw(view.result))  # its animation is the video of the skeletons
        stem = self.folder / file_stem(f'{view.result.name} {view.title}', self.used)
        for suffix, picture in drawn.items():
            animated = suffix == '.gif'
            path = stem.with_name(stem.name + ('.mp4' if animated else suffix))
            (save_animation if animated else save_figure)(picture, path)
            (view.animations if animated else view.pictures).append(path)

    def finish(self, title: str) -> Answer:
        """Write skeletons, tables, report and archive."""
        for name, (task, result) in self.drawn.items():
            self.skeletons[name] = self.folder / f'{file_stem(name, self.used)}.mp4'
            write_skeletons(task, result, self.skeletons[name], self.videos.get(name))
        for path, tables in self.tables.items():
            write_arrow(path, join_tables(tables))
        models = {view.title: view.about for views in self.views.values() for view in views}
        write_page(self.folder / 'report.html', title, self.views, models,
                   {path: len(tables) for path, tables in self.tables.items()},
                   list(self.notes), self.skeletons)
        archive = self.folder / 'results.zip'
        files = sorted(self.folder.iterdir())
        with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as out:
            for file in files:
                out.write(file, file.name)
        return Answer(self.skeletons, self.views, archive, list(self.names),
                      list(self.notes))


# -------------------------------------------------------------------------------------- search
def open_index(folder: str | Path, device: str | None = None,
               batch_size: int = 32) -> MotionIndex:
    """Open an index of ``mofm index`` with its model.

    Raises:
        FileNotFoundError: If the folder has no index.
    """
    folder = Path(folder)
    if not (folder / 'index.json').is_file():
        raise FileNotFoundError(f'{folder}: found no index, expected a folder of mofm index')
    return MotionIndex(folder, MotionInferencer(folder / MODEL, device=device,
                                                batch_size=batch_size))


def search(path: Path, index: MotionIndex, folder: Path,
           reading: RecordingOptions = READING, top: int = _HITS
           ) -> tuple[list[Hit], list[Path], Path]:
    """Search an index by an uploaded example.

    Returns:
        tuple: Hits, an animation of each, and a CSV file.
    """
    hits = index.search(path, top, pose_extractor=reading.pose_extractor,
                        pose_fps=reading.pose_fps)
    pictures = []
    for number, hit in enumerate(hits):
        pictures.append(folder / f'hit_{number:02}.webp')
        write_clip(index.poses(hit), index.header.layout, pictures[-1])
    write_hits(hits, folder / 'hits.csv')
    return hits, pictures, folder / 'hits.csv'
