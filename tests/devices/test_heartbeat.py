"""The watch over other processes, with a stand-in for the runtime's store."""

import threading
import time

import pytest

from sr_jax.devices import heartbeat
from sr_jax.devices.jax_internals import Runtime

SILENCE = 0.5


class Store:
    """Keys and values; it takes its time to tell a verdict."""

    def __init__(self, telling):
        self._values, self._telling = {}, telling

    def key_value_set(self, key, value, allow_overwrite=False):
        if 'verdict' in key:
            time.sleep(self._telling)
        self._values[key] = value

    def key_value_dir_get(self, folder):
        return [(key, value) for key, value in list(self._values.items()) if key.startswith(folder)]

    def wait_at_barrier(self, name, milliseconds):
        pass


@pytest.fixture
def ended(monkeypatch):
    """Is set when the watch ends this process."""
    event = threading.Event()

    def end(status):
        assert status == 1
        event.set()
        threading.Event().wait(60)  # it would not come back either

    monkeypatch.setattr(heartbeat.os, '_exit', end)
    return event


def first_of_two(monkeypatch, telling):
    """The watch of process 0; process 1 is lost after a first sign of life."""
    store = Store(telling)
    store.key_value_set('sr_jax/alive/1', '1 there, pid 2')
    runtime = Runtime(store, 'here:1', process=0, processes=2)
    monkeypatch.setattr(heartbeat, 'read_runtime', lambda: runtime)
    monkeypatch.setattr(heartbeat, 'on_abort', lambda explain: None)
    monkeypatch.setattr(heartbeat.jax, 'process_index', lambda: 0)
    monkeypatch.setattr(heartbeat.jax, 'process_count', lambda: 2)
    return heartbeat.Watch(SILENCE)


@pytest.mark.parametrize('aborted', [False, True])
def test_what_the_loss_of_another_breaks_waits_until_all_are_told(
    monkeypatch, ended, capsys, aborted
):
    others = first_of_two(monkeypatch, telling=0.5 * SILENCE)
    error = RuntimeError('Gloo all-reduce failed: Connection reset by peer')
    work = others._explain_abort if aborted else lambda: others.blame(error)
    waiting = threading.Thread(target=work, daemon=True)
    waiting.start()
    assert ended.wait(30)
    assert waiting.is_alive()  # else it would have ended by itself, and named nobody
    others._parting.set()
    assert 'process 1 of 2 (there, pid 2) is lost: no sign of life' in capsys.readouterr().err


def test_an_error_of_its_own_is_not_blamed_on_others(monkeypatch, ended):
    others = first_of_two(monkeypatch, telling=0)
    others.blame(ValueError('no such key'))
    others._parting.set()
    assert not ended.is_set()
