"""HTTP: who calls, what the body says, and every error as `application/problem+json` (RFC 9457) naming the field."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import ServiceError

from eventflow import clock, telemetry
from eventflow.contracts import NOT_CARRIED
from eventflow.transition import Contended

__all__ = [
    "Accepted",
    "Answer",
    "Api",
    "Caller",
    "Created",
    "NoContent",
    "Page",
    "Problem",
    "Response",
    "field_is_wrong",
    "forbidden",
    "invalid",
    "not_found",
    "title_of",
]

B = TypeVar("B")

IdempotencyKey = Annotated[str, msgspec.Meta(max_length=255)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=100)]

OPERATORS = "operators"
"""The Cognito group that may read anything, and write what no shopper may."""


class Answer(Response[str], Generic[B]):
    """200 with a `B` as JSON. What a route's handler is annotated to return is what the API's document says of it."""

    STATUS: ClassVar[int] = 200

    def __init__(self, body: B, headers: Mapping[str, str] | None = None) -> None:
        text = "" if body is None else msgspec.json.encode(body).decode()
        super().__init__(self.STATUS, "application/json", text, headers=dict(headers or {}))


class Created(Answer[B]):
    """201 with what is new; the header Location says where it is."""

    STATUS = 201


class Accepted(Answer[B]):
    """202: it will be done. The header Location says where its result will be."""

    STATUS = 202


class NoContent(Answer[None]):
    """204: it is done, and there is nothing to say."""

    STATUS = 204


class Page(msgspec.Struct, Generic[B], frozen=True, rename="camel", omit_defaults=True):
    """A part of a list."""

    items: Sequence[B]
    """Those of this page, in the order of the list."""
    next_cursor: str | None = None
    """Where the next page begins, for the parameter `cursor`. Absent on the last page."""
    read: int | None = None
    """How many were looked at to find these, where a list has filters."""


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field of a request."""

    field: str
    """Its path in the body, as `items[1].quantity`; or the name of a parameter or a header."""
    detail: str
    """What is wrong with it."""


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An error, as RFC 9457 has it. Some have members of their own beside these."""

    title: str
    """What kind of problem it is, in a word or two."""
    status: int
    """The answer's HTTP status."""
    detail: str
    """What is wrong this time, in a sentence."""
    errors: tuple[FieldError, ...] = ()
    """Absent where the problem is not about a field."""


