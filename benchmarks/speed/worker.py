"""A warm function in a process of its own, for `benchmarks.speed.warm`: with nothing but Lambda's packages and its own.

Its first line in says what it is; each line after that, how many invocations to make; it answers with their CPU time.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any


class Context:
    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "52fdfc07-2182-454f-963f-5f0f9a621d72"

    def get_remaining_time_in_millis(self) -> int:
        return 15_000


def handler_of(about: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """The function's, or for `calls` a bare one's that makes the same calls of AWS."""
    if "calls" in about:
        return bare(about["calls"])
    module, _, name = about["handler"].rpartition(".")
    handler: Callable[[Any, Any], Any] = getattr(importlib.import_module(module), name)
    return handler


def bare(calls: list[list[Any]]) -> Callable[[Any, Any], Any]:
    import boto3

    clients = {service: boto3.client(service) for service, _, _ in calls}

    def handler(event: Any, context: Any) -> Any:
        for service, method, parameters in calls:
            getattr(clients[service], method)(**parameters)
        return {"statusCode": 201, "body": "{}"}

    return handler


def recorded(invoke: Callable[[], Any]) -> list[list[Any]]:
    """What one invocation asks of AWS: service, method and parameters of each call."""
    from botocore import xform_name
    from botocore.client import BaseClient

    calls: list[list[Any]] = []

    def record(params: Any, model: Any, **_: Any) -> None:
        calls.append([model.service_model.service_name, xform_name(model.name), dict(params)])

    clients = [it for it in gc.get_objects() if isinstance(it, BaseClient)]
    for client in clients:
        client.meta.events.register("provide-client-params", record)
    invoke()
    for client in clients:
        client.meta.events.unregister("provide-client-params", record)
    return calls


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what functions log and count
    about = json.loads(sys.stdin.readline())
    handler, event, context = handler_of(about), about["event"], Context()
    sampled = about.get("sampled")

    def invoke() -> Any:
        if sampled is not None:
            root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
            os.environ["_X_AMZN_TRACE_ID"] = f"Root={root};Parent=53995c3f42cd8ad8;Sampled={sampled}"
        return json.dumps(handler(json.loads(event), context))

    for line in sys.stdin:
        if line.strip() == "calls":
            answer: Any = recorded(invoke)
        else:
            before = time.process_time()
            for _ in range(int(line)):
                last = invoke()
            answer = {"milliseconds": (time.process_time() - before) * 1000, "last": last}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
