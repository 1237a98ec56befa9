"""The document of the HTTP APIs, in OpenAPI: made from the templates' routes and the code that answers them.

The code says all of it. What a handler asks of the request is what the request has; the type that it is annotated to
return is what is answered; the errors that it may raise are the other answers. The examples are those of events/.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec

from eventflow.api import Accepted, Answer, Api, Created, Problem, ProblemDetails, field_is_wrong, title_of
from eventflow.transition import Contended
from ops import OpsError
from ops.reading import UNKNOWN, Call, constructed, meanings, read
from ops.schemas import Json, components_of
from ops.templates import ROOT, Route, routes

INTRODUCTION = """\
Orders, and what leads to them. Shoppers and operators sign in at the stack's Cognito pool, and send the id token they \
get as the header `Authorization`; the README shows how. Money is in a currency's smallest unit: 1999 is 19.99 USD.

Every error is a problem of [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457), which names the field that is wrong. \
API Gateway's own refusals have `title` and `detail` only: 401 without a token that is valid, 403 for a route that is \
not here, 429 above the rate that the stage allows, 413 and 504 beyond the gateway's limits.

What a client may have to repeat takes the header `Idempotency-Key`, a text of the client's own: the same key and \
request are done once. A product is changed as its `ETag` says that it was seen, which goes into `If-Match`.
"""

GATEWAYS = {
    401: ("Unauthorized", "There is no token, or it is not valid, or no longer."),
    429: ("TooManyRequests", "More requests than the stage allows. Try again a little later."),
}
"""What API Gateway refuses by itself."""

PARAMETERS = {
    "cursor": "Where the page begins: `nextCursor` of the page before.",
    "limit": "How many a page holds, at most: 20, unless it says otherwise.",
    "from": "The first moment: a date or a time in ISO 8601, UTC unless it says otherwise.",
    "to": "The last moment: a date or a time in ISO 8601, UTC unless it says otherwise.",
    "category": "Only products of this category.",
    "userId": "Whose. Only an operator may name someone else.",
    "find": "The beginning of the id of what the events are about.",
    "ending": "Only sagas that end so.",
    "lastType": "Only those whose newest event is of this type.",
    "slowerThan": "Only those that take longer, in milliseconds.",
    "fasterThan": "Only those that take less, in milliseconds.",
    "againstFrom": "The first moment of the window to compare with.",
    "againstTo": "The last moment of the window to compare with.",
    "productId": "The product's id.",
    "orderId": "The order's id.",
    "sagaId": "The id of what the events are about: the order's id, in EventFlow.",
    "Idempotency-Key": "A text of the client's own, another one for each request. Repeated, the request is done once.",
    "If-Match": "The product's `ETag` as it was read, or `*`.",
}
"""What cannot be read from code: what a parameter means to those who call."""


def document() -> Json:
    """Raises OpsError where a route's code does not say enough, or a route is on one side only."""
    operations = [Operation(route) for path in APIS for route in routes(path)]
    _require_all_routes(operations)
    kinds: list[Any] = [ProblemDetails]
    for operation in operations:
        kinds += [kind for kind in operation.kinds if kind not in kinds]
    shapes, components = components_of(kinds, "#/components/schemas/{name}")
    schemas = {_key(kind): shape for kind, shape in zip(kinds, shapes, strict=True)}
    paths: dict[str, Json] = {}
    for operation in operations:
        template = operation.route.function.template
        path = paths.setdefault(operation.route.path, {} if template == APIS[0] else _servers(template))
        path[operation.route.method.lower()] = operation.as_json(schemas, operations)
    found = {
        "openapi": "3.1.0",
        "info": {
            "title": "EventFlow",
            "version": "1.0.0",
            "description": INTRODUCTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": _servers(APIS[0])["servers"],
        "tags": [{"name": service, "description": it} for service, it in _services(operations).items()],
        "security": [{"users": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())) | {"GatewayRefusal": GATEWAY_REFUSAL},
            "responses": {name: _refusal_of_the_gateway(text) for name, text in GATEWAYS.values()},
            "securitySchemes": {
                "users": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The id token of a user of the stack's Cognito pool.",
                }
            },
        },
    }
    return dict(json.loads(json.dumps(found)))