class Problem(Exception):
    """An answer that is an error. `field` names what of the request it is about; `more` is what else a client needs."""

    def __init__(
        self, status: int, title: str, detail: str, field: str | None = None, *, more: msgspec.Struct | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.field, self.more = status, title, detail, field, more

    def response(self) -> Response[str]:
        errors = (FieldError(self.field, self.detail),) if self.field else ()
        details = ProblemDetails(title=self.title, status=self.status, detail=self.detail, errors=errors)
        body = msgspec.to_builtins(details) | (msgspec.to_builtins(self.more) if self.more else {})
        return Response(self.status, "application/problem+json", msgspec.json.encode(body).decode())


def invalid(field: str, detail: str) -> Problem:
    """400: this field of the request is wrong."""
    return Problem(400, "Invalid request", detail, field)


def forbidden(detail: str, field: str | None = None) -> Problem:
    """403: the caller may not do this at all. (Another's data is `not_found`.)"""
    return Problem(403, "Forbidden", detail, field)


def not_found(what: str) -> Problem:
    """404: it does not exist, or it is another's, which is not to be told apart."""
    return Problem(404, "Not found", f"{what} does not exist")


class Caller(msgspec.Struct, frozen=True):
    """Who the verified token says is calling."""

    user_id: str
    """The token's subject."""
    operator: bool


class Api:
    """The HTTP side of a service: routes are added to `router`, Lambda calls `handler`."""

    def __init__(self, domain_problems: Mapping[type[Exception], int] | None = None) -> None:
        """`domain_problems` maps the domain's errors to statuses; their text is the answer's detail."""
        self.router = APIGatewayRestResolver()
        self.router.exception_handler(Problem)(Problem.response)
        self.router.exception_handler(ServiceError)(_of_the_router)
        self.router.exception_handler(Contended)(_contended)
        self.domain_problems = dict(domain_problems or {})
        self.router.exception_handler(Exception)(self._unexpected)
        for error, status in self.domain_problems.items():
            self.router.exception_handler(error)(_of_the_domain(status))
        self.handler = telemetry.instrumented(self._handle)

    @property
    def caller(self) -> Caller:
        """Who is calling. API Gateway let nobody else in."""
        claims = self.router.current_event.request_context.authorizer.claims or {}
        # Cognito's groups come through a REST API's authorizer as text: "a,b" or "[a b]"
        groups = re.split(r"[\s,\[\]]+", str(claims.get("cognito:groups", "")))
        return Caller(user_id=claims["sub"], operator=OPERATORS in groups)

    def require_operator(self) -> None:
        """Raises Problem (403)."""
        if not self.caller.operator:
            raise forbidden(f"only the group {OPERATORS} may do this")

    def body(self, kind: type[B]) -> B:
        """The request's JSON body as a Struct. Raises Problem (400) that names the field."""
        event = self.router.current_event
        try:
            raw = base64.b64decode(event.body or "") if event.is_base64_encoded else (event.body or "").encode()
            body = msgspec.json.decode(raw, type=kind)
        except msgspec.ValidationError as error:
            raise field_is_wrong(str(error)) from None
        except (msgspec.DecodeError, ValueError) as error:  # ValueError: of base64 and UTF-8
            raise invalid("body", f"not JSON: {error}") from None
        _refuse_what_no_queue_carries(msgspec.to_builtins(body))
        return body

    @staticmethod
    def checked(name: str, value: str | int | None, kind: Any) -> Any:
        """A parameter of the path or the query, or a header, if it keeps the contract `kind`. Raises Problem (400)."""
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise invalid(name, str(error)) from None

    def header(self, name: str) -> str:
        """A request header by its name in any case; empty where there is none."""
        return self.router.current_event.headers.get(name, "")

    def idempotency_key(self) -> str:
        """The header Idempotency-Key; empty where there is none. Raises Problem (400)."""
        return str(self.checked("Idempotency-Key", self.header("Idempotency-Key"), IdempotencyKey))

    def require_idempotency_key(self) -> str:
        """The header Idempotency-Key. Raises Problem: 428 where there is none, and 400."""
        if not (key := self.idempotency_key()):
            what = "send Idempotency-Key with a text of your own, another one for each request"
            raise Problem(428, "Precondition required", what, "Idempotency-Key")
        return key

    def query(self, name: str) -> str | None:
        return (self.router.current_event.query_string_parameters or {}).get(name)

    def limit(self) -> int:
        """The query's `limit`, how many a page holds: 20, if it does not say. Raises Problem (400)."""
        given = self.query("limit") or "20"
        whole = int(given) if re.fullmatch("-?[0-9]{1,18}", given) else given
        return int(self.checked("limit", whole, Limit))

    def instant(self, name: str, default: str) -> str:
        """The query's `name`, a date or a time in ISO 8601 (UTC unless it says otherwise), as `clock.iso` writes it.

        Raises Problem (400).
        """
        given = self.query(name) or default
        try:
            when = datetime.fromisoformat(given)
            return clock.iso_of(when if when.tzinfo else when.replace(tzinfo=UTC))
        except (ValueError, OverflowError):
            raise invalid(name, "a date or a time in ISO 8601, as 2030-01-31 or 2030-01-31T12:00:00Z") from None

    def cursor(self, kind: type[B]) -> B | None:
        """Where the query's `cursor` says that the last page ended, or None. Raises Problem (400)."""
        given = self.query("cursor")
        if not given:
            return None
        try:
            return msgspec.json.decode(base64.urlsafe_b64decode(given), type=kind)
        except (msgspec.MsgspecError, ValueError):
            raise invalid("cursor", "not a cursor of this list; take `nextCursor` of the page before") from None

    @staticmethod
    def answer(body: B, headers: Mapping[str, str] | None = None) -> Answer[B]:
        return Answer(body, headers)

    def created(self, body: B, path: str, headers: Mapping[str, str] | None = None) -> Created[B]:
        """`path` of this API is where it is."""
        return Created(body, {**self.location(path), **(headers or {})})

    def accepted(self, body: B, path: str) -> Accepted[B]:
        """`path` of this API is where its result will be."""
        return Accepted(body, self.location(path))

    def location(self, path: str) -> dict[str, str]:
        """The header that says where `path` of this API is, under the stage by which it is reached."""
        event = self.router.current_event
        return {"Location": event.request_context.path.removesuffix(event.path) + path}

    def page(self, items: Sequence[B], last: Any | None, read: int | None = None) -> Answer[Page[B]]:
        """A page of a list. `last` is where it ended, if there are more: the next page's cursor, made opaque."""
        cursor = base64.urlsafe_b64encode(msgspec.json.encode(last)).decode() if last else None
        return self.answer(Page(items, cursor, read))

    def _handle(self, event: Any, context: Any) -> Any:
        # as it is in a URL: to the router a path may end in a new line, and `/products/%0A` would be the list
        return self.router.resolve(event | {"path": event["path"].replace("\n", "%0A")}, context)

    def _unexpected(self, error: Exception) -> Response[str]:
        telemetry.logger.exception("unexpected")
        request_id = self.router.current_event.request_context.request_id
        return Problem(500, "Internal error", f"not your fault; the log has it under {request_id}").response()


def title_of(error: type[Exception]) -> str:
    """An error of the domain in words: "Unknown product"."""
    return re.sub(r"\B(?=[A-Z])", " ", error.__name__).capitalize()


def _of_the_domain(status: int) -> Any:
    def respond(error: Exception) -> Response[str]:
        return Problem(status, title_of(type(error)), str(error)).response()

    return respond


def _contended(error: Contended) -> Response[str]:
    """Not an error of ours, and over in a moment: 409, not a 5xx that pages someone."""
    answer = Problem(409, "Contended", str(error)).response()
    answer.headers["Retry-After"] = "1"
    return answer


def _of_the_router(error: ServiceError) -> Response[str]:
    return Problem(error.status_code, "Not possible", str(error.msg)).response()


def _refuse_what_no_queue_carries(value: Any, path: str = "") -> None:
    """Raises Problem (400) that names the field."""
    match value:
        case str():
            if found := NOT_CARRIED.search(value):
                raise invalid(path, f"holds U+{ord(found[0]):04X}, a character that messages cannot carry")
        case dict():
            for name, each in value.items():
                _refuse_what_no_queue_carries(each, f"{path}.{name}" if path else name)
        case list():
            for index, each in enumerate(value):
                _refuse_what_no_queue_carries(each, f"{path}[{index}]")


def field_is_wrong(message: str) -> Problem:
    """What msgspec says, as a 400 about the field that it says it of.

    It names a wrong value by its path, and an unknown or missing field in words, with the path of what holds it.
    """
    detail, _, path = message.partition(" - at `$")
    named = re.match(r"Object .* field `([^`]+)`", detail)
    field = ".".join(part for part in (path.strip(".`"), named[1] if named else "") if part)
    return invalid(field or "body", detail)
