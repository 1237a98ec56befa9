"""Asks the deployed APIs whatever docs/api/openapi.json allows, and what it does not, and holds each answer against it.

Schemathesis makes the requests and the checks. Of what API Gateway refuses by itself only the status is checked: the
emulator words that in its own way.
"""

import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]

AT_ONCE = 3
"""Requests of a kind in one round: few, so that all routes, roles and kinds have their turn early."""

NOBODY = "nobody"
"""The role of those who send no token."""

REFUSED_BY_THE_GATEWAY = (401, b'{"message":"Unauthorized"}')
"""How the emulator's gateway answers NOBODY. Any other answer is our code's, and has to be as documented."""

NOT_ASKED_FOR = {429, 500}
"""The gateway's own answer to too many requests, and the one that there should never be."""

HOW = {
    "deadline": None,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],  # to shrink takes many more requests; what failed is told as a `curl`
}


@dataclass
class Fuzz:
    """`tokens` are by role, without NOBODY. `known` are values of parameters that exist, for half of the requests."""

    document: dict[str, Any]
    address: str
    """The API's, for the paths of which the document names no server of their own."""
    other_address: str
    """For the paths of which it does: the timeline's API."""
    tokens: Mapping[str, str]
    known: Mapping[str, Sequence[str]]
    first_seed: int
    answers: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """How often each role was answered so on each route."""
    refused: Counter[str] = field(default_factory=Counter)
    """How often the gateway refused each role by itself."""

    def __post_init__(self) -> None:
        # who asks is ours to say: else Schemathesis takes the token out of some requests
        without_sign_in = {name: it for name, it in self.document.items() if name != "security"}
        components = {name: it for name, it in self.document["components"].items() if name != "securitySchemes"}
        self.schema = schemathesis.openapi.from_dict({**without_sign_in, "components": components})
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy stands between us and this machine

    @property
    def operations(self) -> list[Any]:
        return [found.ok() for found in self.schema.get_all_operations()]

    @property
    def to_ask(self) -> list[tuple[Any, str]]:
        """Each route with each role that our code answers there."""
        signed_in = itertools.product(self.operations, self.tokens)
        return [*signed_in, *((operation, NOBODY) for operation in self.operations if is_open(operation))]

    def for_seconds(self, seconds: float) -> None:
        """Ask about each route as each role, by the document and against it, again and again. Raises what fails."""
        turns = list(itertools.product(self.to_ask, GenerationMode))
        until = time.monotonic() + seconds
        for round_ in itertools.count(self.first_seed):
            for (operation, role), mode in turns:
                if time.monotonic() > until and round_ > self.first_seed:  # the first round is always whole
                    return
                self._ask(operation, role, mode, round_)

    def _ask(self, operation: Any, role: str, mode: GenerationMode, round_: int) -> None:
        @seed(round_)
        @settings(max_examples=AT_ONCE, **HOW)
        @given(st.data())
        def ask(data: st.DataObject) -> None:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            if data.draw(st.booleans()):
                self._name_what_exists(case, data)
            self.call(case, role)

        with contextlib.suppress(Unsatisfiable):  # a route that takes nothing cannot be asked wrongly
            ask()

    def _name_what_exists(self, case: Any, data: st.DataObject) -> None:
        for name, values in self.known.items():
            if name in (case.path_parameters or {}):
                case.path_parameters[name] = data.draw(st.sampled_from(values))
        bodies = [it["value"] for it in _examples(case.operation.definition.raw)]
        if bodies:
            case.body = _with_known_products(data.draw(st.sampled_from(bodies)), self.known["productId"])

    def call(self, case: Any, role: str) -> Any:
        """The answer, which is as documented. Raises Schemathesis' failures, with the request as a `curl`."""
        elsewhere = "servers" in self.document["paths"][case.operation.path]
        try:
            answer = case.call(
                base_url=self.other_address if elsewhere else self.address,
                session=self.session,
                headers={"Authorization": self.tokens[role]} if role in self.tokens else {},
                timeout=30,
            )
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
            return None  # no client can send that
        self.answers[case.operation.label, role, answer.status_code] += 1
        by_the_gateway = role == NOBODY and (answer.status_code, answer.content) == REFUSED_BY_THE_GATEWAY
        self.refused[role] += by_the_gateway
        case.validate_response(answer, checks=[status_code_conformance] if by_the_gateway else CHECKS)
        return answer

    def along_links(self, walks: int) -> None:
        """Walk from answer to answer by the document's links. Raises what fails."""
        fuzz, found = self, []

        class Walk(self.schema.as_state_machine()):  # type: ignore[misc]
            role = ""

            def call(self, case: Any, **_: Any) -> Any:
                try:
                    return fuzz.call(case, self.role)
                except FailureGroup as failure:
                    found.append(failure)
                    raise

            def validate_response(self, response: Any, case: Any, **_: Any) -> None:
                pass  # `call` did

        for walk, role in zip(range(walks), itertools.cycle(self.tokens)):
            Walk.role = role
            seed(self.first_seed + walk)(Walk)
            # Hypothesis takes it for an error if the same requests are answered otherwise than before, as they may be.
            # So it forgets each walk; the first of its two examples is always the shortest one.
            with contextlib.suppress(Flaky):
                run_state_machine_as_test(Walk, settings=settings(max_examples=2, stateful_step_count=8, **HOW))
            if found:
                raise found[0]

    def never_answered(self) -> Iterator[str]:
        """Documented answers of the code that nobody has got: of use to anyone who looks for what to try next."""
        for operation in self.operations:
            got = {status for label, _, status in self.answers if label == operation.label}
            for status in operation.definition.raw["responses"]:
                if int(status) not in got | NOT_ASKED_FOR:
                    yield f"{operation.label} {status}"


def is_open(operation: Any) -> bool:
    """Whether it asks for no sign-in."""
    return operation.definition.raw.get("security") == []


def _examples(operation: Mapping[str, Any]) -> list[Any]:
    content = operation.get("requestBody", {}).get("content", {})
    return [it for kind in content.values() for it in kind.get("examples", {}).values()]


def _with_known_products(body: Any, known: Sequence[str]) -> Any:
    """An example whose products are ones that exist, each once."""
    products = itertools.cycle(known)

    def replaced(node: Any) -> Any:
        match node:
            case dict():
                return {name: next(products) if name == "productId" else replaced(it) for name, it in node.items()}
            case list():
                return [replaced(it) for it in node]
        return node

    return replaced(body)
