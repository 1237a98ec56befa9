"""People's side of the API: a request, as API Gateway hands it on, and someone who waits for its answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from greenlet import greenlet

from .world import World, trace_of


@dataclass(frozen=True)
class Answer:
    """What a person's client receives. Status 0: nothing came."""

    status: int
    body: Any
    headers: Mapping[str, Any] = field(default_factory=dict)


class Person:
    """Whose script runs in a greenlet of its own: it waits for answers."""

    def __init__(self, world: World, name: str, script: Callable[[Person], None]) -> None:
        """Who does what the script says, beginning now."""
        self.world, self.name = world, name
        self.run = greenlet(lambda _: script(self), world.hub)
        world.later(0, name, lambda: self.go_on(None), self)

    def go_on(self, value: Any) -> None:
        asked = self.run.switch(value)
        if not self.run.dead:
            asked()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        claims: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        def ask() -> None:
            request(self.world, method, path, body, claims, headers or {}, self._answered)

        answer: Answer = self.world.hub.switch(ask)
        return answer

    def wait(self, seconds: float, what: str = "waits") -> None:
        self.world.hub.switch(lambda: self.world.later(seconds, f"{self.name} {what}", lambda: self.go_on(None), self))

    def _answered(self, answer: Answer) -> None:
        self.world.later(0, f"{self.name} has an answer", lambda: self.go_on(answer), self)


def request(
    world: World,
    method: str,
    path: str,
    body: Any,
    claims: Mapping[str, str],
    headers: Mapping[str, str],
    answered: Callable[[Answer], None],
) -> None:
    """A request through the API; `answered` is told what arrives at the client."""
    path, _, query = path.partition("?")
    given = dict(part.split("=") for part in query.split("&") if part)
    route = world.cloud.route(method, path)
    cause = world.nth(f"{claims['sub']} {method} {path} {json.dumps(body)} {headers.get('Idempotency-Key')}")
    trace = trace_of(cause)
    event = {
        "resource": route.path,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": given,
        "multiValueQueryStringParameters": {name: [value] for name, value in given.items()},
        "requestContext": {
            "requestId": cause,
            "stage": "v1",
            "path": f"/v1{path}",
            "authorizer": {"claims": dict(claims)},
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    before = world.faults
    world.requests.append({"path": path, "by": claims["sub"], "key": headers.get("Idempotency-Key"), "trace": trace})

    def ended(how: str, value: Any) -> None:
        if how != "done":
            answer = Answer(502, {"detail": how})
        else:
            answer = Answer(value["statusCode"], json.loads(value["body"] or "null"), value["multiValueHeaders"])
        world.tell(f"{method} {path}: {answer.status}")
        if answer.status >= 500 and world.faults == before:
            world.errors.append(f"{method} {path} is {answer.status} with no fault: {answer.body}")
        if world.choices.take([f"{method} {path}: its answer arrives", "its answer is lost"]):
            world.faults += 1
            world.tell(f"{method} {path}: the answer does not arrive")
            answer = Answer(0, None)
        answered(answer)

    world.invoke(route.function, cause, event, ended, trace)
