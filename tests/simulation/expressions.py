"""DynamoDB's expressions, of those operators that the functions use; any other is an error, loudly.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Item = Mapping[str, Any]
"""Attributes in DynamoDB's JSON, by name."""

Values = Mapping[str, Any]
Condition = Callable[[Item, Values], bool]

_TOKENS = re.compile(r"\s*(<>|<=|>=|[()=<>,+-]|[#:]?[A-Za-z_][A-Za-z0-9_]*)")


class Unknown(Exception):
    """An expression that the simulator does not know."""


def fulfilled(request: Mapping[str, Any], item: Item | None) -> bool:
    """Whether a write's ConditionExpression holds for the item that is there (None: there is none)."""
    text = request.get("ConditionExpression")
    if text is None:
        return True
    names = tuple(sorted(request.get("ExpressionAttributeNames", {}).items()))
    return _condition(text, names)(item or {}, request.get("ExpressionAttributeValues", {}))


def updated(request: Mapping[str, Any], item: Item) -> dict[str, Any]:
    """The item as an UpdateExpression of SET and ADD makes it."""
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    result = dict(item)
    clauses = re.split(r"\b(SET|ADD)\b", request["UpdateExpression"])
    if clauses[0].strip():
        raise Unknown(request["UpdateExpression"])
    for kind, actions in zip(clauses[1::2], clauses[2::2], strict=True):
        for action in actions.split(","):
            left, _, right = (part.strip() for part in action.strip().partition("=" if kind == "SET" else " "))
            name = names.get(left, left)
            if not re.fullmatch(r":\w+", right) or not re.fullmatch(r"[#\w]+", left):
                raise Unknown(action)
            result[name] = values[right] if kind == "SET" else _sum(item.get(name), values[right])
    return result


def _sum(there: Any, by: Any) -> dict[str, str]:
    return {"N": str(int((there or {"N": "0"})["N"]) + int(by["N"]))}


@functools.cache
def _condition(text: str, names: tuple[tuple[str, str], ...]) -> Condition:
    parser = _Parser(text, dict(names))
    condition = parser.disjunction()
    if parser.token is not None:
        raise Unknown(text)
    return condition


class _Parser:
    def __init__(self, text: str, names: Mapping[str, str]) -> None:
        self.text, self.names = text, names
        self._tokens = self._split()
        self.token = next(self._tokens, None)

    def _split(self) -> Iterator[str]:
        position = 0
        while position < len(self.text.rstrip()):
            found = _TOKENS.match(self.text, position)
            if not found:
                raise Unknown(self.text)
            position = found.end()
            yield found[1]

    def take(self, wanted: str | None = None) -> str:
        token = self.token
        if token is None or (wanted and token != wanted):
            raise Unknown(f"{self.text}: {wanted or 'more'} is missing")
        self.token = next(self._tokens, None)
        return token

    def disjunction(self) -> Condition:
        parts = [self.conjunction()]
        while self.token == "OR":
            self.take()
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else lambda item, values: any(part(item, values) for part in parts)

    def conjunction(self) -> Condition:
        parts = [self.primary()]
        while self.token == "AND":
            self.take()
            parts.append(self.primary())
        return parts[0] if len(parts) == 1 else lambda item, values: all(part(item, values) for part in parts)

    def primary(self) -> Condition:
        if self.token == "(":
            self.take()
            inner = self.disjunction()
            self.take(")")
            return inner
        if self.token in ("attribute_exists", "attribute_not_exists"):
            wanted = self.take() == "attribute_exists"
            self.take("(")
            name = self.name()
            self.take(")")
            return lambda item, values: (name in item) == wanted
        name, operator, value = self.name(), self.take(), self.take()
        if not value.startswith(":"):
            raise Unknown(self.text)
        compare = _COMPARISONS.get(operator)
        if compare is None:
            raise Unknown(self.text)
        return lambda item, values: name in item and compare(item[name], values[value])

    def name(self) -> str:
        token = self.take()
        return self.names[token] if token.startswith("#") else token


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """Of two attributes of one type; those of two types are in no order."""

    def of_attributes(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
        ((left_type, left_value),) = left.items()
        ((right_type, right_value),) = right.items()
        if left_type != right_type:
            return False
        number = left_type == "N"
        return compare(int(left_value), int(right_value)) if number else compare(left_value, right_value)

    return of_attributes


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda left, right: left == right,
    "<>": lambda left, right: left != right,
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
}
