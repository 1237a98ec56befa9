"""EventBridge's event patterns, as far as the templates use them: what matches one, and an event that does."""

from collections.abc import Mapping
from typing import Any

ABSENT = object()


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Whether EventBridge would take the event. Raises NotImplementedError for a rule that is not known here, whatever
    the event.
    """
    fields = event if isinstance(event, Mapping) else {}
    # all are looked at, so that a rule that is not known is seen although another one has decided
    answers = [_fits(wanted, fields.get(name, ABSENT)) for name, wanted in pattern.items()]
    return all(answers)


def _fits(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, Mapping):
        return matches(wanted, value)
    if not isinstance(wanted, list):
        raise NotImplementedError(f"a pattern's field is a list or an object, not {wanted!r}")
    leaves = _leaves(value)
    answers = [_takes(rule, leaves) for rule in wanted]
    return any(answers)


def _leaves(value: Any) -> list[Any]:
    """What a rule sees of a field: no object, and of a list each item (EventBridge User Guide, "Arrays in EventBridge
    event patterns" and "Exists matching": it works on leaf nodes only).
    """
    if value is ABSENT or isinstance(value, Mapping):
        return []
    return [leaf for item in value for leaf in _leaves(item)] if isinstance(value, list) else [value]


def example(pattern: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Fields that match the pattern. Where it leaves the choice, they are `text`. Raises NotImplementedError."""
    return {
        name: example(wanted, text) if isinstance(wanted, Mapping) else _given(wanted[0], text)
        for name, wanted in pattern.items()
    }


def _takes(rule: Any, leaves: list[Any]) -> bool:
    match rule:
        case str():
            return rule in leaves
        case {"exists": bool(wanted), **others} if not others:
            return bool(leaves) == wanted
        case {"prefix": str(start), **others} if not others:
            return any(isinstance(leaf, str) and leaf.startswith(start) for leaf in leaves)
        case {"suffix": str(end), **others} if not others:
            return any(isinstance(leaf, str) and leaf.endswith(end) for leaf in leaves)
        case {"anything-but": str() | list() as refused, **others} if not others:
            return any(leaf not in ([refused] if isinstance(refused, str) else refused) for leaf in leaves)
        case {"anything-but": {"prefix": str(start), **more}, **others} if not others and not more:
            return any(not (isinstance(leaf, str) and leaf.startswith(start)) for leaf in leaves)
    raise NotImplementedError(f"this matcher does not know {rule}")


def _given(rule: Any, text: str) -> str:
    match rule:
        case str():
            return rule
        case {"prefix": str(start), **others} if not others:
            return f"{start}{text}"
        case {"suffix": str(end), **others} if not others:
            return f"{text}{end}"
        case {"exists": True, **others} | {"anything-but": str() | list(), **others} if not others:
            return text
        case {"anything-but": {"prefix": str(start)}, **others} if not others and not text.startswith(start):
            return text
    raise NotImplementedError(f"no example is known for {rule}")
