"""What a function asks of AWS, and how it is answered: botocore's requests read, and its responses written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import parse_qs

from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectionClosedError

Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """One attempt of the SDK."""

    service: str
    operation: str
    about: Json
    url: str

    @cached_property
    def tables(self) -> list[str]:
        """Those that it is on, if it is one of DynamoDB."""
        if "TransactItems" in self.about:
            return list(dict.fromkeys(it["TableName"] for each in self.about["TransactItems"] for it in each.values()))
        return list(self.about["RequestItems"]) if "RequestItems" in self.about else [self.about["TableName"]]

    @cached_property
    def rows(self) -> int:
        """How many a batch read asks for."""
        return sum(len(it["Keys"]) for it in self.about.get("RequestItems", {}).values())

    @cached_property
    def name(self) -> str:
        """As people read it: PutItem OrdersTable."""
        return f"{self.operation} {' + '.join(self.tables)}" if self.service == "dynamodb" else self.operation


class Refused(Exception):
    """An error that AWS answers: `code`, and what else is in it."""

    def __init__(self, code: str, **more: Any) -> None:
        super().__init__(code)
        self.code, self.more = code, more


def read(http: Any) -> Request:
    """An AWSPreparedRequest of botocore's."""
    target = http.headers.get("X-Amz-Target")
    if target is None:  # SNS speaks the query protocol
        about = {name: values[0] for name, values in parse_qs(http.body).items()}
        return Request("sns", about["Action"], about, http.url)
    service, _, operation = (target if isinstance(target, str) else target.decode()).partition(".")
    return Request({"AWSEvents": "events"}.get(service, "dynamodb"), operation, json.loads(http.body), http.url)


def provider(operation: str, **about: Any) -> Request:
    """A call of the payment provider."""
    return Request("provider", operation, about, "https://provider")


def answered(request: Request, answer: Mapping[str, Any]) -> Any:
    if request.service == "provider":
        return None
    if request.service == "sns":
        name = request.operation
        body = f"<{name}Response><{name}Result><MessageId>m</MessageId></{name}Result></{name}Response>"
        return _response(request, 200, body)
    return _response(request, 200, json.dumps(answer))


def refused(request: Request, error: Refused) -> Any:
    if request.service == "provider":
        return ConnectionError(f"the provider refuses: {error.code}")
    if request.service == "sns":
        body = f"<ErrorResponse><Error><Code>{error.code}</Code><Message>refused</Message></Error></ErrorResponse>"
        return _response(request, 400, body)
    return _response(request, 400, json.dumps({"__type": f"aws#{error.code}", "message": "refused", **error.more}))


def no_answer(request: Request) -> ConnectionClosedError:
    return ConnectionClosedError(endpoint_url=request.url)


def _response(request: Request, status: int, body: str) -> AWSResponse:
    return AWSResponse(request.url, status, {}, _Body(body.encode()))


class _Body:
    """What urllib3 would hand over."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> list[bytes]:
        return [self._content]
