"""Structs as DynamoDB attributes, and back."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from boto3.dynamodb.types import TypeDeserializer, TypeSerializer

S = TypeVar("S")
Attributes = dict[str, Any]
"""An item in DynamoDB's JSON: {"orderId": {"S": "..."}, "revision": {"N": "1"}}."""


class _WholeNumbers(TypeDeserializer):
    """Every number of ours is whole; boto3's Decimal would have to be turned back by each reader."""

    def _deserialize_n(self, value: str) -> int:
        return int(value)


_to_attribute = TypeSerializer().serialize
_from_attribute = _WholeNumbers().deserialize


def to_attributes(state: Any) -> Attributes:
    """A Struct or dict, as an item."""
    return {name: _to_attribute(value) for name, value in msgspec.to_builtins(state).items()}


def from_attributes(item: Attributes, kind: type[S]) -> S:
    """An item, as a Struct of `kind`; attributes it has no field for are ignored. Raises msgspec.ValidationError."""
    return msgspec.convert({name: _from_attribute(value) for name, value in item.items()}, kind)
