"""EventBridge's event patterns, as far as the template uses them."""

from typing import Any

ABSENT = object()


def matches(pattern: dict[str, Any], event: Any) -> bool:
    for name, wanted in pattern.items():
        value = event.get(name, ABSENT) if isinstance(event, dict) else ABSENT
        if isinstance(wanted, dict):
            if not matches(wanted, value):
                return False
        elif not any(_takes(rule, value) for rule in wanted):
            return False
    return True


def _takes(rule: Any, value: Any) -> bool:
    match rule:
        case str():
            return bool(value == rule)
        case {"exists": bool(wanted), **others} if not others:
            return (value is not ABSENT) == wanted
        case {"prefix": str(start), **others} if not others:
            return isinstance(value, str) and value.startswith(start)
        case {"suffix": str(end), **others} if not others:
            return isinstance(value, str) and value.endswith(end)
        case {"anything-but": str(refused), **others} if not others:
            return value is not ABSENT and bool(value != refused)
    raise NotImplementedError(f"this matcher does not know {rule}")
