"""What the tabs are made of: our own elements of HTML, and how buttons call our functions."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from sr_jax.errors import InputError
from sr_jax.page.page import Page

# The browser puts what was dropped and who it is in the place of the first two inputs.
ASK = (
    'async (files, owner, ...rest) => '
    "[await document.querySelector('#{tab}-drop')?.settle() ?? [], srJaxOwner(), ...rest]"
)
REFRESH = "() => document.querySelector('#{tab}-jobs').refresh()"
QUIET = dict(api_visibility='private', show_progress='hidden')


def put(html: str) -> gr.HTML:
    """Our own elements, without Gradio's looks."""
    return gr.HTML(html, apply_default_css=False, padding=False, js_on_load=None)


def put_drop(tab: str, kind: str, label: str, several: bool = False) -> list[Any]:
    """Where files are dropped; returns the inputs that stand for them and for who drops them."""
    many = ' several' if several else ''
    put(f'<sr-drop id="{tab}-drop" kind="{kind}" label="{label}"{many}></sr-drop>')
    return hide_inputs()


def hide_inputs() -> list[Any]:
    """The two inputs in whose place the browser puts what was dropped and who it is."""
    return [gr.JSON([], visible=False), gr.Textbox('', visible=False)]


def put_jobs(tab: str, label: str) -> None:
    """The list of a browser's jobs in a tab."""
    put(f'<sr-jobs id="{tab}-jobs" tab="{tab}" label="{label}"></sr-jobs>')


def connect(
    button: gr.Button,
    page: Page,
    function: Callable[..., Any],
    inputs: list[Any],
    tab: str,
    name: str,
    outputs: list[Any] | None = None,
) -> None:
    """Has a button call a function, whose InputErrors become one sentence on the page.

    Args:
      button: of the tab.
      page: whose paths are hidden.
      function: is given the values of the inputs.
      inputs: those of `hide_inputs` first.
      tab: whose files are given, and whose jobs are shown.
      name: of the function for programs that use the page.
      outputs: what it returns.
    """

    def call(*values: Any) -> Any:
        try:
            return function(*values)
        except InputError as error:
            raise gr.Error(page.hide_paths(str(error)), print_exception=False) from error

    done = button.click(
        call,
        inputs,
        outputs,
        api_name=name,
        js=ASK.format(tab=tab),
        concurrency_limit=None,
        show_progress='hidden',
    )
    done.then(None, None, None, js=REFRESH.format(tab=tab), api_visibility='private')


def put_network(blocks: gr.Blocks, page: Page, tab: str, value: str) -> tuple[Any, Any]:
    """The choice of a network, and the line below that says whose it is and how fast."""
    network = gr.Dropdown(page.networks.names(), value=value, label='Network', min_width=240)
    about = gr.Markdown(elem_id=f'{tab}-about', render=False)

    def describe(name: str) -> str:
        try:
            return page.hide_paths(page.networks.describe(str(name)))
        except InputError as error:
            return page.hide_paths(str(error))

    renew(blocks, network, page.networks.names)
    network.change(describe, network, about, **QUIET)
    blocks.load(describe, network, about, **QUIET)
    return network, about


def renew(blocks: gr.Blocks, choice: gr.Dropdown, names: Callable[[], list[str]]) -> None:
    """Has whoever opens the page see the networks or runs that there are by then."""

    def offer(chosen: str | None) -> Any:
        found = names()
        value = chosen if chosen in found else next(iter(found), None)
        return gr.update(choices=found, value=value)

    blocks.load(offer, choice, choice, **QUIET)
