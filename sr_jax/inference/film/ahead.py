"""An iterator that runs ahead in a thread of its own, by so many items and no more."""

import queue
import threading
from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar('T')


class _End:
    """What stands behind the last item: the exception that ended them, or None."""

    def __init__(self, error: BaseException | None = None):
        self.error = error


def ahead(items: Generator[T, None, None], count: int) -> Generator[T, None, None]:
    """Yields the items of a generator, which runs in a thread while they are used.

    What it raises is raised here. When this generator is closed, that one is closed too, in its
    thread, before its next item.

    Args:
      items: the generator.
      count: items that may wait.
    """
    waiting: queue.Queue[Any] = queue.Queue(count)
    stop = threading.Event()

    def work() -> None:
        end = _End()
        try:
            for item in items:
                waiting.put(item)
                if stop.is_set():
                    break
        except BaseException as error:
            end = _End(error)
        finally:
            items.close()
            waiting.put(end)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    item: Any = None
    try:
        while not isinstance(item := waiting.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        stop.set()
        while not isinstance(item, _End):
            item = waiting.get()
        thread.join()
