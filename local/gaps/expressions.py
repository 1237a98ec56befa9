"""The expressions of state machines."""

from functools import cache
from typing import Any

from jsonata.parser import Parser


def parse_expressions_once() -> None:
    """A state machine's JSONata is compiled when it is made, not when it runs (the Step Functions Developer Guide has
    CreateStateMachine refuse what does not parse). The emulator parses each expression whenever it is evaluated, which
    is a third of what an execution costs.
    """
    parse = Parser.parse

    @cache
    def parsed(text: str, regex_engine: Any) -> Any:
        return parse(Parser(), text, regex_engine)

    def parse_once(_self: Parser, text: str, regex_engine: Any) -> Any:
        return parsed(text, regex_engine)

    Parser.parse = parse_once
