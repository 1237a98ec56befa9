"""Every AWS call of every function x every fault: how often each struck, and why the others cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.table import Table

from .fates import ALL_LOST, LAGGING, LATE, LOST, REFUSING, fates_of

Struck = Mapping[tuple[str, str, str], int]
"""How often, by (function, call, fate)."""

SHORT = {
    "throttled": "throttled",
    "refused": "refused",
    LOST: "answer lost",
    ALL_LOST: "all lost",
    "killed before it": "killed before",
    "killed after it": "killed after",
    LATE: "timed out",
    "in conflict": "conflict",
    "done in part": "in part",
    "one entry refused": "entry refused",
    REFUSING: "... always",
    LAGGING: "index lags",
}

CANNOT = {
    "in conflict": "only a transaction can be in conflict with another one",
    "done in part": "only a batch read of several rows can be done in part",
    "one entry refused": "only PutEvents has entries",
    REFUSING: "only PutEvents has entries",
    LAGGING: "only an index is made to lag behind; a record that is read too early is like two deliveries at once",
}
"""Why a call does not have this fate (a dot in the table)."""


def calls(struck: Struck) -> list[tuple[str, str]]:
    return sorted({(function, call) for function, call, _ in struck})


def missing(struck: Struck) -> Iterator[str]:
    """Cells that are empty, and need not be."""
    for function, call in calls(struck):
        for fate in fates_of(call.partition(" ")[0]):
            if not struck.get((function, call, fate)):
                yield f"{function}: {call} was never {fate}"


def tabulated(struck: Struck) -> Table:
    table = Table("function", "call", "calls", *SHORT.values(), box=None, padding=(0, 1), title="How each call ended")
    for function, call in calls(struck):
        of_call = Counter(
            {fate: times for (name, each, fate), times in struck.items() if (name, each) == (function, call)}
        )
        may_be = fates_of(call.partition(" ")[0])
        cells = (str(of_call[fate]) if fate in may_be else "." for fate in SHORT)
        table.add_row(function.removesuffix("Function"), call, f"{of_call.total():,}", *cells)
    return table
