"""Opens the page: `sr-jax app`, and `sr_jax.app()` from a notebook."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError
from sr_jax.page.limits import Limits

LOOPBACK = '127.0.0.1'
LOCAL = (LOOPBACK, 'localhost', '::1')
SETTINGS = {
    'GRADIO_ANALYTICS_ENABLED': 'False',
    # A training beside the page needs its part of a GPU's memory.
    'XLA_PYTHON_CLIENT_PREALLOCATE': 'false',
}


class App:
    """A page that is open.

    Attributes:
      url: where it is.
      share_url: its public link, or ''.
    """

    def __init__(self, blocks: Any, page: Any, url: str, share_url: str):
        self._blocks, self._page = blocks, page
        self._warming = threading.Thread(target=_warm_up, name='imports', daemon=True)
        self._warming.start()
        self.url, self.share_url = url, share_url

    def wait(self) -> None:
        """Waits until Ctrl-C or SIGTERM ends it."""
        threading.Event().wait()

    def close(self) -> None:
        """Ends all jobs, closes the page and removes its files."""
        self._blocks.close(verbose=False)
        self._warming.join()
        self._page.close()


def app(
    weights: Sequence[str | Path] = (),
    *,
    runs: str | Path = 'runs',
    configs: str | Path = 'configs',
    host: str = LOOPBACK,
    port: int | None = None,
    password: str = '',
    share: bool = False,
    limits: Limits | None = None,
    inline: bool | None = None,
) -> App:
    """Opens the page, and returns while it is open.

    Args:
      weights: files of weights to offer beside the published ones and the runs.
      runs: the folder of runs.
      configs: the folder of configs.
      host: the address that it listens at; others than the loopback need a password.
      port: None: the first free one from 7860 on.
      password: that the browser asks for; any user name does.
      share: also open a public link, through a server of Gradio; it needs a password.
      limits: of what visitors may take.
      inline: show it in the notebook; None: where there is one.

    Raises:
      InputError: Gradio is not installed, a password is missing, or the address is taken.
    """
    if (host not in LOCAL or share) and not password:
        raise InputError(
            f'{"a public link" if share else f"--host {host}"} lets others in: set a password '
            '(the environment variable SR_JAX_PASSWORD; in Python password=...)'
        )
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    gradio = import_gradio()
    from sr_jax.page import layout
    from sr_jax.page.page import Page

    page = Page([str(path) for path in weights], Path(runs), Path(configs), limits or Limits())
    try:
        blocks = layout.make(page)
        url, share_url = layout.open_page(
            blocks,
            page,
            password,
            any_name=bool(share or host not in LOCAL or gradio.utils.colab_check()),
            server_name=host,
            server_port=port,
            share=share,
            inline=inline,
        )
    except OSError as error:
        page.close()
        raise InputError(f'the page cannot be opened at {host}: {error}') from error
    return App(blocks, page, url, share_url)


def import_gradio() -> Any:
    """The library of the page.

    Raises:
      InputError: it is not installed.
    """
    try:
        import gradio
        from gradio import Blocks  # noqa: F401  any folder of that name can be imported
    except ImportError as error:
        raise InputError(
            f"the page needs Gradio ({error}): pip install 'sr_jax[app]'"
        ) from error
    return gradio


def _warm_up() -> None:
    """Imports what the first job needs, while the page is open already."""
    from sr_jax.inference import upscaler  # noqa: F401
