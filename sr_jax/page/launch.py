"""Opens the page: `sr-jax app`, and `sr_jax.app()` from a notebook."""

import gc
import importlib.abc
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
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
    sys.meta_path.insert(0, _WithoutStubs())
    collects = gc.isenabled()
    gc.disable()  # of what is imported nothing is garbage, and looking takes a tenth of the time
    try:
        import gradio
        from gradio import Blocks  # noqa: F401  any folder of that name can be imported
    except ImportError as error:
        raise InputError(
            f"the page needs Gradio ({error}): pip install 'sr_jax[app]'"
        ) from error
    finally:
        if collects:
            gc.enable()
        sys.meta_path[:] = [x for x in sys.meta_path if not isinstance(x, _WithoutStubs)]
    return gradio


class _WithoutStubs(importlib.abc.MetaPathFinder):
    """Has Gradio leave the stubs of its components as they are.

    Gradio 6.31 parses each component's source as it is imported, to bring the stubs for editors
    beside it up to date: a fifth to a third of the time until the page is open, and of no use here.
    """

    MODULE, STUBS = 'gradio.component_meta', 'create_or_modify_pyi'

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """As other finders find it, but for what follows its execution."""
        if name != self.MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if hasattr(module, self.STUBS):
                    setattr(module, self.STUBS, lambda *_: None)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _warm_up() -> None:
    """Imports what the first job needs, while the page is open already."""
    from sr_jax.inference import upscaler  # noqa: F401
