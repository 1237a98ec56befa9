"""Time and chance of one process, in the world's hands: the same each time."""

from __future__ import annotations

import datetime
import io
import os
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

import aws_lambda_powertools.utilities.idempotency.base as idempotency
from aws_lambda_powertools.utilities.idempotency.persistence import base, datarecord, dynamodb
from botocore.regions import EndpointRulesetResolver
from botocore.retries.quota import RetryQuota
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString

from .sandboxes import ENVIRONMENT

STARTED = 1_795_176_000.0
"""Seconds since 1970 at which each world begins."""


class Clock:
    """`now` is the world's time in seconds; the code that runs sees it with the `skew` of its own machine."""

    def __init__(self) -> None:
        self.now = STARTED
        self.skew = 0.0
        self.sleep: Callable[[float], None] = lambda seconds: None

    def time(self) -> float:
        return self.now + self.skew

    def time_ns(self) -> int:
        return int(self.time() * 1_000_000_000)

    def monotonic(self) -> float:
        return self.now


@contextmanager
def in_charge(clock: Clock) -> Iterator[None]:
    """While this lasts, time and chance are the clock's."""

    class Now(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime.fromtimestamp(clock.time(), tz)

    shim = SimpleNamespace(datetime=Now, timedelta=datetime.timedelta)
    patches = [
        mock.patch.dict(os.environ, ENVIRONMENT),
        mock.patch.object(sys, "stdout", io.StringIO()),  # what functions print, metrics for one
        mock.patch.object(time, "time", clock.time),
        mock.patch.object(time, "time_ns", clock.time_ns),
        mock.patch.object(time, "monotonic", clock.monotonic),
        mock.patch.object(time, "sleep", lambda seconds: clock.sleep(seconds)),
        mock.patch.object(uuid, "uuid4", _uuid4),
        # a client that has repeated much stops repeating; each world has clients that begin
        mock.patch.object(RetryQuota, "acquire", _granted),
        # nobody checks these here, and they take two fifths of a call
        mock.patch.object(EndpointRulesetResolver, "construct_endpoint", _endpoint),
        mock.patch.object(RequestSigner, "sign", _unsigned),
        mock.patch.object(UserAgentString, "to_string", _named),
        *(mock.patch.object(module, name, shim) for module, name in _modules_of_powertools()),
    ]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in reversed(patches):
            patch.stop()


# A Mock would keep each of its calls, of which there are millions.


def _granted(*_: object, **__: object) -> bool:
    return True


def _unsigned(*_: object, **__: object) -> None:
    pass


_ENDPOINT = EndpointRulesetResolver.construct_endpoint


def _endpoint(self: Any, operation_model: Any, *args: Any, **kwargs: Any) -> Any:
    """Found once for each operation of a client: no table is named by an ARN here, on which it could depend."""
    known = vars(self).setdefault("_known", {})
    if operation_model.name not in known:
        known[operation_model.name] = _ENDPOINT(self, operation_model, *args, **kwargs)
    return known[operation_model.name]


def _named(_: object) -> str:
    return "simulated"


def _uuid4() -> uuid.UUID:
    return uuid.UUID(int=random.getrandbits(128), version=4)


def _modules_of_powertools() -> list[tuple[Any, str]]:
    candidates = [(idempotency, "datetime"), (idempotency, "dt"), (base, "dt"), (datarecord, "dt"), (dynamodb, "dt")]
    return [(module, name) for module, name in candidates if hasattr(module, name)]