APIS = [ROOT / "template.yaml", ROOT / "timeline" / "template.yaml"]

GATEWAY_REFUSAL: Json = {
    "title": "GatewayRefusal",
    "description": "What API Gateway itself refuses.",
    "type": "object",
    "properties": {
        "title": {"type": ["string", "null"], "description": "What is wrong."},
        "detail": {"type": ["string", "null"], "description": "The same."},
    },
}


@dataclass(frozen=True)
class Parameter:
    name: str
    where: str
    kind: Any


class Operation:
    """A route of a template, and the code that answers it."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self.handler = handler_of(route)
        self.code = read(self.handler)
        self.body = next((call.argument(0) for call in self._calls(Api.body)), None)

    def _calls(self, of: Any) -> list[Call]:
        return [call for call in self.code.calls if call.of is inspect.unwrap(of)]

    @cached_property
    def answer(self) -> tuple[type[Answer[Any]], Any]:
        """Of which class the answer is, and what is in it."""
        returned = typing.get_type_hints(self.handler).get("return")
        kind = typing.get_origin(returned) or returned
        if not (isinstance(kind, type) and issubclass(kind, Answer)):
            raise self._says_too_little("annotate what it returns, as Answer[...], Created[...], Accepted[...]")
        return kind, next(iter(typing.get_args(returned)), None)

    def _says_too_little(self, what_to_do: str) -> OpsError:
        where = f"{self.handler.__module__}.{self.handler.__name__}"
        return OpsError(f"{self.route.method} {self.route.path} ({where}): {what_to_do}")

    @cached_property
    def parameters(self) -> list[Parameter]:
        """What the code asks for by name, in the order of path, query, header."""
        in_path = re.findall(r"{(\w+)\+?}", self.route.path)
        asked: dict[str, Any] = dict.fromkeys(in_path, str)
        headers = {call.argument(0) for call in self._calls(Api.header)}
        for method, kind in ((Api.header, str), (Api.query, str), (Api.instant, Moment)):
            names = [call.argument(0) for call in self._calls(method)]
            asked |= {name: kind for name in names if isinstance(name, str)}
        for call in self._calls(Api.checked):
            if isinstance(call.argument(0), str):
                asked[call.argument(0)] = call.argument(2)
        for shape in self._shapes:
            asked |= {it.encode_name: it.type for it in msgspec.structs.fields(shape)}
        if UNKNOWN in asked.values():
            raise self._says_too_little("name the type of each parameter by `api.checked`")
        found = [
            Parameter(name, "path" if name in in_path else "header" if name in headers else "query", kind)
            for name, kind in asked.items()
        ]
        return sorted(found, key=lambda it: (["path", "query", "header"].index(it.where), it.name))

    @property
    def _shapes(self) -> list[type[msgspec.Struct]]:
        """The Structs that the query as a whole is read as: their fields are parameters."""
        read_as = [it.argument(1) for it in self.code.calls if it.of is msgspec.convert and it.has("strict")]
        return [it for it in read_as if isinstance(it, type) and issubclass(it, msgspec.Struct)]

    @property
    def kinds(self) -> list[Any]:
        """All types that its description needs."""
        more = [it for refusal in self.refusals for it in refusal.more]
        body = [self.body] if self.body else []
        return [*body, *(it.kind for it in self.parameters), *([self.answer[1]] if self.answer[1] else []), *more]

    @cached_property
    def refusals(self) -> list[Refusal]:
        """All problems that the code may answer with, by status."""
        api: Api = self.route.function.module.api
        words = {title_of(error): _text(error) for error in self.code.raised if error not in (Problem, Contended)}
        found = {it.title: it for call in self._calls(Problem) if (it := _refusal(call, words))}
        for error in self.code.raised:
            if error in api.domain_problems:
                refusal = Refusal(api.domain_problems[error], title_of(error), _text(error))
                found[refusal.title] = refusal
        if Contended in self.code.raised:
            text = "Others change the same row all the time. Nothing was done; it may be tried again."
            found["Contended"] = Refusal(409, "Contended", text, retry=True)
        if any("(?P<" in rule.pattern for _, rule, it in _answered(self.route) if it is self.handler):
            found["Not possible"] = Refusal(404, "Not possible", "The path holds a character that no id has.")
        if "Invalid request" in found:
            found["Invalid request"] = replace(found["Invalid request"], example=self._invalid())
        found["Internal error"] = Refusal(500, "Internal error", "Not the client's fault. The log has the reason.")
        return sorted(found.values(), key=lambda it: (it.status, it.title))

    def _invalid(self) -> Problem | None:
        """What is answered to an empty body; without a body, to the first parameter that is no number or too long."""
        try:
            if self.body:
                msgspec.json.decode(b"{}", type=self.body)
            for text in ("x", "x" * 300):
                for it in self.parameters:
                    Api.checked(it.name, text, it.kind)
        except msgspec.ValidationError as error:
            return field_is_wrong(str(error))
        except Problem as problem:
            return problem
        return Problem(400, "Invalid request", STANDARD[400], self.parameters[0].name) if self.parameters else None

    @property
    def id(self) -> str:
        return f"{self.route.function.service}.{re.sub(r'_(.)', lambda it: it[1].upper(), self.handler.__name__)}"

    def _links(self, operations: list[Operation]) -> Json:
        """What can be asked about the answer: of a page the next one, of something new all that is at its place."""
        if self._calls(Api.page):
            return {"nextPage": {"operationId": self.id, "parameters": {"cursor": "$response.body#/nextCursor"}}}
        found: Json = {}
        for call in (*self._calls(Api.created), *self._calls(Api.accepted)):
            place = "".join(
                str(part.value) if isinstance(part, ast.Constant) else "x"
                for part in getattr(call.node.args[1], "values", [])
            )
            for other in operations:
                (name,) = re.findall(r"{(\w+)}", other.route.path) or [""]
                if f"{re.sub('{.+?}', 'x', other.route.path)}/".startswith(f"{place}/"):
                    parameters = {name: f"$response.body#/{name}"}
                    found[other.id.replace(".", "-")] = {"operationId": other.id, "parameters": parameters}
        return found

    def as_json(self, schemas: dict[str, Json], operations: list[Operation]) -> Json:
        if not self.handler.__doc__:
            raise self._says_too_little("say in a docstring what it does")
        summary, *more = " ".join(self.handler.__doc__.split()).split(". ", 1)
        if self._calls(Api.require_operator):
            more.append("Only an operator may.")
        samples = _samples(self.route)
        sample = next(iter(samples.values()))
        announced = sorted({fact.detail_type() for fact in constructed(self.code)})
        found: Json = {
            "operationId": self.id,
            "tags": [self.route.function.service],
            "summary": summary.removesuffix("."),
            **({"description": " ".join(more)} if more else {}),
            "parameters": [self._parameter(it, schemas, sample) for it in self.parameters],
        }
        if self.body:
            content: Json = {"schema": schemas[_key(self.body)]}
            content["examples"] = {name: {"value": json.loads(it["body"])} for name, it in samples.items()}
            found["requestBody"] = {"required": True, "content": {"application/json": content}}
        found["responses"] = self._responses(schemas)
        if links := self._links(operations):
            found["responses"][str(self.answer[0].STATUS)]["links"] = links
        if self.route.is_open:
            found["security"] = []
        if announced:
            found["x-announces"] = announced
        return found

    def _parameter(self, it: Parameter, schemas: dict[str, Json], sample: Json) -> Json:
        said = PARAMETERS | {name: text for shape in self._shapes for name, text in meanings(shape).items()}
        if it.name not in said:
            raise self._says_too_little(f"say in PARAMETERS (ops/openapi.py) what `{it.name}` means")
        demanded = {call.argument(3) for call in self._calls(Problem) if call.argument(0) == 428}
        example = _example(it, self.route, sample)
        return {
            "name": it.name,
            "in": it.where,
            "required": it.where == "path" or it.name in demanded,
            "description": said[it.name],
            "schema": schemas[_key(it.kind)],
            **({"example": example} if example is not None else {}),
        }

    def _responses(self, schemas: dict[str, Json]) -> Json:
        kind, body = self.answer
        headers = {}
        if issubclass(kind, (Created, Accepted)):
            headers["Location"] = _header("Where it is." if issubclass(kind, Created) else "Where its result will be.")
        if "ETag" in self.code.texts:
            headers["ETag"] = _header("Of the product as it is now, for If-Match.")
        found: dict[str, Json] = {
            str(kind.STATUS): {
                "description": HTTPStatus(kind.STATUS).phrase,
                **({"headers": headers} if headers else {}),
                **({"content": {"application/json": {"schema": schemas[_key(body)]}}} if body else {}),
            }
        }
        for status in sorted({it.status for it in self.refusals}):
            found[str(status)] = _problem_response([it for it in self.refusals if it.status == status], schemas)
        for status, (name, _) in GATEWAYS.items():
            if status != 401 or not self.route.is_open:
                found[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return dict(sorted(found.items()))


@dataclass(frozen=True)
class Refusal:
    """A problem that a route may answer with.

    `more` are the types of its own members, if there are any; `example` is shown in place of one made of the text.
    """

    status: int
    title: str
    text: str
    field: str | None = None
    more: tuple[Any, ...] = ()
    retry: bool = False
    example: Problem | None = None


def _refusal(call: Call, words: Mapping[str, str]) -> Refusal | None:
    """`words` are those of errors, by title. None where the status is only known when the code runs."""
    status, title, detail, field = (call.argument(index) for index in range(4))
    if not isinstance(status, int):
        return None
    more = tuple(
        call.value(it.value.func.value if isinstance(it.value.func, ast.Attribute) else it.value.func)
        for it in call.node.keywords
        if it.arg == "more" and isinstance(it.value, ast.Call)
    )
    text = detail if isinstance(detail, str) else words.get(title, STANDARD[status])
    return Refusal(status, title, text, field if isinstance(field, str) else None, more)


STANDARD = {
    400: "The request is not as described here; `errors` names the field.",
    403: "The caller may not do this.",
    404: "It does not exist, or it is someone else's.",
    409: "It is not possible as things are now.",
    428: "A header is missing without which this is not done; `errors` names it.",
}
"""What a problem is about, where the code words it only when it runs."""


Moment = Annotated[str, msgspec.Meta(extra_json_schema={"anyOf": [{"format": "date"}, {"format": "date-time"}]})]
"""What `Api.instant` takes."""


def _problem_response(refusals: list[Refusal], schemas: dict[str, Json]) -> Json:
    schema = schemas[_key(ProblemDetails)]
    more = [schemas[_key(kind)] for refusal in refusals for kind in refusal.more]
    examples = {re.sub(r"\W+", "-", it.title).lower(): {"value": _example_of(it)} for it in refusals}
    return {
        "description": " ".join(dict.fromkeys(it.text for it in refusals)),
        **({"headers": {"Retry-After": _header("In how many seconds to try again.", required=False)}}
           if any(it.retry for it in refusals) else {}),
        "content": {
            "application/problem+json": {
                "schema": {"anyOf": [{"allOf": [schema, *more]}, schema]} if more else schema,
                "examples": examples,
            }
        },
    }  # fmt: skip


def _example_of(refusal: Refusal) -> Json:
    problem = refusal.example or Problem(refusal.status, refusal.title, refusal.text, refusal.field)
    return dict(json.loads(problem.response().body or ""))


def _refusal_of_the_gateway(text: str) -> Json:
    schema = {"$ref": "#/components/schemas/GatewayRefusal"}
    return {"description": text, "content": {"application/problem+json": {"schema": schema}}}


def _header(text: str, required: bool = True) -> Json:
    return {"description": text, "required": required, "schema": {"type": "string"}}


def _text(error: type[Exception]) -> str:
    if not error.__doc__:
        raise OpsError(f"{error.__module__}.{error.__qualname__}: say in a docstring what it means; a client gets it")
    return " ".join(error.__doc__.split())


def handler_of(route: Route) -> Callable[..., Any]:
    """The function that answers a route. Raises OpsError."""
    path = re.sub(r"{\w+\+?}", "x", route.path)
    for method, rule, handler in _answered(route):
        if method == route.method and rule.match(path):
            return handler
    where = route.function.module.__name__
    raise OpsError(f"{route.method} {route.path}: {where} does not answer it")


def _answered(route: Route) -> Iterator[tuple[str, re.Pattern[str], Callable[..., Any]]]:
    """What a function's router answers. Powertools has no public name for its routes."""
    router = route.function.module.api.router
    for it in (*router._static_routes, *router._dynamic_routes):
        yield it.method, it.rule, it.func


