"""How many workers run at once."""

import os
from contextvars import ContextVar
from threading import BoundedSemaphore
from typing import Any

from ministack.services import lambda_svc

from local.gaps.context import holding

Json = dict[str, Any]

WORKERS_PER_FUNCTION = max(2, os.cpu_count() or 2)

CALLED_AT_ONCE = 4 * WORKERS_PER_FUNCTION


def queue_invocations() -> None:
    """Asynchronous invocations wait in a queue until the function has free concurrency (Lambda Developer Guide,
    "Error handling for asynchronous invocations"). The emulator starts a process for each at once; on a machine
    with few processors, dozens of cold ones slow each other down for a minute. So do dozens of calls over HTTP,
    which AWS runs at once: here those beyond CALLED_AT_ONCE wait for others. (No function here calls itself.)
    """
    invoke, execute = lambda_svc.invoke_async_with_retry, lambda_svc._execute_function
    asynchronous: ContextVar[bool] = ContextVar("asynchronous", default=False)
    workers: dict[tuple[str, bool], BoundedSemaphore] = {}

    def invoke_async_with_retry(function: Json, event: Json) -> None:
        with holding(asynchronous, True):
            invoke(function, event)

    def execute_function(function: Json, event: Json) -> Any:
        key = function.get("config", function)["FunctionName"], asynchronous.get()
        worker = workers.setdefault(key, BoundedSemaphore(WORKERS_PER_FUNCTION if key[1] else CALLED_AT_ONCE))
        with worker, holding(asynchronous, False):
            return execute(function, event)

    lambda_svc.invoke_async_with_retry = invoke_async_with_retry
    lambda_svc._execute_function = execute_function
