"""The page without a browser: what its buttons call, and the routes that files come and go by."""

import importlib.util
import io
import json
import subprocess
import sys
import time
import zipfile

import pytest

if importlib.util.find_spec('gradio') is None:
    pytest.skip('Gradio is not installed here: make test-page', allow_module_level=True)

import httpx
from fuzz import seeds
from gradio_client import Client
from gradio_client.exceptions import AppError
from page import opened
from page.opened import OWNER, jobs, send, wait
from PIL import Image

from sr_jax.page import looking

OTHER = 'another_who_looks_at_it'
IMAGES = dict(factor=0, form='png', quality=95, lossless=False, background='', tile=0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp('page')


@pytest.fixture(scope='module')
def app(folder):
    made = opened.open_page(folder)
    yield made
    made.close()


@pytest.fixture(scope='module')
def client(app):
    made = Client(app.url, verbose=False)
    yield made
    made.close()


def enlarge(client, keys, network='repeating', owner=OWNER, **wish):
    """Presses the button of images."""
    chosen = {**IMAGES, **wish}
    values = (chosen[name] for name in ('factor', 'form', 'quality', 'lossless', 'background'))
    client.predict(keys, owner, network, *values, chosen['tile'], api_name='/enlarge')


def keys_of(app, *paths, kind='image'):
    return [send(app.url, path, kind).raise_for_status().json()['id'] for path in paths]


@pytest.mark.parametrize(
    ('wish', 'options', 'suffix'),
    [
        ({}, (), '.png'),
        (dict(factor=3.3, form='jpg', quality=8), ('--outscale', '3.3', '--quality', '8'), '.jpg'),
        (dict(form='webp', lossless=True, tile=24), ('--tile', '24', '--lossless'), '.webp'),
        (dict(form='tif', background='red'), ('--background', 'red'), '.tif'),
    ],
)
def test_results_are_byte_for_byte_the_commands(app, client, folder, wish, options, suffix):
    image = opened.draw(folder / 'photo.png', (41, 30))
    enlarge(client, keys_of(app, image), 'srvgg', **wish)
    job = wait(app.url, 'images')[0]
    assert job['state'] == 'done', job['message']
    found = httpx.get(f'{app.url}sr_jax/files/{job["result"]["file"]["id"]}')
    assert found.content == opened.command(folder, image, 'srvgg', *options, suffix=suffix)
    assert f'filename="photo{suffix}"' in found.headers['content-disposition']
    view = httpx.get(f'{app.url}sr_jax/view/{job["result"]["after"]}')
    size = job['result']['width'], job['result']['height']
    assert Image.open(io.BytesIO(view.content)).size == size


def test_what_cannot_be_meant_is_one_sentence(app, client, folder):
    keys = keys_of(app, opened.draw(folder / 'a.png'))
    for wish, said in (
        (dict(network='/etc/passwd'), 'not in the list of choices'),
        (dict(factor=1000), '1000 is no factor'),
        (dict(form='exe'), 'not in the list of choices'),
        (dict(background='../x'), "'../x' is no colour"),
        (dict(owner='me'), 'has not said who asks'),
    ):
        with pytest.raises(AppError, match=said):
            enlarge(client, keys, **wish)
    for wrong in ([], ['../../etc/passwd'], ['x' * 24]):
        with pytest.raises(AppError, match='drop'):
            enlarge(client, wrong)


def test_a_result_that_is_too_large_is_refused_before_it_is_begun(app, client, folder, monkeypatch):
    large = folder / 'flat.png'
    Image.new('1', (9000, 9000)).save(large)
    enlarge(client, keys_of(app, large), factor=8)
    (job, *_) = wait(app.url, 'images')
    assert job['state'] == 'failed'
    assert job['message'].startswith('flat.png: its result would have 5184 megapixels')


def test_hostile_files_do_no_harm(app, client, folder):
    taken, owner = [], 'one_who_means_no_good'
    for number, data in enumerate([*seeds.images(), *seeds.pngs()]):
        for cut in (data[: len(data) // 2], data[:9] + data[12:], b'\0' + data, data * 2):
            path = folder / f'{number}.png'
            path.write_bytes(cut)
            answer = send(app.url, path)
            assert answer.status_code in (200, 422)
            told = answer.json()
            assert str(folder) not in answer.text and 'sr_jax_page' not in answer.text
            assert ('id' in told) != ('error' in told)
            taken += [told['id']] if 'id' in told else []
    assert len(taken) > 20
    enlarge(client, taken[:: len(taken) // 20], owner=owner)
    for job in wait(app.url, 'images', owner=owner):
        assert job['state'] in ('done', 'failed')
        assert 'sr_jax_page' not in job['message'] and str(folder) not in job['message']
    large = folder / 'large.png'
    large.write_bytes(b'0' * (opened.LIMITS.image_bytes + 1))
    assert 'at most 1 MiB are taken' in send(app.url, large).json()['error']
    assert 'is no film' in send(app.url, large, 'film').json()['error']


def test_whose_id_is_not_known_gets_nothing(app, client, folder):
    enlarge(client, keys_of(app, opened.draw(folder / 'mine.png')), owner=OTHER)
    wait(app.url, 'images', owner=OTHER)
    assert 'mine.png' not in json.dumps(jobs(app.url, 'images'))
    assert jobs(app.url, 'images', 'a_third_one_who_looks_at') == []
    for path in (
        *('files/xxxxxxxxxxxxxxxxxxxxxxxx', 'view/xxxxxxxxxxxxxxxxxxxxxxxx', 'jobs/x/images'),
        *('static/routes.py', 'static/..%2Fgate.py', 'runs/..', 'runs/x', 'zip/short/images'),
        'files/..%2F..%2Fetc%2Fpasswd',
    ):
        assert httpx.get(f'{app.url}sr_jax/{path}').status_code in (404, 422), path
    assert httpx.get(f'{app.url}gradio_api/file=/etc/passwd').status_code == 404


def test_fifty_at_once_are_queued_and_done(app, client, folder):
    owner = 'one_with_many_images_to_do'
    images = [opened.draw(folder / f'{number:02d}.png', seed=number) for number in range(50)]
    enlarge(client, keys_of(app, *images), owner=owner)
    assert len(jobs(app.url, 'images', owner)) == 50
    found = wait(app.url, 'images', owner=owner)
    assert [job['state'] for job in found] == ['done'] * 50
    archive = httpx.get(f'{app.url}sr_jax/zip/{owner}/images').content
    names = zipfile.ZipFile(io.BytesIO(archive)).namelist()
    assert names == [f'{number:02d}.png' for number in range(50)]
    with pytest.raises(AppError, match='jobs wait already'):
        enlarge(client, keys_of(app, images[0]) * 61, owner=owner)
    for job in found[1:]:
        opened.act(app.url, job, 'remove')
    assert len(jobs(app.url, 'images', owner)) == 1
    assert httpx.get(f'{app.url}sr_jax/files/{found[3]["result"]["file"]["id"]}').status_code == 422


def test_a_film_is_ended_gone_on_with_and_previewed(app, client, folder):
    pytest.importorskip('av')
    film = opened.film(folder / 'film.mkv', 70)
    values = (keys_of(app, film, kind='film'), OWNER, 'repeating', 0, 'mkv', 'ffv1', 0, False)
    client.predict(*values, api_name='/enlarge_film')
    until = time.monotonic() + 60
    while not (job := jobs(app.url, 'films')[0])['done'] and job['state'] != 'failed':
        assert time.monotonic() < until
    opened.act(app.url, job, 'cancel')
    assert wait(app.url, 'films')[0]['state'] in ('cancelled', 'done')
    opened.act(app.url, job, 'again')
    whole = wait(app.url, 'films')[0]
    assert (whole['state'], whole['message']) == ('done', '')
    client.predict(*values, api_name='/preview_film')
    part = wait(app.url, 'films')[0]
    assert part['name'] == 'film.mkv (preview)'
    assert part['result']['file']['bytes'] < whole['result']['file']['bytes']


def test_a_sheet_of_a_network_is_drawn(app, client, folder, monkeypatch):
    def draw(source, image, target):
        opened.draw(target.path)
        return [f'{image.path.name} through {source.rpartition("/")[2]}']

    monkeypatch.setattr(looking, 'draw', draw)
    keys = keys_of(app, opened.draw(folder / 'photo.png'))
    client.predict(keys, OWNER, 'a_run', api_name='/look')
    (job,) = wait(app.url, 'inside')
    assert job['result']['notes'] == ['photo.png through a_run']
    assert httpx.get(f'{app.url}sr_jax/view/{job["result"]["picture"]}').status_code == 200


def test_others_are_let_in_with_a_password_alone(tmp_path):
    made = opened.open_page(tmp_path, host='0.0.0.0', password='word')
    try:
        local = made.url.replace('0.0.0.0', '127.0.0.1')
        assert httpx.get(local).status_code == 401
        assert httpx.get(local, auth=('', 'word')).status_code == 200
    finally:
        made.close()


OPEN = """
import sys, time
begin = time.perf_counter()
import sr_jax
from sr_jax.page import launch
launch._warm_up = lambda: None
page = sr_jax.app(runs=sys.argv[1], configs=sys.argv[1], inline=False)
import httpx
assert httpx.get(page.url).status_code == 200
print(time.perf_counter() - begin, 'jax' in sys.modules)
page.close()
"""


def test_the_page_opens_without_jax(tmp_path):
    done = subprocess.run(
        [sys.executable, '-c', OPEN, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    seconds, has_jax = done.stdout.split()
    assert has_jax == 'False'
    assert float(seconds) < 20  # on a machine that does much else
