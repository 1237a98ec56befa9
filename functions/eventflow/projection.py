"""Consumers that keep a copy of another service's data."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from eventflow import telemetry
from eventflow.contracts import Fact
from eventflow.receiving import Consume, receive


def projection(*facts: type[Fact]) -> Callable[[Consume], telemetry.Handler]:
    """Make a function that applies a `Received` of one of `facts` to a copy the Lambda handler of an EventBridge rule.

    Unlike a subscriber it keeps no record of what it has handled: a projection has no effect outside, the
    producer's revision guards its writes, and a replay rebuilds it. Failures end as a subscriber's do.
    """

    def decorate(apply: Consume) -> telemetry.Handler:
        @telemetry.instrumented
        @functools.wraps(apply)
        def handler(event: Any, context: Any) -> None:
            apply(receive(event, *facts))

        return handler

    return decorate
