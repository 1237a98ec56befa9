"""A saga's path: which event led to which, whatever came first of what went on at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import msgspec

from timeline.sagas import PathStep

Shape = tuple[tuple[str, str, tuple[int, ...]], ...]
"""A path without its times: lane, type, and the indices of what led to it."""


def shape_of(path: Sequence[PathStep]) -> Shape:
    """The path as causality orders it: parallel branches in either order have the same shape."""
    return _canonical(tuple([(step.lane, step.type, tuple(step.causes)) for step in path]))


def variant_key(path: Sequence[PathStep]) -> str:
    """The key of its variant: ten hexadecimal digits."""
    return shape_key(shape_of(path))


@lru_cache(maxsize=4096)
def _canonical(path: Shape) -> Shape:
    """By levels of the longest way from a beginning; within a level by lane, type, and place in the whole.

    The place is found by colour refinement (Weisfeiler and Leman): steps of one lane and type are told apart by what
    led to them and by what they led to, and so on, as far as that goes.
    """
    causes = _possible([tuple(set(causes)) for _, _, causes in path])
    effects: list[list[int]] = [[] for _ in path]
    for index, own in enumerate(causes):
        for cause in own:
            effects[cause].append(index)
    levels = _levels(causes)
    colours, finer = [0] * len(path), _ranks([(level, *step[:2]) for level, step in zip(levels, path, strict=True)])
    while max(colours, default=0) < max(finer, default=0) < len(path) - 1:
        colours = finer
        finer = _ranks(
            [
                (colours[index], _sorted(colours, causes[index]), _sorted(colours, effects[index]))
                for index in range(len(path))
            ]
        )
    places: dict[int, int] = {}
    by_level = groupby(sorted(range(len(path)), key=levels.__getitem__), key=levels.__getitem__)
    for _, here in by_level:
        for index in sorted(here, key=lambda index: (finer[index], _sorted(places, causes[index]))):
            places[index] = len(places)
    return tuple([(*path[index][:2], _sorted(places, causes[index])) for index in places])


def _possible(causes: list[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Without those by which an event led to itself, however far around: a foreign event may claim that."""
    if all(cause < index for index, own in enumerate(causes) for cause in own):
        return causes
    before = [set(own) for own in causes]
    for _ in causes:
        before = [own.union(*[before[cause] for cause in own]) for own in before]
    return [tuple(cause for cause in own if index not in before[cause] | {cause}) for index, own in enumerate(causes)]


def _levels(causes: list[tuple[int, ...]]) -> list[int]:
    """How many steps from a beginning each is, by the longest way. An effect may stand before its cause."""
    levels, before = [0] * len(causes), [-1]
    while levels != before:
        before = levels.copy()
        for index, own in enumerate(causes):
            if own:
                levels[index] = 1 + max([levels[cause] for cause in own])
    return levels


def _ranks(values: Sequence[tuple[Any, ...]]) -> list[int]:
    ranks = {value: rank for rank, value in enumerate(sorted(set(values)))}
    return [ranks[value] for value in values]


def _sorted(places: Mapping[int, int] | Sequence[int], indices: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted([places[index] for index in indices]))


@lru_cache(maxsize=4096)
def shape_key(shape: Shape) -> str:
    """The key of the variant of this shape."""
    return hashlib.sha256(msgspec.json.encode(shape)).hexdigest()[:10]
