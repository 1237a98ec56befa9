"""Which parameters a timeline needs for a bus that nobody has described: guesses from some of its events, with why.

What is looked at are values, not only names: an id of a saga comes again in events of other types, an id of an event
comes once, and what led to an event names the id of another.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Event = Mapping[str, Any]
"""As a rule's target gets it: id, source, detail-type, time, detail."""

Path = tuple[str, ...]
"""From the event to a value: ("detail", "order", "id")."""

Value = str | int | float


@dataclass(frozen=True)
class Guess:
    value: str
    """Of the parameter."""
    why: str


SAGA_NAMES = ("correlation", "saga", "workflow", "order", "shipment", "case", "ticket", "job", "booking", "request")
MANY_SAGAS = (
    "user",
    "customer",
    "account",
    "tenant",
    "sender",
    "actor",
    "owner",
    "requester",
    "author",
    "org",
    "region",
)
"""Words in names of ids that several sagas have in common."""
CAUSE_NAMES = ("caus", "parent", "trigger", "inreplyto", "in_reply_to", "previous")
EVENT_NAMES = ("eventid", "event_id", "messageid", "message_id", "deliveryid", "delivery_id", "delivery", "uid")
TIME_NAMES = ("occurred", "timestamp", "eventtime", "event_time", "happened", "emitted")
REASON_NAMES = ("reason", "errormessage", "error_message", "failure", "error", "conclusion", "message")
LANE_NAMES = ("service", "component", "producer", "application", "app", "team")
PERSONAL = (
    "email",
    "phone",
    "address",
    "recipient",
    "firstname",
    "lastname",
    "fullname",
    "birth",
    "iban",
    "password",
    "token",
)
GOOD = (
    "completed",
    "succeeded",
    "confirmed",
    "delivered",
    "fulfilled",
    "finished",
    "merged",
    "approved",
    "closed",
    "done",
)
BAD = (
    "cancelled",
    "canceled",
    "rejected",
    "aborted",
    "expired",
    "lost",
    "declined",
    "refused",
    "returned",
    "denied",
    "failed",
)
CONTAINERS = ("metadata", "meta", "headers", "header", "detail", "data", "payload", "context", "body", "event")

LONGEST_ID = 256
NO_TYPE = "-"
"""For GoodOutcomes, which must not be empty: no event is called so."""
MOST_ALTERNATIVES = 3
CLOCKS_DIFFER_SECONDS = 24 * 3600


def propose(events: Sequence[Event]) -> dict[str, Guess]:
    """The parameters of timeline/template.yaml that differ from bus to bus, by name. `events` is not empty."""
    values = {path: by_event for path, by_event in _leaves(events).items() if path[0] == "detail"}
    correlation, how = _correlation(events, values)
    saga_of = {index: str(each[index]) for each in reversed(how) for index in each}
    event_id, cause = _ids(events, values, how, saga_of)
    occurred, moments = _time(events, values, saga_of)
    good, bad = _outcomes(events, _in_sagas(events, saga_of, moments))
    found = {
        "CorrelationId": correlation,
        "EventId": event_id,
        "CausationId": cause,
        "OccurredAt": occurred,
        "Reason": _named("Reason", values, REASON_NAMES, _is_text, "detail.reason"),
        "Lane": _lane(events, values),
        "Noun": _noun(events, correlation),
        "GoodOutcomes": good,
        "BadOutcomes": bad,
        "Compensations": Guess("", "nothing tells which type undoes which; name them as done=undone"),
        "OmittedFields": _personal(values),
    }
    if all(str(event["source"]).startswith("aws.") for event in events):
        sources = ",".join(sorted({str(event["source"]) for event in events}))
        found["OnlySources"] = Guess(sources, "all of them are AWS's own, which a timeline leaves out by default")
    return found


# Which saga


