"""Structs as DynamoDB attributes, and back."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

S = TypeVar("S")
Attributes = dict[str, Any]
"""An item in DynamoDB's JSON: {"orderId": {"S": "..."}, "revision": {"N": "1"}}."""


def to_attributes(state: Any) -> Attributes:
    """A Struct or dict, as an item. Raises TypeError for what JSON has no type for.

    Of our own, because to import boto3's is a fourteenth of a cold start: docs/performance.md.
    """
    return {name: _to_attribute(value) for name, value in msgspec.to_builtins(state).items()}


def from_attributes(item: Attributes, kind: type[S]) -> S:
    """An item, as a Struct of `kind`; attributes it has no field for are ignored. Raises msgspec.ValidationError."""
    return msgspec.convert({name: _from_attribute(value) for name, value in item.items()}, kind)


def _to_attribute(value: Any) -> Attributes:
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):  # it is an int, too
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if value is None:
        return {"NULL": True}
    if isinstance(value, dict):
        return {"M": {name: _to_attribute(each) for name, each in value.items()}}
    if isinstance(value, list | tuple):
        return {"L": [_to_attribute(each) for each in value]}
    raise TypeError(f"a row holds no {type(value).__name__}")


def _from_attribute(attribute: Attributes) -> Any:
    """Numbers are int, or float where there is a fraction. (boto3's Decimal each reader would have to turn back.)"""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return float(value) if set(value) & set(".eE") else int(value)
    if kind == "M":
        return {name: _from_attribute(each) for name, each in value.items()}
    if kind == "L":
        return [_from_attribute(each) for each in value]
    return None if kind == "NULL" else value  # texts and truths; bytes and sets, which no row of ours has
