"""The page, with Gradio: local, without telemetry and without anything from another server."""

import os
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mofm.apis import MotionIndex
from mofm.apis.recordings import RecordingOptions

from . import views
from .answers import EXAMPLES, READING, Answer, Models, answer, explain, search, upload_suffixes

_KEPT = 3600  # seconds for which uploads and results stay on the disk
_HEADER = """<header><h1>MoFM</h1>
<p>Upload a video, or poses of any pose estimator or motion capture. The models run on the machine
of this page and ask no other; uploads and results are deleted after an hour.</p></header>"""


def gradio():
    """Import Gradio without its telemetry.

    Raises:
        ImportError: If it is not installed.
    """
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    try:
        import gradio
    except ImportError as error:
        raise ImportError(f"the page needs Gradio, which cannot be imported ({error}): "
                          "pip install 'mofm[app]'") from None
    return gradio


def _said(gr, function: Callable, *arguments) -> Any:
    """Call a function; its errors become messages on the page."""
    try:
        return function(*arguments)
    except Exception as error:
        if not isinstance(error, (ImportError, OSError, TypeError, ValueError)):
            traceback.print_exception(error)
        raise gr.Error(views.escape(explain(error)), None, print_exception=False) from None


def _new_folder(root: Path) -> Path:
    """Make a folder for results, and remove those of an hour ago."""
    for old in root.glob('result_*'):
        if time.time() - old.stat().st_mtime > _KEPT:
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix='result_', dir=root))


def build_page(models: Models, folder: Path, indexes: Mapping[str, MotionIndex] | None = None,
               reading: RecordingOptions = READING):
    """Build the page.

    Args:
        models (Models): Models to choose from.
        folder (Path): Folder of results, removed by the caller.
        indexes (Mapping[str, MotionIndex], optional): Indexes to search, by name.
        reading (RecordingOptions): How videos are read, for the pose network.

    Returns:
        gradio.Blocks: The page, see :func:`serve`.
    """
    gr = gradio()
    with gr.Blocks(title='MoFM', analytics_enabled=False, delete_cache=(_KEPT, _KEPT)) as page:
        gr.HTML(_HEADER, padding=False)
        if not indexes:
            _ask(gr, models, folder, reading)
            return page
        with gr.Tab('Ask'):
            _ask(gr, models, folder, reading)
        with gr.Tab('Search'):
            _search(gr, indexes, folder, reading)
    return page


def _hint(text: str) -> str:
    return f'<p class="hint">{text}</p>'


def _upload(gr, label: str):
    upload = gr.File(label=label, file_types=upload_suffixes(), height=130)
    if EXAMPLES:
        gr.Examples([[str(path)] for path in EXAMPLES], upload, label='Examples',
                    example_labels=[path.stem.replace('_', ' ') for path in EXAMPLES],
                    api_visibility='private')
    return upload


def _ask(gr, models: Models, folder: Path, reading: RecordingOptions):
    """Lay out upload, models and answers."""
    def run(path: str | None, labels: list[str], progress=gr.Progress(track_tqdm=True)):  # noqa: B008
        if path is None:
            raise gr.Error('Choose a file or an example first.', print_exception=False)
        found = _said(gr, answer, Path(path), labels, models, _new_folder(folder), progress,
                      reading)
        return found, ''

    with gr.Row(elem_classes='split'):
        with gr.Column(scale=1, min_width=300):
            upload = _upload(gr, 'Video or poses')
            chosen = gr.CheckboxGroup(list(models.sources), value=models.chosen, label='Models')
            button = gr.Button('Run', variant='primary')
        with gr.Column(scale=2, min_width=300):
            status = gr.HTML(_hint('The answers come here.'), padding=False)
            state = gr.State()

            @gr.render(state)
            def show(found: Answer | None):
                if found is not None:
                    _show(gr, found)
    button.click(run, [upload, chosen], [state, status], api_visibility='private')


