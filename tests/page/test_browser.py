"""The page in a real browser: every road that a person takes, from the drop to the download."""

import importlib.util
import io
import os
import shutil
import time
import zipfile
from pathlib import Path

import pytest

for name in ('gradio', 'playwright'):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f'{name} is not installed here: make test-page', allow_module_level=True)

from page import opened  # noqa: E402
from playwright.sync_api import Page, expect, sync_playwright  # noqa: E402

from sr_jax.inference import tiles  # noqa: E402

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome') or ''
if not CHROMIUM:
    pytest.skip('there is no Chromium here', allow_module_level=True)

pytestmark = pytest.mark.browser
FLAGS = (
    *('--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'),
    *('--disable-background-networking', '--disable-component-update'),
)
WIDE, NARROW = {'width': 1280, 'height': 900}, {'width': 390, 'height': 844}
# Where screenshots of every road go, for people to look at.
SHOTS = os.environ.get('SR_JAX_SCREENSHOTS', '')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('page')


@pytest.fixture(scope='module')
def url(folder):
    page = opened.open_page(folder)
    yield page.url
    page.close()


@pytest.fixture(scope='module')
def browser():
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture
def visit(browser, url):
    """Opens the page as somebody new does; what the browser complains of fails the test."""
    contexts, complaints = [], []

    def visit(**options):
        context = browser.new_context(viewport=WIDE, accept_downloads=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on('pageerror', lambda error: complaints.append(str(error)))
        page.on('console', lambda m: complaints.append(m.text) if m.type == 'error' else None)
        page.goto(url)
        expect(page.locator('#images-drop input')).to_be_attached(timeout=20_000)
        return page

    yield visit
    for context in contexts:
        context.close()
    # What the page refuses, a broken file, the browser writes down too.
    assert not [line for line in complaints if '422' not in line]


@pytest.fixture
def _slowly(monkeypatch):
    """Has every part of an image take a while."""
    place = tiles.place

    def wait_and_place(*arguments):
        time.sleep(0.02)
        place(*arguments)

    monkeypatch.setattr(tiles, 'place', wait_and_place)


def shoot(page: Page, name: str) -> None:
    """Keeps a picture of the page, where people asked for it."""
    if SHOTS:
        Path(SHOTS).mkdir(exist_ok=True)
        page.screenshot(path=f'{SHOTS}/{name}.png', full_page=True)


def choose(page: Page, label: str, value: str) -> None:
    """Chooses in a list of the tab that is open."""
    page.get_by_label(label, exact=True).locator('visible=true').click()
    page.get_by_role('option', name=value, exact=True).click()


def cut(page: Page, side: int) -> None:
    """Has images cut into parts. Gradio sets a field that has just appeared once more."""
    page.get_by_role('button', name='More').first.click()
    field = page.get_by_label('Longest side of a part').first
    for _ in range(9):
        field.fill(str(side))
        page.wait_for_timeout(300)
        if field.input_value() == str(side):
            return
    raise AssertionError('the field does not take a number')


def drop(page: Page, *files: Path, tab: str = 'images') -> None:
    """Drops files, as from the desktop, and waits until they are there."""
    data = page.evaluate_handle('() => new DataTransfer()')
    for file in files:
        page.evaluate(
            """([data, bytes, name]) => data.items.add(new File([new Uint8Array(bytes)], name))""",
            [data, list(file.read_bytes()), file.name],
        )
    page.locator(f'#{tab}-drop .sr-zone').dispatch_event('drop', {'dataTransfer': data})
    page.wait_for_function(f"() => !document.querySelector('#{tab}-drop').isBusy")


def row(page: Page, name: str, tab: str = 'images'):
    """The row of a job."""
    return page.locator(f'#{tab}-jobs .sr-jobs > li').filter(has_text=name).first


def download(page: Page, link) -> bytes:
    with page.expect_download() as found:
        link.click()
    return Path(found.value.path()).read_bytes()


def test_dropped_enlarged_compared_and_taken(visit, folder):
    image = opened.draw(folder / 'photo.png', (60, 90))
    page = visit()
    drop(page, image)
    shoot(page, 'dropped')
    page.locator('#images-go').click()
    expect(row(page, 'photo.png')).to_have_attribute('data-state', 'done', timeout=30_000)
    made = download(page, row(page, 'photo.png').get_by_role('link', name='Download'))
    assert made == opened.command(folder, image, 'repeating')
    row(page, 'photo.png').get_by_role('button', name='Compare').click()
    view = page.locator('sr-compare')
    expect(view.locator('img.after')).to_have_js_property('naturalWidth', 180)
    expect(view.locator('img.before')).to_have_js_property('naturalWidth', 90)
    shoot(page, 'compared')
    check_together(page, view)
    page.set_viewport_size(NARROW)
    assert page.evaluate(TOO_WIDE) <= 0
    shoot(page, 'compared_narrow')


def check_together(page: Page, view) -> None:
    """Both images zoom and move together, by buttons and keys; the divider parts them."""

    def places():
        images = (view.locator(f'img.{name}') for name in ('before', 'after'))
        return [image.evaluate('e => e.style.transform') for image in images]

    fitted = places()
    assert fitted[0] == fitted[1]
    view.get_by_role('button', name='One pixel of the image').click()
    one = places()
    assert one[0] == one[1] != fitted[0]
    assert 'scale(1)' in one[0]
    view.focus()
    page.keyboard.press('+')
    page.keyboard.press('Shift+ArrowRight')
    moved = places()
    assert moved[0] == moved[1] not in (one[0], fitted[0])
    before = view.locator('img.after').evaluate('e => e.style.clipPath')
    page.keyboard.press('ArrowLeft')
    assert view.locator('img.after').evaluate('e => e.style.clipPath') != before
    page.keyboard.press('0')
    assert places() == fitted


def test_several_with_a_format_and_all_as_a_zip(visit, folder):
    images = [opened.draw(folder / f'{name}.png', (9, 14), seed) for seed, name in enumerate('ab')]
    page = visit()
    choose(page, 'Network', 'srvgg')
    choose(page, 'Format', 'jpg')
    expect(page.get_by_text('Quality', exact=True)).to_be_visible()
    drop(page, *images)
    page.locator('#images-go').click()
    for image in images:
        expect(row(page, image.name)).to_have_attribute('data-state', 'done', timeout=30_000)
    link = page.locator('#images-jobs').get_by_role('link', name='Download all')
    with zipfile.ZipFile(io.BytesIO(download(page, link))) as archive:
        assert archive.namelist() == ['a.jpg', 'b.jpg']
        options = ('--quality', '95')
        made = opened.command(folder, images[1], 'srvgg', *options, suffix='.jpg')
        assert archive.read('b.jpg') == made


def test_a_broken_file_is_one_sentence(visit, folder):
    broken = folder / 'broken.png'
    broken.write_bytes(b'\x89PNG\r\n\x1a\n and nothing more')
    page = visit()
    drop(page, broken)
    said = page.locator('#images-drop').get_by_role('alert')
    expect(said).to_contain_text('broken.png: ')
    assert str(folder) not in page.content() and '/tmp' not in said.inner_text()
    page.locator('#images-go').click()
    expect(page.get_by_text('nothing is chosen: drop a file first')).to_be_visible()
    shoot(page, 'broken')


@pytest.mark.usefixtures('_slowly')
def test_ended_in_the_middle_and_gone_on_with(visit, folder):
    large = opened.draw(folder / 'large.png', (160, 200))
    page = visit()
    cut(page, 24)
    drop(page, large)
    page.locator('#images-go').click()
    expect(row(page, 'large.png').locator('.sr-state')).to_contain_text(' of ', timeout=30_000)
    shoot(page, 'at_work')
    row(page, 'large.png').get_by_role('button', name='Cancel').click()
    expect(row(page, 'large.png')).to_have_attribute('data-state', 'cancelled')
    row(page, 'large.png').get_by_role('button', name='Go on').click()
    expect(row(page, 'large.png')).to_have_attribute('data-state', 'done', timeout=60_000)


@pytest.mark.usefixtures('_slowly')
def test_two_at_once_and_a_reload_in_the_middle(visit, folder):
    ours, theirs = visit(), visit()
    for page, name in ((ours, 'ours.png'), (theirs, 'theirs.png')):
        drop(page, opened.draw(folder / name, (160, 200)))
    cut(ours, 24)
    ours.locator('#images-go').click()
    expect(row(ours, 'ours.png').locator('.sr-state')).to_contain_text(' of ', timeout=30_000)
    theirs.locator('#images-go').click()
    expect(row(theirs, 'theirs.png').locator('.sr-state')).to_contain_text('1 before it')
    ours.reload()
    for page, name in ((ours, 'ours.png'), (theirs, 'theirs.png')):
        expect(row(page, name)).to_have_attribute('data-state', 'done', timeout=60_000)
        assert page.locator('#images-jobs .sr-jobs > li').count() == 1


def test_a_film_is_previewed_and_enlarged(visit, folder):
    film = opened.film(folder / 'film.mkv')
    page = visit()
    page.get_by_role('tab', name='Film').click()
    choose(page, 'Network', 'repeating')
    drop(page, film, tab='films')
    page.locator('#films-preview').click()
    expect(row(page, '(preview)', 'films')).to_have_attribute('data-state', 'done', timeout=60_000)
    video = row(page, '(preview)', 'films').locator('video')
    page.wait_for_function('e => e.readyState > 0', arg=video.element_handle())
    shoot(page, 'film')
    page.locator('#films-go').click()
    expect(row(page, '(enlarged)', 'films')).to_have_attribute('data-state', 'done', timeout=60_000)
    made = download(page, row(page, '(enlarged)', 'films').get_by_role('link', name='Download'))
    assert made[4:8] == b'ftyp'


def test_a_run_is_watched(visit):
    page = visit()
    page.get_by_role('tab', name='Train').click()
    curve = page.get_by_role('img', name='train/loss: 5.500 at step 4, from 5.50 to 8.50')
    expect(curve.locator('polyline')).to_be_attached()
    sample = page.get_by_role('img', name='Samples of a_run after 2 steps')
    expect(sample).to_have_js_property('naturalWidth', 14)
    page.locator('#train-go').click()
    expect(page.get_by_text('there are no configs here').first).to_be_visible()
    shoot(page, 'watched')


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('size', ['wide', 'narrow'])
def test_it_fits_and_has_labels(visit, scheme, size):
    page = visit(color_scheme=scheme)
    page.set_viewport_size(WIDE if size == 'wide' else NARROW)
    for tab in ('Images', 'Film', 'Inside', 'Train'):
        page.get_by_role('tab', name=tab).click()
        assert page.evaluate(TOO_WIDE) <= 0, tab
        shoot(page, f'{tab}_{size}_{scheme}'.replace(' ', '_'))
        nameless = page.evaluate(NAMELESS)
        assert nameless == [], tab


TOO_WIDE = '() => document.documentElement.scrollWidth - innerWidth'
# What can be used but is not called anything, for those who hear the page.
NAMELESS = """() => [...document.querySelectorAll('button, input, select, textarea, a[href]')]
  .filter((e) => e.checkVisibility() && !(e.labels?.length || e.getAttribute('aria-label')
    || e.getAttribute('aria-labelledby') || e.textContent.trim() || e.title))
  .map((e) => e.outerHTML.slice(0, 120))"""
