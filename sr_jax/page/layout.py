"""What the page looks like: tabs, controls, and which of our functions each button calls."""

import functools
from collections.abc import Callable
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from sr_jax.errors import InputError
from sr_jax.page import enlarging, looking, trainer
from sr_jax.page.enlarging import FORMATS, FilmWish, ImageWish
from sr_jax.page.gate import LOOPBACK, OWN, Gate
from sr_jax.page.networks import FOR_FILMS
from sr_jax.page.page import Page
from sr_jax.page.routes import make_routes
from sr_jax.training.history import list_runs

OWN_URL = OWN.strip('/')
HEAD = (
    f'<link rel="stylesheet" href="{OWN_URL}/static/page.css">'
    f'<script type="module" src="{OWN_URL}/static/page.js"></script>'
    f'<script type="module" src="{OWN_URL}/static/compare.js"></script>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
)
FONTS = ('system-ui', 'sans-serif')
MONO = ('ui-monospace', 'monospace')
CONTAINERS = ('mp4', 'mkv', 'mov', 'webm')
CODECS = ('libx264', 'libx265', 'libsvtav1', 'libvpx-vp9', 'prores_ks', 'ffv1')
# The browser puts what was dropped and who it is in the place of the first two inputs.
ASK = (
    "(files, owner, ...rest) => [document.querySelector('#{tab}-drop')?.ids ?? [], srJaxOwner(), "
    '...rest]'
)
REFRESH = "() => document.querySelector('#{tab}-jobs').refresh()"


def make(page: Page) -> gr.Blocks:
    """The page, laid out."""
    with gr.Blocks(title='sr_jax', analytics_enabled=False) as blocks:
        gr.HTML('<h1>Enlarge images and films</h1>')
        with gr.Tabs():
            with gr.Tab('Images', id=enlarging.IMAGES):
                _lay_out_images(page)
            with gr.Tab('A film', id=enlarging.FILMS):
                _lay_out_films(page)
            with gr.Tab('Look inside', id=looking.INSIDE):
                _lay_out_inside(page)
            with gr.Tab('Train', id=trainer.TRAIN):
                _lay_out_training(page)
    return blocks


def open_page(
    blocks: gr.Blocks,
    page: Page,
    *,
    host: str,
    port: int | None,
    password: str,
    share: bool,
    inline: bool | None,
    any_name: bool,
) -> tuple[Any, str, str | None]:
    """Opens the page; its address and public link are the last two of what Gradio returns."""
    gate = Middleware(Gate, password=password, hosts=None if any_name else LOOPBACK)
    return blocks.launch(
        server_name=host,
        server_port=port,
        share=share,
        inline=inline,
        prevent_thread_lock=True,
        quiet=True,
        app_kwargs={'routes': make_routes(page), 'middleware': [gate]},
        theme=gr.themes.Default(font=FONTS, font_mono=MONO),
        head=HEAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        num_workers=0,
    )


def _lay_out_images(page: Page) -> None:
    names = page.networks.names()
    _drop(enlarging.IMAGES, 'image', 'Drop images here, or choose them', several=True)
    hidden = _hidden()
    with gr.Row():
        network = gr.Dropdown(names, value=names[0], label='Network')
        factor = gr.Number(0, label='Factor', info="0: the network's own", minimum=0, maximum=64)
        form = gr.Dropdown(list(FORMATS), value='png', label='Format')
        quality = gr.Slider(1, 100, 95, step=1, label='Quality', interactive=True, visible=False)
    about = gr.Markdown(elem_id='images-about')
    with gr.Accordion('More', open=False), gr.Row():
        tile = gr.Number(
            0,
            label='Longest side of a part',
            info='in pixels; 0: as memory allows. Smaller parts show progress sooner, and may be '
            'off by a little at their seams',
            precision=0,
            minimum=0,
        )
        background = gr.Textbox(
            '', label='Background', info="behind transparency: white, '#rrggbb'"
        )
        lossless = gr.Checkbox(False, label='Lossless', info='of WebP')
    go = gr.Button('Enlarge', variant='primary', elem_id='images-go')
    _jobs(enlarging.IMAGES, 'Results')

    def enlarge(files, owner, network, factor, form, quality, lossless, background, tile) -> None:
        wish = ImageWish(
            str(network),
            float(factor or 0),
            str(form),
            int(quality) if form in ('jpg', 'webp', 'avif') else 0,
            bool(lossless),
            str(background or '').strip(),
            int(tile or 0),
        )
        enlarging.enlarge_images(page, owner, files, wish)

    inputs = [*hidden, network, factor, form, quality, lossless, background, tile]
    _connect(go, page, enlarge, inputs, enlarging.IMAGES)
    form.change(_show_quality, form, quality, api_visibility='private', queue=False)
    _describe(network, about, page)


def _show_quality(form: str) -> Any:
    """Shows the quality where a format has one, with the usual value."""
    return gr.update(visible=form in ('jpg', 'webp', 'avif'), value=90 if form == 'avif' else 95)