def _show(gr, found: Answer):
    """Lay out an answer."""
    for name, shown in found.views.items():
        with gr.Column(elem_classes='recording'):
            gr.HTML(f'<h2>{views.escape(name)}</h2>', padding=False)
            gr.Video(found.skeletons[name], show_label=False, loop=True, autoplay=True,
                     buttons=[], elem_classes='skeletons')
            with gr.Tabs():
                for view in shown:
                    with gr.Tab(view.title):
                        gr.HTML(views.view(view), padding=False)
                        for path in view.animations:
                            gr.Video(path, show_label=False, loop=True, buttons=[])
                        gr.HTML(views.pictures(view.pictures) + views.facts(view.about),
                                padding=False)
                        gr.DownloadButton('Table (CSV)', view.table, size='sm')
    more = len({*found.names} - {*found.views})
    if more:
        gr.HTML(f'<p>{more} further recordings are in the table.</p>')
    if found.notes:
        with gr.Accordion('Notes on the upload', open=False):
            gr.HTML(views.listed(found.notes))
    gr.DownloadButton('Everything: report, tables, pictures (ZIP)', found.archive, size='md')


def _search(gr, indexes: Mapping[str, MotionIndex], folder: Path, reading: RecordingOptions):
    """Lay out the search by example."""
    def run(path: str | None, name: str, progress=gr.Progress()):  # noqa: B008
        if path is None:
            raise gr.Error('Choose an example first.', print_exception=False)
        progress(0, 'searching')
        found, pictures, table = _said(gr, search, Path(path), indexes[name],
                                       _new_folder(folder), reading)
        return views.hits(found, pictures), gr.DownloadButton(value=table, visible=True)

    with gr.Row(elem_classes='split'):
        with gr.Column(scale=1, min_width=300):
            upload = _upload(gr, 'Example')
            name = gr.Dropdown(list(indexes), value=next(iter(indexes)), label='Index')
            button = gr.Button('Search', variant='primary')
        with gr.Column(scale=2, min_width=300):
            found = gr.HTML(_hint('Moments like the example come here.'), padding=False)
            table = gr.DownloadButton('Table (CSV)', visible=False, size='sm')
    button.click(run, [upload, name], [found, table], api_visibility='private')


def serve(models: Models | None = None, indexes: Mapping[str, MotionIndex] | None = None,
          reading: RecordingOptions = READING,
          host: str = '127.0.0.1', port: int | None = None, upload_mb: int = 500):
    """Build the page and serve it until the process is interrupted.

    Args:
        models (Models, optional): Models to choose from, by default those of the zoo.
        indexes (Mapping[str, MotionIndex], optional): Indexes to search, by name.
        reading (RecordingOptions): How videos are read, for the pose network.
        host (str): Address; '0.0.0.0' serves other computers, too.
        port (int, optional): By default the first free one from 7860.
        upload_mb (int): Largest upload in MB.

    Raises:
        ImportError: If Gradio is not installed.
        OSError: If the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix='mofm_app_') as folder:
        os.environ['GRADIO_TEMP_DIR'] = folder  # of uploads
        page = build_page(models or Models(), Path(folder), indexes, reading)
        page.launch(**launch_options(host, port, upload_mb))
        print(f'the page is at {page.local_url} until you press Ctrl-C', flush=True)
        try:
            threading.Event().wait()
        finally:
            page.close(verbose=False)


def launch_options(host: str, port: int | None, upload_mb: int) -> dict:
    """Return the arguments of ``launch``: nothing leaves the computer, nothing comes from others.

    Args:
        host (str): Address.
        port (int, optional): By default the first free one from 7860.
        upload_mb (int): Largest upload in MB.
    """
    theme, here = gradio().themes.Base, Path(__file__).parent
    script, style = ((here / name).read_text(encoding='utf-8') for name in ('page.js', 'page.css'))
    return dict(
        server_name=host, server_port=port, share=False, max_file_size=upload_mb * 10**6,
        prevent_thread_lock=True, quiet=True, ssr_mode=False, enable_monitoring=False,
        run_history=False, pwa=False, mcp_server=False, footer_links=[], css=style,
        head=f'<script>{script}</script>', theme=theme(
            primary_hue='blue', neutral_hue='slate', font=('system-ui', 'sans-serif'),
            font_mono=('ui-monospace', 'monospace')))