def _require_all_routes(operations: list[Operation]) -> None:
    """Raises OpsError where code answers what no template has a route for."""
    known = {inspect.unwrap(it.handler) for it in operations}
    for operation in operations:
        for method, rule, handler in _answered(operation.route):
            if inspect.unwrap(handler) not in known:
                raise OpsError(f"{handler.__module__} answers {method} {rule.pattern}, which no template has")


def _services(operations: list[Operation]) -> dict[str, str]:
    modules = {it.route.function.service: it.route.function.module for it in operations}
    described = {name: __import__(str(it.__package__)).__doc__ or "" for name, it in modules.items()}
    return {name: " ".join(text.split()) for name, text in described.items()}


def _servers(template: Path) -> Json:
    stack = "EventFlow's stack" if template.parent == ROOT else "the timeline's stack"
    output = "ApiUrl" if template.parent == ROOT else "TimelineApiUrl"
    variables = {"api": {"default": "api", "description": f"See the output {output} of {stack}."}}
    region = {"region": {"default": "us-east-1"}}
    url = "https://{api}.execute-api.{region}.amazonaws.com/v1"
    return {"servers": [{"url": url, "description": f"The API of {stack}.", "variables": variables | region}]}


def _samples(route: Route) -> dict[str, Json]:
    """The samples of a route in events/, by name. Raises OpsError where there is none."""
    found = {}
    for path in sorted((ROOT / "events" / route.function.service).glob("*.json")):
        sample = json.loads(path.read_text())
        if (sample.get("httpMethod"), sample.get("resource")) == (route.method, route.path):
            found[path.stem] = sample
    if not found:
        raise OpsError(f"{route.method} {route.path}: put a sample of it into events/{route.function.service}/")
    return found


def _example(it: Parameter, route: Route, sample: Json) -> Any:
    if it.where == "path":
        pattern = re.sub(r"{(\w+)\+?}", r"(?P<\1>.+)", route.path)
        found = re.fullmatch(pattern, sample["path"])
        return unquote(found[it.name]) if found else None
    given = (sample["headers"] if it.where == "header" else sample["queryStringParameters"]) or {}
    value = next((value for name, value in given.items() if name.lower() == it.name.lower()), None)
    return int(value) if value is not None and it.name == "limit" else value


def _key(kind: Any) -> str:
    return repr(kind)
