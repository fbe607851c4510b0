"""The four tabs of the page, and what their controls mean for the functions that they call."""

import functools
import html
from typing import Any

import gradio as gr

from sr_jax.page import enlarging, looking, trainer
from sr_jax.page.enlarging import CONTAINERS, FORMATS, FilmWish, ImageWish
from sr_jax.page.networks import FOR_FILMS
from sr_jax.page.page import Page
from sr_jax.page.parts import (
    QUIET,
    connect,
    hide_inputs,
    put,
    put_drop,
    put_jobs,
    put_network,
    renew,
)
from sr_jax.training.history import list_runs

WITH_QUALITY = ('jpg', 'webp', 'avif')
CODECS = ('libx264', 'libx265', 'libsvtav1', 'libvpx-vp9', 'prores_ks', 'ffv1')
FACTOR = "Factor (0: the network's)"


def lay_out_images(blocks: gr.Blocks, page: Page) -> None:
    """Images: drop, choose, enlarge, compare, take."""
    hidden = put_drop(enlarging.IMAGES, 'image', 'Drop images here, or choose them', several=True)
    with gr.Row():
        first = page.networks.names()[0]
        network, about = put_network(blocks, page, enlarging.IMAGES, first)
        factor = gr.Number(0, label=FACTOR)
        form = gr.Dropdown(list(FORMATS), value='png', label='Format')
        quality = gr.Slider(1, 100, 95, step=1, label='Quality', interactive=True, visible=False)
    about.render()
    with gr.Accordion('More', open=False), gr.Row():
        tile = gr.Number(0, label='Longest side of a part (0: as memory allows)', precision=0)
        background = gr.Textbox('', label="Background of what is transparent (white, '#rrggbb')")
        lossless = gr.Checkbox(False, label='WebP without loss')
    go = gr.Button('Enlarge', variant='primary', elem_id='images-go')
    put_jobs(enlarging.IMAGES, 'Results')

    def enlarge(files: list[str], owner: str, *chosen: Any) -> None:
        enlarging.enlarge_images(page, owner, files, _read_image_wish(*chosen))

    inputs = [*hidden, network, factor, form, quality, lossless, background, tile]
    connect(go, page, enlarge, inputs, enlarging.IMAGES, 'enlarge')
    form.change(_show_quality, form, quality, queue=False, **QUIET)


def _read_image_wish(
    network: str,
    factor: float | None,
    form: str,
    quality: float,
    lossless: bool,
    background: str | None,
    tile: float | None,
) -> ImageWish:
    """What the controls of images say; empty ones are as at the beginning."""
    return ImageWish(
        str(network),
        float(factor or 0),
        str(form),
        int(quality) if form in WITH_QUALITY else 0,
        bool(lossless),
        str(background or '').strip(),
        int(tile or 0),
    )


def _show_quality(form: str) -> Any:
    """Shows the quality where a format has one, at the usual value."""
    return gr.update(visible=form in WITH_QUALITY, value=90 if form == 'avif' else 95)


def lay_out_films(blocks: gr.Blocks, page: Page) -> None:
    """A film: drop, look at five seconds, enlarge, go on."""
    hidden = put_drop(enlarging.FILMS, 'film', 'Drop a film here, or choose one')
    with gr.Row():
        network, about = put_network(blocks, page, enlarging.FILMS, FOR_FILMS)
        factor = gr.Number(0, label=FACTOR)
        container = gr.Dropdown(list(CONTAINERS), value='mp4', label='Container')
    about.render()
    with gr.Accordion('More', open=False), gr.Row():
        codec = gr.Dropdown(list(CODECS), value='libx264', label='Encoder')
        quality = gr.Number(0, label='CRF (lower is better; 0: usual)')
        compare = gr.Checkbox(False, label='Left half bicubic, to compare')
    with gr.Row():
        preview = gr.Button('Preview of five seconds', elem_id='films-preview')
        go = gr.Button('Enlarge the film', variant='primary', elem_id='films-go')
    put_jobs(enlarging.FILMS, 'Films')

    def enlarge(is_preview: bool, files: list[str], owner: str, *chosen: Any) -> None:
        network, factor, container, codec, crf, compare = chosen
        numbers = float(factor or 0), str(container), str(codec), float(crf or 0)
        wish = FilmWish(str(network), *numbers, bool(compare), is_preview)
        enlarging.enlarge_film(page, owner, files, wish)

    inputs = [*hidden, network, factor, container, codec, quality, compare]
    film, part = functools.partial(enlarge, False), functools.partial(enlarge, True)
    connect(go, page, film, inputs, enlarging.FILMS, 'enlarge_film')
    connect(preview, page, part, inputs, enlarging.FILMS, 'preview_film')


def lay_out_inside(blocks: gr.Blocks, page: Page) -> None:
    """A look inside a run."""
    names = list_runs(page.runs)
    gr.Markdown(
        'Which kernel each switched convolution of a run chooses, pixel by pixel; of a run of '
        'SRFlow, its samples and latents.'
    )
    hidden = put_drop(looking.INSIDE, 'image', 'Drop an image here, or choose one')
    run = gr.Dropdown(names, value=next(iter(names), None), label='Run')
    renew(blocks, run, functools.partial(list_runs, page.runs))
    go = gr.Button('Look', variant='primary', elem_id='inside-go')
    put_jobs(looking.INSIDE, 'Sheets')

    def look(files: list[str], owner: str, run: str) -> None:
        looking.look_inside(page, owner, files, str(run))

    connect(go, page, look, [*hidden, run], looking.INSIDE, 'look')


def lay_out_training(blocks: gr.Blocks, page: Page) -> None:
    """Training: choose a config, start, watch, stop, go on."""
    names, experiments = list_runs(page.runs), trainer.list_experiments(page.configs)
    hidden = hide_inputs()
    with gr.Row():
        experiment = gr.Dropdown(
            experiments, value=next(iter(experiments), None), label='Config and variant'
        )
        name = gr.Textbox('mine', label='Name of the run (one that is there goes on)')
        steps = gr.Number(0, label="Steps (0: the config's)", precision=0)
    go = gr.Button('Start, or go on', variant='primary', elem_id='train-go')
    put_jobs(trainer.TRAIN, 'Trainings')
    run = gr.Dropdown(names, value=next(iter(names), None), label='Watch a run')
    renew(blocks, run, functools.partial(list_runs, page.runs))
    watch = put(_watch(next(iter(names), None)))

    def train(files: list[str], owner: str, experiment: str, name: str, steps: float | None) -> Any:
        trainer.start(page, owner, str(experiment), str(name), int(steps or 0))
        choices = dict.fromkeys([name, *list_runs(page.runs)])
        return gr.update(choices=list(choices), value=name), _watch(name)

    inputs = [*hidden, experiment, name, steps]
    connect(go, page, train, inputs, trainer.TRAIN, 'train', [run, watch])
    run.change(_watch, run, watch, queue=False, **QUIET)


def _watch(run: str | None) -> str:
    """The curves of a run; the browser asks for them by its name."""
    return f'<sr-run name="{html.escape(run or "")}"></sr-run>'
