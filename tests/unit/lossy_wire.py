"""The real SDK on a wire that loses answers: DynamoDB in memory does what is asked, and the client is not told.

The SDK then repeats its request, as it does on AWS, and is answered as one who asks for a second time.
"""

from collections.abc import Callable
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from eventflow.store import dynamodb

from ..simulation import wire
from .memory_dynamodb import MemoryDynamoDB


class LossyWire:
    """Between the client that functions have and tables in memory. `loses` is asked of each operation."""

    def __init__(self, db: MemoryDynamoDB, loses: Callable[[str], bool]) -> None:
        self._db = db
        self._loses = loses

    def __enter__(self) -> None:
        dynamodb.meta.events.register("before-send.dynamodb", self._send)

    def __exit__(self, *_: object) -> None:
        dynamodb.meta.events.unregister("before-send.dynamodb", self._send)

    def _send(self, request: Any, **_: Any) -> Any:
        asked = wire.read(request)
        try:
            answer = wire.answered(asked, getattr(self._db, xform_name(asked.operation))(**asked.about))
        except ClientError as error:
            more = {name: it for name, it in error.response.items() if name in ("Item", "CancellationReasons")}
            answer = wire.refused(asked, wire.Refused(error.response["Error"]["Code"], **more))
        if self._loses(asked.operation):
            raise wire.no_answer(asked)
        return answer
