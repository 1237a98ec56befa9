"""What API Gateway does with a request: checks who may use the route, and calls the service of the route."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..sam_template import ALL_FUNCTIONS, service_of, triggers
from .lambda_context import LambdaContext

SERVICES = {
    "/" + route["Path"].split("/")[1]: service_of(function)
    for function in ALL_FUNCTIONS
    for route in triggers(function, "Api").values()
}
"""Whose routes begin so."""
OPERATOR = {"sub": "olga", "cognito:groups": "operators"}
ADA = {"sub": "ada"}
BOB = {"sub": "bob"}
STAGE = "/v1"


@dataclass
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def body(self) -> Any:
        return json.loads(self.text)

    @property
    def location(self) -> str:
        """Where the Location header points, as the path of another call."""
        path = self.headers["Location"]
        assert path.startswith(f"{STAGE}/")
        return path.removeprefix(STAGE)

    @property
    def wrong_fields(self) -> list[str]:
        return [error["field"] for error in self.body.get("errors", [])]


def call(
    method: str,
    path: str,
    body: Any = None,
    claims: Mapping[str, str] | None = ADA,
    headers: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    in_base64: bool = False,
    stage: str = STAGE,
) -> Answer:
    """A request whose token says `claims`; None: that needs none. A body that is no text is sent as JSON."""
    (service,) = (name for prefix, name in SERVICES.items() if f"{path}/".startswith(f"{prefix}/"))
    authorizer = {} if claims is None else {"authorizer": {"claims": dict(claims)}}
    event = {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": headers,
        "multiValueHeaders": headers and {name: [value] for name, value in headers.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
        "requestContext": {"requestId": "request-1", "stage": "v1", "path": f"{stage}{path}", **authorizer},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": in_base64,
    }
    answer = importlib.import_module(f"{service}.http").handler(event, LambdaContext())
    received = Answer(
        answer["statusCode"], {name: values[0] for name, values in answer["multiValueHeaders"].items()}, answer["body"]
    )
    if received.status >= 400:
        assert received.headers["Content-Type"] == "application/problem+json"
        assert received.body["status"] == received.status
        assert {"title", "detail"} <= received.body.keys()
    else:
        assert received.headers["Content-Type"] == "application/json"
    return received