def _correlation(
    events: Sequence[Event], values: Mapping[Path, Mapping[int, Value]]
) -> tuple[Guess, list[Mapping[int, Value]]]:
    """The expression, and the values of each of its alternatives by event.

    The best is the field of which most values come again in events of another type, and which most events have; what
    it is called decides between equals. Events without it may have the same ids elsewhere.
    """
    scored = sorted(((_as_saga(path, own, events), path) for path, own in values.items()), reverse=True)
    if not scored or scored[0][0] <= 0:
        return Guess("detail.id", "no field looks like the id of a saga; this is a guess"), []
    first = scored[0][1]
    paths, known, covered = [first], {str(it) for it in values[first].values()}, set(values[first])
    while len(paths) < MOST_ALTERNATIVES:
        others = {
            path: {index for index, value in own.items() if index not in covered and str(value) in known}
            for path, own in values.items()
            if path not in paths
        }
        best = max(others, key=lambda path: (len(others[path]), path), default=None)
        if best is None or not others[best]:
            break
        paths.append(best)
        covered |= set(values[best])
        known |= {str(value) for value in values[best].values()}
    linked = _linked(values[first], events)
    why = f"{len(linked)} of its {len(set(values[first].values()))} values come in events of several types"
    if not linked:
        why = "its name and its values look like an id; one event of a saga cannot tell more"
    if len(covered) < len(events):
        why += f"; {len(events) - len(covered)} of {len(events)} events have none"
    names = [_jsonata(path) for path in paths]
    expression = names[-1]
    for name in reversed(names[:-1]):
        expression = (
            f"{name} ? {name} : {expression}" if " ? " not in expression else f"{name} ? {name} : ({expression})"
        )
    return Guess(expression, why), [values[path] for path in paths]


def _as_saga(path: Path, own: Mapping[int, Value], events: Sequence[Event]) -> float:
    if not all(_is_id(value) for value in own.values()):
        return 0
    name = _name(path)
    if any(word in name for word in (*CAUSE_NAMES, "version", "sequence", "trace", "etag", "status", "type")):
        return 0
    coverage = len(own) / len(events)
    linked = len(_linked(own, events))
    distinct = len(set(own.values()))
    if (
        len(events) > 2
        and distinct == 1
        and len({event["detail-type"] for event in events}) > 2
        and linked
        and not _hints(name)
    ):
        linked = 0  # something that is the same everywhere: a region, a tenant
    looks = 1 + 2 * _hints(name) + 0.5 * name.endswith(("id", "ref", "key", "number", "sha"))
    if any(word in name for word in MANY_SAGAS):
        looks /= 8
    if any(word in name for word in EVENT_NAMES):
        looks /= 4
    return float((linked + 0.1) * coverage**2 * looks / len(path) ** 0.25)


def _hints(name: str) -> float:
    """How much the name says that it is a saga's: the first of SAGA_NAMES most."""
    return next((2 / (1 + place / 5) for place, word in enumerate(SAGA_NAMES) if word in name), 0)


def _linked(own: Mapping[int, Value], events: Sequence[Event]) -> set[Value]:
    """The values that come in events of more than one type."""
    types: dict[Value, set[str]] = defaultdict(set)
    for index, value in own.items():
        types[value].add(events[index]["detail-type"])
    return {value for value, of in types.items() if len(of) > 1}


# Which event, and what led to it


def _ids(
    events: Sequence[Event],
    values: Mapping[Path, Mapping[int, Value]],
    correlation: Sequence[Mapping[int, Value]],
    saga_of: Mapping[int, str],
) -> tuple[Guess, Guess]:
    """A field that names the id of another event says what led to it, and which field is the id."""
    own_ids: dict[Path, Mapping[int, Value]] = {("id",): {n: event["id"] for n, event in enumerate(events)}}
    own_ids |= {path: own for path, own in values.items() if _is_once(own) and own not in correlation}
    best: tuple[int, int, Path, Path] | None = None
    for path, causes in values.items():
        if causes in correlation or not any(word in _name(path) for word in CAUSE_NAMES):
            continue
        for id_path, ids in own_ids.items():
            by_id = {value: index for index, value in ids.items()}
            met = sum(by_id.get(value, index) != index for index, value in causes.items())
            if met and id_path != path:
                best = max(best or (0, 0, (), ()), (met, len(ids), path, id_path))
    if best:
        met, _, cause, event_id = best
        why = f"{met} events name another's {_jsonata(event_id)} there"
        return Guess(_jsonata(event_id), f"{_jsonata(cause)} refers to it"), Guess(_jsonata(cause), why)
    named = [path for path in own_ids if len(path) > 1 and _is_named_id(path) and len(own_ids[path]) == len(events)]
    if named:
        path = min(named, key=lambda path: (len(path), path))
        chosen = Guess(_jsonata(path), "each event has one of its own there")
    else:
        chosen = Guess("id", "the producers give none: EventBridge's own; a repeated event stands there twice")
    by_name = [path for path in values if "caus" in _name(path)]
    if by_name:
        return chosen, Guess(_jsonata(min(by_name)), "by its name; no event that was seen is named there")
    nothing = "no event says what led to it: each is drawn after the one before, faintly"
    return chosen, Guess("detail.metadata.causationId", nothing)


