"""The networks that the page offers, by names without a path, and those that are loaded."""

import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sr_jax.errors import InputError
from sr_jax.pretrained.named import WEIGHTS, is_here
from sr_jax.training.history import list_runs

KEPT = 3  # upscalers with what was compiled for them
PUBLISHED = tuple(name for name in WEIGHTS if not name.startswith('lpips'))
FOR_FILMS = 'realesr-animevideov3'


class Networks:
    """Published weights, runs and files of weights, by name.

    Args:
      files: of weights, or anything else that `sr_jax.inference.networks.load` takes.
      runs: the folder of runs.
    """

    def __init__(self, files: Sequence[str], runs: Path):
        self._files = {Path(file).stem: file for file in files}
        self._runs, self._lock = runs, threading.Lock()
        self._keep = functools.lru_cache(KEPT)(self._make)

    def names(self) -> list[str]:
        """All that can be chosen: files first, then published weights, then runs."""
        return [*self._files, *PUBLISHED, *list_runs(self._runs)]

    def find(self, name: str) -> str:
        """What to load by a name.

        Raises:
          InputError: there is no such network here.
        """
        if name in self._files:
            return self._files[name]
        if name in PUBLISHED:
            return name
        if name in list_runs(self._runs):
            return str(self._runs / name)
        raise InputError(f'no network is called {name!r} here: choose one of the list')

    def wait(self) -> None:
        """Waits until nothing is being loaded: the interpreter must not end meanwhile."""
        with self._lock:
            pass

    def upscaler(self, name: str, *, tile: int = 0, bounded: bool = True) -> Any:
        """The network ready to enlarge; the last few are kept.

        Args:
          name: of the network.
          tile: see `Upscaler`.
          bounded: False for films.

        Raises:
          InputError: there is no such network, it does not enlarge, or the tile is too small.
        """
        with self._lock:
            return self._keep(name, self._version(name), tile, bounded)

    def describe(self, name: str) -> str:
        """its license, and about how fast it is on this machine, as Markdown.

        Raises:
          InputError: there is no such network here.
        """
        source = self.find(name)
        if name in PUBLISHED:
            package = WEIGHTS[name].package
            line = f'License: {package.license}, from {package.name} {package.version}.'
            if not is_here(name):
                return f'{line} It is fetched when it is used first.'
        else:
            line = 'Weights of your own.'
        try:
            with self._lock:
                seconds, scale = self._measure(source, self._version(name))
        except InputError as error:
            return f'{line} {error}'
        return f'{line} Scale {scale}. {_say_speed(seconds)}'

    @functools.lru_cache(32)  # noqa: B019  there is one such object
    def _measure(self, source: str, version: float) -> tuple[float, int]:
        """Seconds for a megapixel, and the scale."""
        from sr_jax.inference import networks, speed  # they import JAX

        network = networks.load(source, report=_say_nothing)
        module: Any = network.module()
        return speed.seconds_per_megapixel(network), module.scale

    def _version(self, name: str) -> float:
        """What changes when a file or a run does."""
        path = Path(self.find(name))
        if name in PUBLISHED or not path.exists():
            return 0.0
        steps = path / 'checkpoints'
        return (steps if steps.is_dir() else path).stat().st_mtime

    def _make(self, name: str, version: float, tile: int, bounded: bool) -> Any:
        import jax

        from sr_jax.inference import networks
        from sr_jax.inference.upscaler import Upscaler

        network = networks.load(self.find(name), report=_say_nothing)
        devices = jax.devices()
        if bounded and devices[0].platform == 'cpu':
            devices = devices[:1]  # all cores work for each: more are for the frames of films
        return Upscaler(network, tile=tile, bounded=bounded, devices=devices)


def _say_speed(seconds: float) -> str:
    if seconds < 90:
        return f'About {seconds:.2g} s for a megapixel on this machine.'
    return f'About {seconds / 60:.2g} minutes for a megapixel on this machine.'


def _say_nothing(line: str) -> None:
    """What is said of weights is for the terminal of who started the page."""