def _lay_out_films(page: Page) -> None:
    names = page.networks.names()
    _drop(enlarging.FILMS, 'film', 'Drop a film here, or choose one', several=False)
    hidden = _hidden()
    with gr.Row():
        network = gr.Dropdown(names, value=FOR_FILMS, label='Network')
        factor = gr.Number(0, label='Factor', info="0: the network's own", minimum=0, maximum=64)
        container = gr.Dropdown(list(CONTAINERS), value='mp4', label='Container')
    with gr.Accordion('More', open=False), gr.Row():
        codec = gr.Dropdown(list(CODECS), value='libx264', label='Encoder')
        quality = gr.Number(0, label="Encoder's quality (CRF)", info='lower is better; 0: usual')
        compare = gr.Checkbox(False, label='Left half bicubic', info='to compare')
    about = gr.Markdown(elem_id='films-about')
    with gr.Row():
        preview = gr.Button('Preview of five seconds', elem_id='films-preview')
        go = gr.Button('Enlarge the film', variant='primary', elem_id='films-go')
    _jobs(enlarging.FILMS, 'Films')

    def enlarge(is_preview, files, owner, network, factor, container, codec, quality, compare):
        wish = FilmWish(
            str(network),
            float(factor or 0),
            str(container) if container in CONTAINERS else 'mp4',
            str(codec),
            float(quality or 0),
            bool(compare),
            is_preview,
        )
        enlarging.enlarge_film(page, owner, files, wish)

    inputs = [*hidden, network, factor, container, codec, quality, compare]
    film, part = functools.partial(enlarge, False), functools.partial(enlarge, True)
    _connect(go, page, film, inputs, enlarging.FILMS, 'enlarge_film')
    _connect(preview, page, part, inputs, enlarging.FILMS, 'preview_film')
    _describe(network, about, page)


def _lay_out_inside(page: Page) -> None:
    names = list_runs(page.runs)
    gr.Markdown(
        'Which kernel each switched convolution of a run chooses, pixel by pixel; of a run of '
        'SRFlow, its samples and latents.'
    )
    _drop(looking.INSIDE, 'image', 'Drop an image here, or choose one', several=False)
    hidden = _hidden()
    run = gr.Dropdown(names, value=names[0] if names else None, label='Run')
    go = gr.Button('Look', variant='primary', elem_id='inside-go')
    _jobs(looking.INSIDE, 'Sheets')

    def look(files, owner, run) -> None:
        looking.look_inside(page, owner, files, str(run))

    _connect(go, page, look, [*hidden, run], looking.INSIDE)


def _lay_out_training(page: Page) -> None:
    names, experiments = list_runs(page.runs), trainer.list_experiments(page.configs)
    files, owner = _hidden()
    with gr.Row():
        experiment = gr.Dropdown(
            experiments,
            value=experiments[0] if experiments else None,
            label='Config and variant',
        )
        name = gr.Textbox('mine', label='Name of the run', info='one that is there goes on')
        steps = gr.Number(0, label='Steps', info="0: the config's", precision=0, minimum=0)
    go = gr.Button('Start, or go on', variant='primary', elem_id='train-go')
    _jobs(trainer.TRAIN, 'Trainings')
    run = gr.Dropdown(names, value=names[0] if names else None, label='Watch a run')
    watch = gr.HTML(_watch(names[0]) if names else _watch(''))

    def train(files, owner, experiment, name, steps) -> Any:
        trainer.start(page, owner, str(experiment), str(name), int(steps or 0))
        return gr.update(choices=[*list_runs(page.runs), name], value=name), _watch(name)

    inputs = [files, owner, experiment, name, steps]
    _connect(go, page, train, inputs, trainer.TRAIN, outputs=[run, watch])
    run.change(_watch, run, watch, api_visibility='private', queue=False)


def _watch(run: str) -> str:
    """The curves of a run that is in the list; the browser asks for them by its name."""
    name = str(run or '').replace('&', '&amp;').replace('"', '&quot;').replace('<', '&lt;')
    return f'<sr-run name="{name}"></sr-run>'


def _drop(tab: str, kind: str, label: str, several: bool) -> None:
    many = ' multiple' if several else ''
    gr.HTML(f'<sr-drop id="{tab}-drop" kind="{kind}" label="{label}"{many}></sr-drop>')


def _jobs(tab: str, label: str) -> None:
    gr.HTML(f'<sr-jobs id="{tab}-jobs" tab="{tab}" label="{label}"></sr-jobs>')


def _hidden() -> tuple[gr.JSON, gr.Textbox]:
    """In the place of which the browser puts the ids of what was dropped, and who it is."""
    return gr.JSON([], visible=False), gr.Textbox('', visible=False)


def _connect(
    button: gr.Button,
    page: Page,
    function: Callable[..., Any],
    inputs: list[Any],
    tab: str,
    name: str = '',
    outputs: list[Any] | None = None,
) -> None:
    """Has a button call a function, whose InputErrors become one sentence on the page."""

    def call(*values: Any) -> Any:
        try:
            return function(*values)
        except InputError as error:
            raise gr.Error(page.hide_paths(str(error)), print_exception=False) from error

    done = button.click(
        call,
        inputs,
        outputs,
        api_name=name or function.__name__,
        js=ASK.format(tab=tab),
        concurrency_limit=None,
        show_progress='hidden',
    )
    done.then(None, None, None, js=REFRESH.format(tab=tab), api_visibility='private')


def _describe(network: gr.Dropdown, about: gr.Markdown, page: Page) -> None:
    """Says of the chosen network whose it is and how fast."""

    def describe(name: str) -> str:
        try:
            return page.networks.describe(str(name))
        except InputError as error:
            return page.hide_paths(str(error))

    network.change(describe, network, about, api_visibility='private', show_progress='hidden')
