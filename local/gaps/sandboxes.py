"""How long a function's sandbox lives."""

from typing import Any

from ministack.core import lambda_runtime

Json = dict[str, Any]

ENDS = '{"status": "error", "error": str(e), "trace": traceback.format_exc()}'
GOES_ON = '{"status": "ok", "raised": {"error": str(e), "trace": traceback.format_exc()}}'
"""What a worker says of an exception: what follows it in the emulator, and here."""


def keep_sandboxes_after_exceptions() -> None:
    """A Python handler that raises keeps its sandbox: the runtime reports the exception and asks for the next event
    (Lambda Developer Guide, "Building a custom runtime", "Understanding the execution environment lifecycle"). The
    emulator ends the worker, so that each retry of an event that fails is a cold start.
    """
    assert lambda_runtime._PYTHON_WORKER_SCRIPT.count(ENDS) == 1
    lambda_runtime._PYTHON_WORKER_SCRIPT = lambda_runtime._PYTHON_WORKER_SCRIPT.replace(ENDS, GOES_ON)
    invoke = lambda_runtime.Worker.invoke

    def invoke_and_keep(worker: Any, *arguments: Any, **named: Any) -> Json:
        answer: Json = invoke(worker, *arguments, **named)
        raised = answer.pop("raised", None)
        return {**answer, **raised, "status": "error"} if raised else answer

    lambda_runtime.Worker.invoke = invoke_and_keep
