"""Long work that makes millions of short-lived objects, none of them in a circle."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def seldom_collecting() -> Iterator[None]:
    """Look for objects in circles seldom meanwhile.

    Python looks after every 700 new objects. An import of orders makes thousands for each portion and keeps none of
    them, so that looking takes a quarter of its time and finds nothing (measured with ``benchmarks/importing.py``);
    reading hundreds of modules keeps them all, and looking takes a tenth.
    """
    before = gc.get_threshold()
    gc.set_threshold(200_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
