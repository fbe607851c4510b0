"""Times the page in the browser: its start, and an image in it, beside the command.

  python benchmarks/page_times.py IMAGE [--starts 4] [--rounds 3]

Needs the extra `app`, Playwright and Chromium. A start counts from the interpreter's until the drop
field is there in a browser that is open already. The page and the command take turns, each with a
new process for every round, so that neither has anything left in memory; programs come from the
folder of compiled programs, as they do for users. The page's time is from the press of the button
to the result.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
WEIGHTS = 'realesrgan-x4plus'  # which the page offers first
OPEN = """
import sys
import sr_jax
page = sr_jax.app(runs=sys.argv[1], configs='configs', inline=False)
print(page.url, flush=True)
sys.stdin.readline()
page.close()
"""
FLAGS = ('--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking')


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').splitlines()[0])
    parser.add_argument('image', type=Path)
    parser.add_argument('--starts', type=int, default=4)
    parser.add_argument('--rounds', type=int, default=3)
    return parser.parse_args()


@contextmanager
def opened(browser: Browser, folder: Path) -> Iterator[Page]:
    """The page of a new process, once it can be used."""
    process = subprocess.Popen(
        [sys.executable, '-c', OPEN, str(folder)],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout
    page = browser.new_page()
    try:
        page.goto(process.stdout.readline().strip())
        page.wait_for_selector('#images-drop input', state='visible')
        page.wait_for_selector('#images-go', state='visible')
        yield page
    finally:
        page.close()
        process.communicate('\n')


def seconds_of_start(browser: Browser, folder: Path) -> float:
    """Seconds from the interpreter's start until the page can be used."""
    start = time.perf_counter()
    with opened(browser, folder):
        return time.perf_counter() - start


def seconds_of_page(browser: Browser, folder: Path, image: Path) -> float:
    """Seconds from the press of the button to the result."""
    with opened(browser, folder) as page:
        page.set_input_files('#images-drop input', str(image))
        page.wait_for_function("() => !document.querySelector('#images-drop').isBusy")
        page.wait_for_function(
            "() => document.querySelector('#images-about').innerText.includes('megapixel')"
        )
        start = time.perf_counter()
        page.click('#images-go')
        page.wait_for_selector('#images-jobs li[data-state=done]', timeout=300_000)
        return time.perf_counter() - start


def seconds_of_command(folder: Path, image: Path) -> float:
    """Seconds from the command's start to its end."""
    command = [sys.executable, '-m', 'sr_jax', 'upscale', str(image), '--weights', WEIGHTS]
    command += ['--output', str(folder / 'result.png'), '--overwrite']
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Prints each start, then the rounds of both and their medians."""
    args = parse_arguments()
    image = args.image.resolve()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        browser = playwright.chromium.launch(
            executable_path=shutil.which('chromium') or shutil.which('google-chrome'), args=FLAGS
        )
        starts = [seconds_of_start(browser, folder) for _ in range(args.starts)]
        print('start to usable, s:', *(f'{each:.2f}' for each in starts), flush=True)
        page, command = [], []
        for _ in range(args.rounds):
            page.append(seconds_of_page(browser, folder, image))
            command.append(seconds_of_command(folder, image))
            print(f'page {page[-1]:.2f} s, command {command[-1]:.2f} s', flush=True)
        if page:
            print(f'medians: page {median(page):.2f} s, command {median(command):.2f} s')
        browser.close()


if __name__ == '__main__':
    main()
