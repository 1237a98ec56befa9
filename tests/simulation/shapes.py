"""Which runs cannot differ: those whose calls stand in the same order where order matters.

Two calls matter to each other if one invocation makes both, or if both are on one row. Everything else commutes: to
swap two neighbours of which neither matters to the other changes no answer and no row. So two runs in which each
invocation makes the same calls, with the same fates, and each row sees them in the same order, are one run told in two
ways (Mazurkiewicz's traces). Only the clock may differ, by the milliseconds that calls take.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence

from .world import Step


def shape_of(steps: Sequence[Step]) -> str:
    """The same for runs that cannot differ."""
    # a query looks at each row of its table, so there each call matters to it
    searched = {table for step in steps for table, _, key in (row.partition(" ") for row in step.rows) if key == "*"}
    seen: defaultdict[str, list[str]] = defaultdict(list)
    for step in steps:
        seen[step.cause].append(step.what)
        for row in step.rows:
            table = row.partition(" ")[0]
            seen[table if table in searched else row].append(f"{step.cause} {len(seen[step.cause])}")
    return hashlib.blake2b(repr(sorted(seen.items())).encode(), digest_size=16).hexdigest()
