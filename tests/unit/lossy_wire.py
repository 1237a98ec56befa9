"""The real SDK on a wire that loses answers: DynamoDB in memory does what is asked, and the client is not told.

The SDK then repeats its request, as it does on AWS, and is answered as one who asks for a second time.
"""

import json
from collections.abc import Callable
from typing import Any

from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectionClosedError

from eventflow.store import dynamodb

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

    def _send(self, request: Any, **_: Any) -> AWSResponse:
        operation = request.headers["X-Amz-Target"].decode().partition(".")[2]
        asked = json.loads(request.body)
        status, answer = 200, {}
        try:
            answer = getattr(self._db, xform_name(operation))(**asked)
        except ClientError as refused:
            status = 400
            more = {name: it for name, it in refused.response.items() if name in ("Item", "CancellationReasons")}
            answer = {"__type": f"com.amazonaws.dynamodb#{refused.response['Error']['Code']}", **more}
        if self._loses(operation):
            raise ConnectionClosedError(endpoint_url=request.url)
        return AWSResponse(request.url, status, {}, _Body(json.dumps(answer).encode()))


class _Body:
    """What urllib3 would hand over."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        return [self._content]
