"""Read ahead: what comes next is fetched in a thread of its own while the rest is looked at."""

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

T = TypeVar("T")
LOOK_AGAIN_SECONDS = 0.2


class _End:
    """After the last one; or what went wrong instead."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(pages: Iterator[T], most: int) -> Iterator[list[T]]:
    """The pages in their order, as many together as are there already, up to ``most``, and no further ahead than that.

    Raises what fetching them raised.
    """
    ready: Queue[T | _End] = Queue(most)
    left = threading.Event()
    thread = threading.Thread(target=_fetch, args=(pages, ready, left), name="read ahead", daemon=True)
    thread.start()
    try:
        yield from _together(ready, most)
    finally:
        left.set()
        thread.join()


def _fetch(pages: Iterator[T], ready: "Queue[T | _End]", left: threading.Event) -> None:
    end = _End()
    try:
        for page in pages:
            if not _put(ready, page, left):
                return
    except BaseException as error:  # noqa: BLE001  it is raised where the pages are looked at
        end = _End(error)
    _put(ready, end, left)


def _put(ready: "Queue[T | _End]", one: T | _End, left: threading.Event) -> bool:
    """False when nobody waits for it any more."""
    while not left.is_set():
        try:
            ready.put(one, timeout=LOOK_AGAIN_SECONDS)
        except Full:
            continue
        return True
    return False


def _together(ready: "Queue[T | _End]", most: int) -> Iterator[list[T]]:
    while True:
        one = ready.get()
        some: list[T] = []
        while not isinstance(one, _End):
            some.append(one)
            if len(some) == most:
                break
            try:
                one = ready.get_nowait()
            except Empty:
                break
        if some:
            yield some
        if isinstance(one, _End):
            if one.error is not None:
                raise one.error
            return
