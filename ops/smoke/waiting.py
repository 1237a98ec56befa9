"""Waiting for a deployed stack, with a deadline, and the error when it does not do what it should."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ops import OpsError

T = TypeVar("T")


class Wrong(OpsError):
    """Something is not as it should be. `look_at` is the command, or the page, that says more."""

    def __init__(self, message: str, look_at: str) -> None:
        super().__init__(message)
        self.look_at = look_at


class Skip(Exception):
    """A step that makes no sense for this stack. The message says why."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds."""

    copies: float
    """A price list, an index: what follows a write."""
    order: float
    """A saga, from placed to undone."""
    logs: float
    traces: float
    poison: float
    poll: float
    """Between two looks."""
    poll_logs: float
    """AWS takes five FilterLogEvents a second from an account; one look is several."""


HERE = Patience(copies=60, order=60, logs=60, traces=60, poison=90, poll=0.2, poll_logs=0.2)
"""The embedded cloud, on a machine with few processors that others use too, every function cold."""

AWS = Patience(copies=60, order=120, logs=180, traces=180, poison=900, poll=1, poll_logs=10)
"""Logs and traces take seconds to come, and sometimes a minute or two. Poison: a checkout is tried five times, every
90 s, and moved when the queue is next asked; an asynchronous invocation is tried again after one minute and after two.
"""


def until(
    look: Callable[[], T], holds: Callable[[T], object], seconds: float, otherwise: Callable[[T], OpsError], poll: float
) -> T:
    """What `look` returns, once that `holds`. At the deadline it raises `otherwise` of what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        if time.monotonic() > deadline:
            raise otherwise(seen)
        time.sleep(poll)
