"""What the page looks like, and how it is opened."""

from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from sr_jax.page import enlarging, looking, tabs, trainer
from sr_jax.page.gate import LOOPBACK, OWN, Gate
from sr_jax.page.page import Page
from sr_jax.page.parts import put
from sr_jax.page.routes import make_routes

STATIC = f'{OWN.strip("/")}/static'
HEAD = (
    f'<link rel="stylesheet" href="{STATIC}/page.css">'
    f'<script type="module" src="{STATIC}/page.js"></script>'
    f'<script type="module" src="{STATIC}/compare.js"></script>'
)
# Of the machine itself: nothing is fetched from elsewhere.
FONTS, MONO = ('system-ui', 'sans-serif'), ('ui-monospace', 'monospace')


def make(page: Page) -> gr.Blocks:
    """The page, laid out."""
    with gr.Blocks(title='sr_jax', analytics_enabled=False) as blocks:
        put('<h1 class="sr-title">Enlarge images and films</h1>')
        with gr.Tabs():
            with gr.Tab('Images', id=enlarging.IMAGES):
                tabs.lay_out_images(blocks, page)
            with gr.Tab('Film', id=enlarging.FILMS):
                tabs.lay_out_films(blocks, page)
            with gr.Tab('Inside', id=looking.INSIDE):
                tabs.lay_out_inside(blocks, page)
            with gr.Tab('Train', id=trainer.TRAIN):
                tabs.lay_out_training(blocks, page)
    return blocks


def make_theme() -> gr.themes.Base:
    """Gradio's usual looks, with buttons whose white words can be read well."""
    fill, hover = '*primary_600', '*primary_700'
    return gr.themes.Default(primary_hue='indigo', font=FONTS, font_mono=MONO).set(
        button_primary_background_fill=fill,
        button_primary_background_fill_dark=fill,
        button_primary_background_fill_hover=hover,
        button_primary_background_fill_hover_dark=hover,
    )


def open_page(
    blocks: gr.Blocks, page: Page, password: str, any_name: bool, **options: Any
) -> tuple[str, str]:
    """Opens the page; returns its address and its public link, '' where there is none.

    Args:
      blocks: of `make`.
      page: whose they are.
      password: that the browser asks for; '': none.
      any_name: whether it may be asked for under other names than this machine's own.
      options: of Gradio's `launch`.
    """
    gate = Middleware(Gate, password=password, hosts=None if any_name else LOOPBACK)
    _, url, share_url = blocks.launch(
        prevent_thread_lock=True,
        quiet=True,
        app_kwargs={'routes': make_routes(page), 'middleware': [gate]},
        theme=make_theme(),
        head=HEAD,
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        num_workers=0,
        **options,
    )
    return url, share_url or ''
