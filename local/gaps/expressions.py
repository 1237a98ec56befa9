"""The expressions of state machines."""

from functools import cache
from typing import Any

from jsonata.parser import Parser
from jsonata.timebox import Timebox


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


def give_expressions_time() -> None:
    """An expression may take a second (the emulator's `_evaluate_jsonata` says so of AWS's limit). There it has a
    processor meanwhile. The emulator evaluates many at once in one process, so that on a busy machine one that computes
    for milliseconds is a second old. Here it may take twenty.
    """
    begin = Timebox.__init__

    def begin_with_time(box: Timebox, expression: Any, timeout: int | None = None, depth: int | None = None) -> None:
        begin(box, expression, timeout and 20 * timeout, depth)

    Timebox.__init__ = begin_with_time