def _is_named_id(path: Path) -> bool:
    return any(_name(path).endswith(word) for word in EVENT_NAMES) or (path[-1] == "id" and path[-2] in CONTAINERS[:4])


def _is_once(own: Mapping[int, Value]) -> bool:
    """Whether no value comes twice."""
    return len(set(own.values())) == len(own) and all(_is_id(value) for value in own.values())


# When, why, where


def _time(
    events: Sequence[Event], values: Mapping[Path, Mapping[int, Value]], saga_of: Mapping[int, str]
) -> tuple[Guess, Mapping[int, float]]:
    """A time near to that at which EventBridge got the event, which is not the same for all events of a saga.

    And what it says, in seconds since 1970, by event.
    """
    best: tuple[float, Path, str] | None = None
    for path, own in values.items():
        read = {index: _moment(value) for index, value in own.items()}
        times = {index: it for index, it in read.items() if it}
        if len(times) < len(own) or len(own) < len(events):
            continue
        unit = "s" if all(it[1] == "s" for it in times.values()) else ""
        apart = [abs(times[index][0] - _bus_time(events[index])) for index in times]
        if max(apart) > CLOCKS_DIFFER_SECONDS:
            continue
        seen = Counter((saga_of.get(index, ""), value) for index, value in own.items())
        again = sum(count - 1 for count in seen.values())
        if again * 2 >= len(own) and len(own) > 1:
            continue
        finer = any(times[index][0] % 1 for index in times)
        named = any(word in _name(path) for word in TIME_NAMES)
        score = 2 * named + finer - sum(apart) / len(apart) / 3600 - 0.1 * len(path)
        best = max(best or (float("-inf"), (), ""), (score, path, unit))
    if not best:
        bus = {index: _bus_time(event) for index, event in enumerate(events)}
        return Guess("time", "no field is a time of its own: EventBridge's, which knows whole seconds"), bus
    _, path, unit = best
    expression = f"{_jsonata(path)} * 1000" if unit else _jsonata(path)
    moments = {index: found[0] for index, value in values[path].items() if (found := _moment(value))}
    return Guess(expression, "a time in every event, close to EventBridge's"), moments


def _moment(value: Value) -> tuple[float, str] | None:
    """Seconds since 1970, and "s" if it was written so."""
    if isinstance(value, str):
        if not re.match(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}", value):
            return None
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            return None
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp(), ""
    if 1e12 < value < 1e13:
        return value / 1000, ""
    return (float(value), "s") if 1e9 < value < 1e10 else None


def _bus_time(event: Event) -> float:
    found = _moment(event["time"])
    return found[0] if found else 0.0


def _named(
    parameter: str, values: Mapping[Path, Mapping[int, Value]], names: Sequence[str], fits: Any, otherwise: str
) -> Guess:
    for name in names:
        paths = [path for path, own in values.items() if name in path[-1].lower() and all(map(fits, own.values()))]
        if paths:
            path = min(paths, key=lambda path: (-len(values[path]), len(path), path))
            return Guess(_jsonata(path), f"{len(values[path])} events have such a text")
    return Guess(otherwise, "no field is called so; nothing is shown where there is none")


def _is_text(value: Value) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 1000


def _lane(events: Sequence[Event], values: Mapping[Path, Mapping[int, Value]]) -> Guess:
    sources = {str(event["source"]) for event in events}
    if len(sources) == 1:
        for name in LANE_NAMES:
            for path, own in sorted(values.items()):
                if path[-1].lower() == name and 2 <= len(set(own.values())) <= 12 and len(own) * 5 >= len(events) * 4:
                    return Guess(_jsonata(path), f"all are of one source; this has {len(set(own.values()))} values")
    cut = "/" if all("/" in source for source in sources) else "."
    return Guess(f"$split(source, '{cut}')[-1]", f"{len(sources)} source{'' if len(sources) == 1 else 's'}")


def _personal(values: Mapping[Path, Any]) -> Guess:
    """Names at any depth that look like personal data. OmittedFields takes only plain names."""
    found = {
        name
        for path in values
        for name in path[1:]
        if any(word in name.lower().replace("_", "") for word in PERSONAL) and re.fullmatch(r"[A-Za-z0-9_-]+", name)
    }
    listed = ",".join(sorted(found))
    return Guess(
        listed, "personal data by their names: they are not kept" if found else "no name looks like personal data"
    )


# What it is about, and how it ends


