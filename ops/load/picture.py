"""Latency over time, as an SVG: a dot for each order, and how bad a second was."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from ops.load.driver import Order
from ops.load.figures import percentile

WIDTH, PANEL, LEFT, RIGHT, TOP, GAP = 900, 200, 70, 20, 50, 60
DOTS = 3000
"""Of the orders, how many are drawn. The lines are of all."""

GOOD, BAD, HALF, WORST = "#2b6cb0", "#c53030", "#2f855a", "#b7791f"


@dataclass(frozen=True)
class Dot:
    at: float
    """Seconds from the start."""
    value: float
    good: bool


@dataclass(frozen=True)
class Panel:
    title: str
    unit: str
    dots: Sequence[Dot]
    top: int

    @property
    def lowest(self) -> float:
        return 10.0 ** math.floor(math.log10(min((dot.value for dot in self.dots), default=1)))

    @property
    def highest(self) -> float:
        top = max((dot.value for dot in self.dots), default=10)
        return max(10.0 ** math.ceil(math.log10(top)), self.lowest * 10)

    def y(self, value: float) -> float:
        """On a logarithmic scale: what matters is how many times slower the slowest is."""
        span = math.log10(self.highest / self.lowest)
        return self.top + PANEL * (1 - math.log10(max(value, self.lowest) / self.lowest) / span)


def draw(orders: Sequence[Order], title: str) -> str:
    """The picture of a run."""
    latencies = [Dot(it.due_at, max(it.latency * 1000, 0.1), it.accepted) for it in orders if it.latency is not None]
    sagas = [
        Dot(it.due_at, max(it.saga_seconds, 0.001), it.ended == "CONFIRMED")
        for it in orders
        if it.saga_seconds is not None
    ]
    seconds = max([it.due_at for it in orders], default=0) or 1
    panels = [
        Panel("Latency of POST /orders, from when it was due (red: not accepted)", "ms", latencies, TOP),
        Panel("From created to the saga's end (red: cancelled)", "s", sagas, TOP + PANEL + GAP),
    ]
    height = TOP + 2 * PANEL + GAP + 60

    def x(at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / seconds

    drawn = "\n".join(line for panel in panels for line in _panel(panel, x, seconds))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="12">\n<rect width="{WIDTH}" height="{height}" fill="white"/>\n'
        f'<text x="{LEFT}" y="22" font-size="16">{escape(title)}</text>\n{drawn}\n'
        f'<text x="{LEFT}" y="{height - 8}" fill="#555">seconds from the start, by when each order was due</text>\n'
        "</svg>\n"
    )


def _panel(panel: Panel, x: Callable[[float], float], seconds: float) -> Iterator[str]:
    yield f'<text x="{LEFT}" y="{panel.top - 8}">{escape(panel.title)}</text>'
    value = panel.lowest
    while value <= panel.highest * 1.001:
        y = panel.y(value)
        yield f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{value:g} {panel.unit}</text>'
        value *= 10
    for tick in _ticks(seconds):
        yield (f'<text x="{x(tick):.1f}" y="{panel.top + PANEL + 16}" text-anchor="middle" fill="#555">{tick:g}</text>')
    for dot in panel.dots[:: max(1, len(panel.dots) // DOTS)]:
        colour = GOOD if dot.good else BAD
        yield f'<circle cx="{x(dot.at):.1f}" cy="{panel.y(dot.value):.1f}" r="2" fill="{colour}" fill-opacity="0.5"/>'
    for of, colour in ((50, HALF), (99, WORST)):
        points = " ".join(f"{x(at):.1f},{panel.y(value):.1f}" for at, value in _by_time(panel.dots, seconds, of))
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        row = panel.top - 8
        column = WIDTH - RIGHT - (110 if of == 50 else 50)
        yield f'<text x="{column}" y="{row}" fill="{colour}">p{of}</text>'


def _by_time(dots: Sequence[Dot], seconds: float, of: float) -> Iterator[tuple[float, float]]:
    """A percentile for each of the stretches of time, sixty at most, of a second at least."""
    width = max(1.0, seconds / 60)
    stretches: dict[int, list[float]] = defaultdict(list)
    for dot in dots:
        stretches[int(dot.at / width)].append(dot.value)
    for number, values in sorted(stretches.items()):
        yield min((number + 0.5) * width, seconds), percentile(sorted(values), of)


def _ticks(seconds: float) -> list[float]:
    """About six, at round numbers."""
    step = 10 ** math.floor(math.log10(seconds / 6))
    step = next((step * times for times in (1, 2, 5, 10) if seconds / (step * times) <= 8), step)
    return [step * number for number in range(int(seconds / step) + 1)]
