"""The page in Chromium, wide and on a phone; skipped without Gradio, Playwright or a browser."""

import csv
import shutil
import zipfile

import numpy as np
import pytest

from mofm.annotations import dump_annotations
from mofm.apis import MotionIndex, MotionInferencer
from mofm.app.answers import Models
from mofm.app.page import build_page, launch_options

pytest.importorskip('gradio', reason="no Gradio: pip install '.[app]'")
sync_api = pytest.importorskip('playwright.sync_api', reason='no Playwright: pip install it')
CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome'))), None)
ARGUMENTS = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync')
pytestmark = [pytest.mark.slow, pytest.mark.skipif(
    CHROMIUM is None, reason='no chromium, chromium-browser or google-chrome in PATH')]
OVERFLOW = 'document.documentElement.scrollWidth - document.documentElement.clientWidth'


@pytest.fixture(scope='module')
def address(tiny, motion, tmp_path_factory):
    """Serve a page with an action, a token and an anomaly model, and an index of clips."""
    folder = tmp_path_factory.mktemp('page')
    cfg, checkpoint = tiny('jigsaw')
    cfg.dump(folder / 'jigsaw.py')
    models = Models([(str(folder / 'jigsaw.py'), checkpoint), ('mofm-tiny-everyday', ),
                     ('mofm-tiny', )], 'cpu')
    index = MotionIndex(folder / 'index', MotionInferencer(*tiny('keypoints'), device='cpu'),
                        window=20)
    index.add([dict(clip, frame_dir=f'clip {i}') for i, clip in enumerate(motion[:4])],
              progress=False)
    (folder / 'results').mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('GRADIO_TEMP_DIR', str(folder))
        page = build_page(models, folder / 'results', {'clips': index})
        page.launch(**launch_options('127.0.0.1', None, 1))
        yield page.local_url
        page.close(verbose=False)


@pytest.fixture(params=[(1280, 900), (390, 844)], ids=['wide', 'phone'])
def tab(request, address):
    """Open the page; afterwards it has asked no other server and had no error."""
    width, height = request.param
    asked, errors = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport=dict(width=width, height=height))
        page.on('request', lambda request: asked.append(request.url))
        page.on('pageerror', lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector('button:has-text("Run")')
        yield page
        browser.close()
    assert len(asked) > 5
    assert not [url for url in asked if not url.startswith((address, 'data:', 'blob:'))]
    assert errors == []


def download(page, button, path):
    with page.expect_download() as found:
        button.click()
    found.value.save_as(path)
    return path


def open_tab(page, title):
    """Open the tab of a task, which on a phone may be in a menu."""
    tab = page.locator('.recording').get_by_role('tab', name=title)
    if not tab.is_visible():
        page.locator('.recording').get_by_label('More tabs').click()
        tab = page.locator('.recording .overflow-dropdown button', has_text=title)
    tab.click()


def test_page_answers_about_an_example(tab, tmp_path):
    tab.click('button:has-text("sit_down")')
    tab.wait_for_selector('.file-preview')
    tab.click('button:has-text("Run")')
    tab.wait_for_selector('.recording video', timeout=120_000)
    assert tab.evaluate(OVERFLOW) <= 0
    plot = tab.locator('.curve .plot')
    box = plot.bounding_box()
    for share in (.25, .8):
        plot.click(position=dict(x=share * box['width'], y=20))
        time = tab.evaluate('document.querySelector(".skeletons video").currentTime')
        assert time == pytest.approx(3 * share, abs=.1)
    moment = tab.locator('.moment').first
    moment.click()
    frame = int(moment.get_attribute('data-frame'))
    assert tab.evaluate('document.querySelector(".skeletons video").currentTime') * 30 == \
        pytest.approx(frame + .5)
    plot.press('ArrowRight')
    assert plot.get_attribute('aria-valuenow') == str(frame + 1)

    open_tab(tab, 'Actions')
    best = tab.locator('.bars li').first
    best.wait_for()
    assert best.inner_text().startswith('sit_down')
    assert 'nearest of its 15 classes' in tab.locator('.facts:visible').inner_text()
    assert tab.evaluate(OVERFLOW) <= 0
    table = download(tab, tab.locator('button:visible', has_text='Table (CSV)'),
                     tmp_path / 'table.csv')
    with table.open(newline='') as file:
        assert next(csv.DictReader(file))['class'] == 'sit_down'
    archive = download(tab, tab.locator('button', has_text='Everything'),
                       tmp_path / 'results.zip')
    assert 'report.html' in zipfile.ZipFile(archive).namelist()

    open_tab(tab, 'Motion tokens')
    image = tab.locator('.scroll img:visible')
    image.wait_for()
    assert image.evaluate('image => image.naturalWidth') > 1000
    assert tab.evaluate(OVERFLOW) <= 0


def test_page_shows_errors_as_text(tab, tmp_path):
    toast = tab.locator('.toast-wrap')
    tab.click('button:has-text("Run")')
    toast.get_by_text('Choose a file').wait_for()
    (tmp_path / '<b>.json').write_text('{')
    tab.set_input_files('input[type=file] >> nth=0', tmp_path / '<b>.json')
    tab.wait_for_selector('.file-preview')
    tab.click('button:has-text("Run")')
    toast.get_by_text('expected').wait_for()
    assert 'Traceback' not in tab.content()
    assert tab.evaluate(OVERFLOW) <= 0


def test_page_refuses_other_files_and_large_ones(tab, tmp_path):
    toast = tab.locator('.toast-wrap')
    (tmp_path / 'a.exe').write_bytes(b'MZ')
    tab.set_input_files('input[type=file] >> nth=0', tmp_path / 'a.exe')
    toast.get_by_text('Invalid file type').first.wait_for()
    np.save(tmp_path / 'large.npy', np.zeros(200_000))
    tab.set_input_files('input[type=file] >> nth=0', tmp_path / 'large.npy')
    toast.get_by_text('maximum allowed size').first.wait_for()


def test_page_searches_by_example(tab, motion, tmp_path):
    dump_annotations(dict(annotations=[dict(motion[2], frame_dir='mine')], split={}),
                     tmp_path / 'mine.json')
    tab.get_by_role('tab', name='Search').click()
    tab.locator('input[type=file]:visible, input[type=file]').last.set_input_files(
        tmp_path / 'mine.json')
    tab.locator('.file-preview:visible').wait_for()
    tab.get_by_role('button', name='Search', exact=True).click()
    tab.wait_for_selector('.hits li', timeout=60_000)
    assert tab.locator('.hits li').first.inner_text().split()[:3] == ['1.00', 'clip', '2']
    assert tab.locator('.hits img').first.evaluate('image => image.naturalWidth') > 100
    table = download(tab, tab.locator('button:visible', has_text='Table (CSV)'),
                     tmp_path / 'hits.csv')
    assert table.read_text().startswith('recording,person,start,end')
    assert tab.evaluate(OVERFLOW) <= 0
