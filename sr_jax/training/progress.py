"""What a person sees of a training run: lines, TensorBoard, sample images, a summary."""

import json
import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import jax
import numpy as np
from tqdm import tqdm

from sr_jax.errors import name_file
from sr_jax.images.files import save_image
from sr_jax.training.tensorboard import TensorBoard

FORMATS = ('text', 'json')


class Progress:
    """Reports a training run to the terminal, to TensorBoard and to `metrics.jsonl`.

    On a terminal a live line shows step, losses, steps a second, time left and how long the step
    waited for data; elsewhere each report is a line. With the format 'json' everything on the
    standard output is one JSON object a line, with the key 'event'.

    Args:
      workdir: the run's folder, which exists.
      steps: updates of the whole run.
      log_format: 'text' or 'json'.
      stream: where to write; the standard output if None.
    """

    def __init__(
        self, workdir: Path, steps: int, log_format: str = 'text', stream: TextIO | None = None
    ):
        self._stream = stream or sys.stdout
        self._workdir, self._steps = workdir, steps
        self._json = log_format == 'json'
        self._tensorboard: TensorBoard | None = None
        self._bar: tqdm | None = None
        self.restart_clock(0)

    def begin(self, start: int) -> None:
        """Starts the live line and the clock of a run that resumes after `start` updates."""
        self._tensorboard = TensorBoard(self._workdir / 'tensorboard', start)
        self._end_half_a_line()
        if not self._json and self._stream.isatty():
            self._bar = tqdm(
                total=self._steps,
                initial=start,
                file=self._stream,
                unit='step',
                dynamic_ncols=True,
            )
        self.restart_clock(start)

    def _end_half_a_line(self) -> None:
        """Keeps what comes apart from a line that a run was killed in the middle of."""
        path = self._workdir / 'metrics.jsonl'
        if path.exists() and not path.read_bytes().endswith(b'\n'):
            with name_file(path), path.open('a', encoding='utf-8') as lines:
                lines.write('\n')

    def message(self, text: str) -> None:
        """Shows a line of text."""
        if self._json:
            self._emit({'event': 'message', 'text': text})
        else:
            self._write(text)

    def own_message(self, text: str) -> None:
        """Shows a line of text that only this one of several processes has to say."""
        self.message(text)

    def add_wait(self, seconds: float) -> None:
        """Adds to the time that the devices may have waited for data since the last report.

        A batch that came while the devices still worked on the step before costs nothing; one
        that came later counts with all the time it took to get, which is at least the wait.
        """
        self._waited += seconds

    def report_steps(self, step: int, metrics: Mapping[str, float]) -> None:
        """Reports the metrics of a step, and the speed since the report before."""
        elapsed = max(time.perf_counter() - self._since, 1e-9)
        rate = (step - self._since_step) / elapsed
        wait = self._waited / elapsed
        values = {**metrics, 'steps_per_second': rate, 'data_wait': wait}
        self._record('train', step, values)
        if self._bar is not None:
            self._bar.update(step - self._bar.n)
            self._bar.set_postfix_str(f'{_describe_losses(metrics)} data {wait:.1%}')
        elif not self._json:
            left = _duration((self._steps - step) / rate) if rate else '?'
            speed = f'{rate:.2f} steps/s  data wait {wait:.1%}  {left} left'
            shown = speed if step > self._since_step else 'compiled'
            self._write(f'step {step}/{self._steps}  {_describe_losses(metrics)}  {shown}')
        self.restart_clock(step)

    def restart_clock(self, step: int) -> None:
        """Leaves the time until now out of the speed: a compilation, an evaluation."""
        self._since, self._since_step, self._waited = time.perf_counter(), step, 0.0

    def report_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Reports the metrics of the validation images."""
        self._record('validation', step, metrics)
        if not self._json:
            shown = {k: v for k, v in metrics.items() if '/' not in k}
            self._write(f'step {step}/{self._steps}  validation: {describe(shown)}')

    def save_panel(self, step: int, grid: np.ndarray, tag: str = 'samples') -> Path:
        """Saves a grid of images, float [H, W, 3] in [0, 1], in the folder `tag`; its path."""
        path = self._workdir / tag / f'{step:08d}.png'
        path.parent.mkdir(exist_ok=True)
        save_image(path, grid)
        assert self._tensorboard is not None
        self._tensorboard.image(step, tag, grid)
        return path

    def summary(self, values: Mapping[str, object]) -> None:
        """Shows the end of a run: names and what they are."""
        if self._json:
            self._emit({'event': 'summary', **values})
        else:
            width = max(map(len, values))
            self._write('\n'.join(f'{name:<{width}}  {value}' for name, value in values.items()))

    def close(self) -> None:
        """Ends the live line."""
        if self._bar is not None:
            self._bar.close()

    def _record(self, event: str, step: int, values: Mapping[str, float]) -> None:
        record = {'event': event, 'step': step, **values}
        path = self._workdir / 'metrics.jsonl'
        with name_file(path), path.open('a', encoding='utf-8') as lines:
            lines.write(_dumps(record) + '\n')
        assert self._tensorboard is not None
        self._tensorboard.scalars(step, {f'{event}/{k}': v for k, v in values.items()})
        if self._json:
            self._emit(record)

    def _emit(self, record: Mapping[str, object]) -> None:
        print(_dumps(record), file=self._stream, flush=True)

    def _write(self, text: str) -> None:
        if self._bar is not None:
            self._bar.write(text, file=self._stream)
        else:
            print(text, file=self._stream, flush=True)


class Silent(Progress):
    """What the other processes of a run show and write: nothing, but what is theirs alone."""

    def begin(self, start: int) -> None:
        """Starts nothing."""

    def message(self, text: str) -> None:
        """Leaves the text to the first process."""

    def own_message(self, text: str) -> None:
        """Shows a line on the standard error, with the number of the process."""
        print(f'process {jax.process_index()}: {text}', file=sys.stderr, flush=True)

    def report_steps(self, step: int, metrics: Mapping[str, float]) -> None:
        """Leaves the metrics to the first process."""

    def report_validation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Leaves the metrics to the first process."""

    def save_panel(self, step: int, grid: np.ndarray, tag: str = 'samples') -> Path:
        """Leaves the images to the first process; returns where it saves them."""
        return self._workdir / tag / f'{step:08d}.png'

    def summary(self, values: Mapping[str, object]) -> None:
        """Leaves the end to the first process."""


def _dumps(record: Mapping[str, object]) -> str:
    """Returns a record as JSON; numbers that JSON does not have become null."""
    finite = {
        k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()
    }
    return json.dumps(finite, default=str)


def _describe_losses(metrics: Mapping[str, float]) -> str:
    """Returns the loss and its terms in words; names with a slash are for TensorBoard and the
    file."""
    shown = {name: value for name, value in metrics.items() if '/' not in name}
    return describe({'loss': shown.pop('loss'), **shown})


def describe(metrics: Mapping[str, float]) -> str:
    """Returns metrics as 'name value  name value'."""
    return '  '.join(f'{name} {value:.4g}' for name, value in metrics.items())


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{seconds:02d}' if hours else f'{minutes}:{seconds:02d}'
