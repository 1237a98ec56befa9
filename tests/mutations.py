"""Samples of the bus's events with something wrong in them: wrong types, limits passed, odd texts, parts missing."""

import copy
import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from ops.bus import on_the_bus, sample
from ops.templates import Function, Rule

Event = dict[str, Any]
Path = tuple[str | int, ...]

DEEP = json.loads("[" * 400 + "]" * 400)

WRONG = [
    *(None, True, 0, -1, 3.5, 10**30, 1e308, "", "two", " ", "x" * 200_000, [], {}, [None], {"a": {"b": "c"}}, DEEP),
    *("\x00", "\ud800", "\ufffe", "\u202e\u0301\u0000", "💸" * 65, "a\nb", "0e0", "NaN", "2.0", "99.9"),
]
"""Wrong types, limits passed, and odd texts: half a character, what SQS does not carry, what turns around."""

MISSING = object()

DELIVERED = {"id": "8f2c6ec8-cc41-49a3-ae3a-2b7fdfe01893", "time": "2026-01-31T12:02:00Z"}
"""What EventBridge adds. Samples of what only a table's stream announces come without."""

SENT: dict[str, list[Event]] = defaultdict(list)
"""By the function or state machine that listens: a sample of each event of each version that it is sent."""
RULES: dict[str, list[Rule]] = defaultdict(list)
"""By which rules."""
CONSUMERS: dict[str, Function] = {}
"""Those of them that are code in functions/. (The others are the add-on's Keeper, and the example.)"""

for event in on_the_bus():
    for rule in (listener.rule for listener in event.listeners):
        samples = (DELIVERED | sample(event.fact, version) for version in event.schemas)
        SENT[rule.listener] += filter(rule.lets_through, samples)
        if rule not in RULES[rule.listener]:
            RULES[rule.listener].append(rule)
        if rule.function and rule.function.is_ours:
            CONSUMERS[rule.listener] = rule.function


def paths_in(node: Any, path: Path = ()) -> Iterator[Path]:
    if path:
        yield path
    for key, inner in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from paths_in(inner, (*path, key))


def changed(event: Event, path: Path, value: Any) -> Event:
    """The event with this value there, or with nothing there."""
    event = copy.deepcopy(event)
    node: Any = event
    for key in path[:-1]:
        node = node[key]
    if value is MISSING:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return event


def everything_wrong(event: Event) -> Iterator[tuple[Path, Any]]:
    """Each part of it, with each of what it may not be."""
    return ((path, it) for path in paths_in(event) for it in [MISSING, *WRONG])
