"""The stack is that of the system tests."""

from ..system.conftest import cloud, ear, shop, stack

__all__ = ["cloud", "ear", "shop", "stack"]
