"""Structs as DynamoDB attributes, and back."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

S = TypeVar("S")
Attributes = dict[str, Any]
"""An item in DynamoDB's JSON: {"orderId": {"S": "..."}, "revision": {"N": "1"}}."""


class _PlainNumbers(TypeDeserializer):
    """int, or float where there is a fraction; boto3's Decimal would have to be turned back by each reader."""

    def _deserialize_n(self, value: str) -> int | float:
        return float(value) if set(value) & set(".eE") else int(value)


_to_attribute = TypeSerializer().serialize
_from_attribute = _PlainNumbers().deserialize


def to_attributes(state: Any) -> Attributes:
    """A Struct or dict, as an item."""
    # by way of JSON, because boto3 takes no float, and the shortest text that means it makes an exact Decimal
    plain = json.loads(msgspec.json.encode(state), parse_float=Decimal)
    return {name: _to_attribute(value) for name, value in plain.items()}


def from_attributes(item: Attributes, kind: type[S]) -> S:
    """An item, as a Struct of `kind`; attributes it has no field for are ignored. Raises msgspec.ValidationError."""
    return msgspec.convert({name: _from_attribute(value) for name, value in item.items()}, kind)
