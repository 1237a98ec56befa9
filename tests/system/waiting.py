"""Waiting for a condition, with a deadline."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SECONDS = 40
"""A saga takes two; with every function cold, on a busy machine, ten."""


def eventually(look: Callable[[], T], holds: Callable[[T], object], seconds: float = SECONDS) -> T:
    """What `look` sees once it `holds`. Fails with what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        assert time.monotonic() < deadline, f"after {seconds} s still: {seen!r}"
        time.sleep(0.1)