def _noun(events: Sequence[Event], correlation: Guess) -> Guess:
    """What the field is called without its Id; else the object that it is in; else what most types begin with."""
    field = correlation.value.split(" ? ")[0]
    for part in reversed(field.split(".")):
        word = _words(re.sub(r"(?i)[_-]?(id|ref|reference|number|no|key|uuid|sha)$", "", part.strip("`")))
        if word and word not in (*CONTAINERS, "correlation", "saga", "workflow", "trace", "head"):
            return Guess(word[:31], f"from {field}")
    firsts = Counter(_words(event["detail-type"]).split(" ")[0] for event in events)
    word, count = firsts.most_common(1)[0]
    if word and count * 2 >= len(events) and re.fullmatch("[a-z][a-z -]{0,30}", word):
        return Guess(word, "most types begin with it")
    return Guess("saga", "neither the id nor the types say what it is")


def _words(name: str) -> str:
    """`pullRequest`, `pull_request` and `PullRequest` as "pull request"."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.:/ ]+", " ", name).lower()
    return " ".join(re.sub(r"[^a-z ]", "", spaced).split())


def _in_sagas(events: Sequence[Event], saga_of: Mapping[int, str], moments: Mapping[int, float]) -> list[list[str]]:
    """The types of each saga's events, in the order of time."""
    sagas: dict[str, list[int]] = defaultdict(list)
    for index in sorted(saga_of, key=lambda index: (moments[index], index)):
        sagas[saga_of[index]].append(index)
    return [[str(events[index]["detail-type"]) for index in own] for own in sagas.values()]


def _outcomes(events: Sequence[Event], sagas: Sequence[Sequence[str]]) -> tuple[Guess, Guess]:
    """Types with which sagas stop: well or badly by their words. One that is often last and says neither ends well."""
    types = {str(event["detail-type"]) for event in events}
    last = Counter(own[-1] for own in sagas if len(own) > 1)
    inside = Counter(kind for own in sagas for kind in set(own[:-1]))
    ends = {kind for kind in types if last[kind] > inside[kind]} or set(types if not last else ())
    bad = sorted(kind for kind in ends if _says(kind, BAD))
    good = sorted(kind for kind in ends if _says(kind, GOOD) and kind not in bad)
    if good:
        why = "sagas end with it, and its name says well"
    else:
        good = sorted(kind for kind in ends - set(bad) if last[kind] * 5 >= sum(last.values()) > 0)
        why = "sagas were last seen with it; look whether that is their end"
    chosen = [kind for kind in good if re.fullmatch(r"[^'\"\\,]+", kind)]
    refused = [kind for kind in bad if re.fullmatch(r"[^'\"\\,]+", kind)]
    return (
        Guess(",".join(chosen), why) if chosen else Guess(NO_TYPE, "no type says that a saga ended well; name it"),
        Guess(",".join(refused), "sagas end with it, and its name says otherwise" if refused else "none was seen"),
    )


def _says(kind: str, words: Iterable[str]) -> bool:
    spoken = _words(kind).replace(" ", "")
    return any(spoken.endswith(word) for word in words)


# Values


def _leaves(events: Sequence[Event]) -> dict[Path, dict[int, Value]]:
    """Every text and number of every event, by its path and the event's place. Lists are left out: which item is it?"""
    found: dict[Path, dict[int, Value]] = defaultdict(dict)
    for index, event in enumerate(events):
        for path, value in _walk(("detail",), event["detail"]):
            found[path][index] = value
    return dict(found)


def _walk(path: Path, value: Any) -> Iterator[tuple[Path, Value]]:
    unseen = [(path, value)]
    while unseen:  # not by recursion: it may be deep
        at, it = unseen.pop()
        if isinstance(it, Mapping):
            unseen += [((*at, str(name)), each) for name, each in it.items() if _can_be_named(str(name))]
        elif isinstance(it, str) or (isinstance(it, int | float) and not isinstance(it, bool)):
            yield at, it


def _can_be_named(name: str) -> bool:
    """Whether a parameter can hold it: neither " nor a backslash, and ` would end the name."""
    return bool(name) and not set(name) & set("\"'\\`")


def _is_id(value: Value) -> bool:
    if isinstance(value, str):
        plain = 1 < len(value) <= LONGEST_ID and not re.search(r"\s", value)
        return plain and _moment(value) is None and bool(re.search(r"\d", value) or "/" in value or len(value) >= 8)
    return isinstance(value, int) and value > 0 and _moment(value) is None


def _name(path: Path) -> str:
    return "".join(path[1:]).lower().replace("_", "").replace("-", "")


def _jsonata(path: Path) -> str:
    """A name that is no plain word stands in backticks."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", part) and part not in RESERVED else f"`{part}`" for part in path
    )


RESERVED = ("and", "or", "in", "true", "false", "null", "function")
