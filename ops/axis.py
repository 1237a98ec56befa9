"""The time axis of a drawing. Time is drawn in proportion, but a silence that would squeeze all else is folded."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

SILENCE_MS = 5_000
FOLD_COLUMNS = 6
TICK_COLUMNS = 14

Gap = tuple[int, int]
"""From one event to the next, each in milliseconds since the saga's start."""


@dataclass(frozen=True)
class Axis:
    """`columns` of events are by their offsets in milliseconds, both ascending; `per_ms` holds outside of `folds`."""

    columns: Mapping[int, float]
    folds: Sequence[Gap]
    per_ms: float

    @classmethod
    def of(cls, offsets: Sequence[int], width: int) -> Axis:
        """For events at these offsets, ascending, of which there is at least one; `width` in columns."""
        gaps = [(start, end) for start, end in pairwise(offsets) if start < end]
        folds = _silences(gaps)
        busy = sum(end - start for start, end in gaps if (start, end) not in folds) or 1
        fold = min(FOLD_COLUMNS, (width - 1) / 2 / len(folds)) if folds else 0
        per_ms = (width - 1 - fold * len(folds)) / busy
        columns = {offsets[0]: 0.0}
        for start, end in gaps:
            columns[end] = columns[start] + (fold if (start, end) in folds else (end - start) * per_ms)
        return cls(columns, folds, per_ms)

    def column(self, offset: int) -> int:
        """Where an event of this offset stands."""
        return round(self.columns[offset])

    @property
    def last_column(self) -> int:
        return round(max(self.columns.values()))

    def breaks(self) -> list[int]:
        """In the middle of each fold that has room for it, the first of two columns."""
        between = [(self.columns[start], self.columns[end]) for start, end in self.folds]
        return [round((left + right) / 2) - 1 for left, right in between if right - left >= 3]

    def ticks(self) -> Iterator[tuple[int, int]]:
        """Columns and their offsets: round figures up to the first fold; after a fold, where things start again."""
        start = min(self.columns)
        until = self.folds[0][0] if self.folds else max(self.columns)
        for offset in range(start, until + 1, _round_up(TICK_COLUMNS / self.per_ms)):
            yield round((offset - start) * self.per_ms), offset
        for _, end in self.folds:
            yield self.column(end), end


def _silences(gaps: Sequence[Gap]) -> list[Gap]:
    """Those that are long, and longer by far than all the shorter ones together; in the order of time."""
    shorter = 0
    by_length = sorted(gaps, key=lambda gap: gap[1] - gap[0])
    for index, (start, end) in enumerate(by_length):
        if end - start > max(SILENCE_MS, 4 * shorter):
            return sorted(by_length[index:])
        shorter += end - start
    return []


def _round_up(milliseconds: float) -> int:
    """To 1, 2 or 5, with zeros."""
    power: int = 10 ** max(0, math.floor(math.log10(milliseconds)))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= milliseconds)
