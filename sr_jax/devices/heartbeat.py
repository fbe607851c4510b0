"""Which of the processes that train together are still alive, and how the rest learn of a loss.

JAX's own runtime ends a process in the middle when another one is lost, and does not say which. So
every process here gives signs of life through the runtime's store of keys and values, process 0
looks at them, and its verdict, or its own silence, ends the others with a message.
"""

import ctypes
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

import jax

from sr_jax.devices.jax_internals import read_runtime

ROOT = 'sr_jax'
LOST_PEER = re.compile(
    'gloo|nccl|coordination|barrier|deadline|unavailable|connection|peer|socket', re.IGNORECASE
)
ADVICE = 'Start all the processes again with the same command: the run resumes where it was saved'


_handlers: list[Any] = []  # C must find them for as long as the process lives


def on_abort(explain: Callable[[], str], stream: int = 2) -> None:
    """Lets a process that JAX's runtime aborts end with a message and status 1.

    The runtime aborts from a thread of its own within milliseconds and asks nobody in Python first,
    so that the signal is all there is to hold on to.

    Args:
      explain: returns what to say, or '' where the abort has another cause and takes its way.
      stream: file descriptor to write to.
    """

    def handler(number: int) -> None:
        text = explain()
        if text:
            os.write(stream, f'error: {text}\n'.encode())
            os._exit(1)

    _handlers.append(ctypes.CFUNCTYPE(None, ctypes.c_int)(handler))
    install = ctypes.CDLL(None).signal
    install.argtypes, install.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
    install(int(signal.SIGABRT), ctypes.cast(_handlers[-1], ctypes.c_void_p))


class Watch:
    """Signs of life of this process, and an eye on the others'.

    Args:
      silence: seconds without a sign of life after which a process counts as lost.
    """

    def __init__(self, silence: float):
        self._index, self._count = jax.process_index(), jax.process_count()
        self._silence = silence
        self._interval = min(max(silence / 10, 0.05), 5.0)
        runtime = read_runtime()
        self._client, self._coordinator = runtime.client, str(runtime.coordinator)
        self._parting = threading.Event()
        self._decided = threading.Event()
        self._answered = time.monotonic()
        self._heard = {i: ('', time.monotonic()) for i in range(self._count)}
        self._beats = 0
        self._beat()
        self._client.wait_at_barrier(f'{ROOT}/begin', int(1000 * max(silence, 60)))
        if self._index:
            self._names = dict(self._read('alive'))
        on_abort(self._explain_abort)
        for work in (self._look_again, self._look_at_the_clock):
            threading.Thread(target=work, daemon=True, name=f'watch{work.__name__}').start()

    def part(self) -> None:
        """Waits for all the others at the end of the run; then they are no longer watched."""
        self._client.wait_at_barrier(f'{ROOT}/end', 24 * 3600 * 1000)  # a loss meanwhile is seen
        self._parting.set()

    def blame(self, error: BaseException) -> None:
        """Waits for news of another process if an error looks as if it came from its loss.

        Does not come back if there are any.
        """
        texts: list[str] = []
        chained: BaseException | None = error
        while chained is not None:
            texts.append(f'{type(chained).__name__} {chained}')
            chained = chained.__cause__ or chained.__context__
        if LOST_PEER.search(' '.join(texts)):
            self._wait_for_news()

    def _wait_for_news(self) -> None:
        """Comes back when there are none of another process; otherwise they end this one."""
        if self._decided.wait(self._silence + 6 * self._interval):
            time.sleep(60)  # process 0 tells the others first

    def fail(self, text: str) -> None:
        """Tells the others why this process ends."""
        self._parting.set()
        try:
            key = 'verdict/0' if self._index == 0 else f'failed/{self._index}'
            self._client.key_value_set(f'{ROOT}/{key}', f'{self._name(self._index)} ended: {text}')
        except jax.errors.JaxRuntimeError:
            return  # the runtime has gone, and they are told so by that
        if self._index == 0:
            time.sleep(4 * self._interval)  # the store ends with this process

    def _name(self, index: int) -> str:
        if index == self._index:
            where = f'{socket.gethostname()}, pid {os.getpid()}'
        else:
            known = self._heard[index][0] or self._names.get(str(index), '')
            where = known.partition(' ')[2] or 'it never began'
        return f'process {index} of {self._count} ({where})'

    def _beat(self) -> None:
        self._beats += 1
        sign = f'{self._beats} {socket.gethostname()}, pid {os.getpid()}'
        self._client.key_value_set(f'{ROOT}/alive/{self._index}', sign, allow_overwrite=True)

    def _read(self, folder: str) -> list[tuple[str, str]]:
        found = self._client.key_value_dir_get(f'{ROOT}/{folder}/')
        return [(key.rpartition('/')[2], value) for key, value in found]

    def _look_again(self) -> None:
        """Gives a sign of life and looks for others', over and over."""
        while not self._parting.wait(self._interval):
            try:
                self._beat()
                verdict = self._verdict() if self._index == 0 else self._read('verdict')
            except jax.errors.JaxRuntimeError:
                continue  # the clock decides
            self._answered = time.monotonic()
            if verdict and not self._parting.is_set():
                self._end(verdict[0][1])

    def _verdict(self) -> list[tuple[str, str]]:
        """Tells the others, and returns, who has failed or has been silent for too long."""
        now = time.monotonic()
        for index, sign in self._read('alive'):
            if self._heard[int(index)][0] != sign:
                self._heard[int(index)] = (sign, now)
        text = next((value for _, value in self._read('failed')), '')
        silent = [i for i, (_, at) in self._heard.items() if now - at > self._silence]
        if not text and silent:
            text = f'{self._name(silent[0])} is lost: no sign of life for {self._silence:g} s'
        if not text or self._parting.is_set():
            return []
        self._decided.set()
        self._answered = time.monotonic()  # telling takes time, in which the clock is not to end it
        self._client.key_value_set(f'{ROOT}/verdict/0', text, allow_overwrite=True)
        time.sleep(4 * self._interval)  # the store ends with this process
        return [('0', text)]

    def _look_at_the_clock(self) -> None:
        """Ends this process when the runtime, in process 0, does not answer any more."""
        while not self._parting.wait(self._interval):
            if time.monotonic() - self._answered > self._silence + 2 * self._interval:
                self._end(self._describe_loss())

    def _describe_loss(self) -> str:
        return (
            f'{self._name(0)}, which coordinates the run at {self._coordinator}, is lost: it does '
            'not answer'
        )

    def _explain_abort(self) -> str:
        """Returns whose loss it was when the runtime aborts as process 0 is gone; '' otherwise.

        Gloo aborts too, when what reaches it from others is of a size that it does not expect,
        because one of them has gone on without the lost one. Then the news are waited for.
        """
        if self._parting.is_set():
            return ''
        if self._index:
            host, _, port = self._coordinator.rpartition(':')
            try:
                socket.create_connection((host.strip('[]'), int(port)), timeout=1).close()
            except OSError:
                return f'{self._describe_loss()}. {ADVICE}'
        self._wait_for_news()
        return ''

    def _end(self, text: str) -> NoReturn:
        print(f'error: {text}. {ADVICE}', file=sys.stderr, flush=True)
        os._exit(1)
