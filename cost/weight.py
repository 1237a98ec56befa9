"""How DynamoDB weighs an item.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Mapping[str, Any]]
"""In DynamoDB's JSON."""


def weight(item: Item) -> int:
    """Bytes of an item: its attributes' names and values."""
    return sum(len(name.encode()) + _value(value) for name, value in item.items())


def _value(attribute: Mapping[str, Any]) -> int:
    ((kind, value),) = attribute.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":  # a byte for two digits, and one more; a negative one has another for its sign
            digits = value.lstrip("-").replace(".", "").strip("0")
            return (len(digits) + 1) // 2 + 1 + int(value.startswith("-"))
        case "M":
            return 3 + len(value) + weight(value)
        case "L":
            return 3 + sum(1 + _value(each) for each in value)
        case "BOOL" | "NULL":
            return 1
    raise AssertionError(kind)


def write_units(item: Item) -> int:
    """Of a write that leaves this item, and found none that is larger."""
    return -(-weight(item) // 1024)
