"""A page for tests: open, with tiny networks, and what a visitor does without a browser."""

import json
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from tiny_networks import network, repeating

from sr_jax import __main__ as verbs
from sr_jax.inference import networks
from sr_jax.page.launch import app
from sr_jax.page.limits import Limits

OWNER = 'somebody_who_looks_at_it'
LIMITS = Limits(image_bytes=2**20, film_bytes=2**22, waiting=70, waiting_of_one=60)


def open_page(folder: Path, limits: Limits = LIMITS, **options):
    """Opens a page with two networks of scale 2, 'repeating' and 'srvgg', and one run."""
    folder.mkdir(exist_ok=True)
    files = [folder / 'repeating.safetensors', folder / 'srvgg.safetensors']
    for file, net in zip(files, (repeating(), network('srvgg')), strict=True):
        networks.save(file, net)
    run = folder / 'runs' / 'a_run'
    (run / 'samples').mkdir(parents=True, exist_ok=True)
    draw(run / 'samples' / '00000002.png')
    lines = [dict(event='train', step=step, loss=9.5 - step) for step in range(1, 5)]
    (run / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))
    own = dict(runs=folder / 'runs', configs=folder / 'configs', limits=limits, inline=False)
    return app(files, **{**own, **options})


def draw(path: Path, size: tuple[int, int] = (9, 14), seed: int = 0) -> Path:
    """Writes an image at random."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def send(url: str, path: Path, kind: str = 'image') -> httpx.Response:
    """Sends a file as the browser does."""
    where = f'{url}sr_jax/files/{kind}'
    return httpx.put(where, params={'name': path.name}, content=path.read_bytes())


def jobs(url: str, tab: str, owner: str = OWNER) -> list[dict]:
    """What the page says of the jobs of somebody, the newest first."""
    return httpx.get(f'{url}sr_jax/jobs/{owner}/{tab}').raise_for_status().json()


def wait(url: str, tab: str, seconds: float = 60.0, owner: str = OWNER) -> list[dict]:
    """The jobs of somebody, once all are over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = jobs(url, tab, owner)
        if all(job['state'] in ('done', 'failed', 'cancelled') for job in found):
            return found
        time.sleep(0.05)
    raise AssertionError(f'not over in {seconds} s: {found}')


def act(url: str, job: dict, action: str) -> None:
    """Ends a job, begins it again or removes it."""
    httpx.post(f'{url}sr_jax/jobs/{job["id"]}/{action}').raise_for_status()


def command(folder: Path, image: Path, weights: str, *options: str, suffix: str = '.png') -> bytes:
    """What `sr-jax upscale` writes of an image."""
    target = folder / f'by_the_command{suffix}'
    arguments = [str(image), '--weights', str(folder / f'{weights}.safetensors')]
    arguments += ['--output', str(target), '--overwrite', *options]
    assert verbs.main(['upscale', *arguments]) == 0
    return target.read_bytes()


def film(path: Path, frames: int = 15) -> Path:
    """Writes a film of 54 x 40 pixels and ten frames a second, with sound."""
    import films  # it needs PyAV

    tick = films.Fraction(1, 10)
    made = films.Film(path, 'mpeg4', (54, 40), tick, 10)
    made.add_sound('aac', 'eng')
    made.write(films.constant(frames, (54, 40), 'yuv420p', tick, 1))
    made.play(frames / 10)
    made.close()
    return path
