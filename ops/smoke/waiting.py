"""Waiting for what a deployed stack does by itself, and what is wrong when it does not."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ops import OpsError

T = TypeVar("T")


class Wrong(OpsError):
    """Something is not as it should be. `look_at` is the command, or the page, that tells more."""

    def __init__(self, message: str, look_at: str) -> None:
        super().__init__(message)
        self.look_at = look_at


class Skip(Exception):
    """A step that makes no sense for this stack. The message says why."""


@dataclass(frozen=True)
class Patience:
    """For how many seconds what is waited for."""

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
"""Logs and traces take seconds to come, and up to a minute or two. Poison: a checkout is tried five times at 90 s, and
then moved by whoever asks next; an asynchronous invocation again after one minute and after two.
"""


def until(
    look: Callable[[], T], holds: Callable[[T], object], seconds: float, otherwise: Callable[[T], OpsError], poll: float
) -> T:
    """What `look` sees once it `holds`. Raises what `otherwise` makes of what was seen last."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen):
            return seen
        if time.monotonic() > deadline:
            raise otherwise(seen)
        time.sleep(poll)
