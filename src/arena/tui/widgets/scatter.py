"""A scatter plot in characters: points with intervals, and the staircase of those that nothing beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rich.cells import cell_len
from textual.content import Content

from arena.tui.language import _

_MARGIN = 6
"""Cells for the figures of the upright axis."""
_LEAST = (24, 6)


@dataclass(frozen=True, slots=True)
class Point:
    """One point with its name."""

    name: str
    """Cleaned already."""
    x: float
    y: float
    low: float
    high: float
    """The interval of y."""
    unbeaten: bool = False


@dataclass(slots=True)
class _Canvas:
    """A grid of characters with styles; a place that is taken stays so unless it is drawn over."""

    width: int
    height: int
    cells: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    taken: set[tuple[int, int]] = field(default_factory=set)
    """Cells of points and names; lines may be written over."""

    def put(self, x: int, y: int, text: str, style: str, *, line: bool = False) -> None:
        """Write from (x, y) to the right; row 0 is the top. `line`: nothing that has to stay readable."""
        for char in text:
            cells = cell_len(char)
            if cells and x >= 0 and x + cells <= self.width and 0 <= y < self.height:
                self.cells[x, y] = char, style
                if cells == 2:
                    self.cells[x + 1, y] = "", style
                if not line:
                    self.taken |= {(x, y), (x + cells - 1, y)}
            x += cells

    def free(self, x: int, y: int, length: int) -> bool:
        """Whether a text of that length has room there and touches nothing."""
        inside = x >= 0 and x + length <= self.width and 0 <= y < self.height
        return inside and all((x + offset, y) not in self.taken for offset in range(-1, length + 1))

    def rows(self) -> list[Content]:
        """The lines from top to bottom."""
        lines = []
        for y in range(self.height):
            row = [self.cells.get((x, y), (" ", "")) for x in range(self.width)]
            lines.append(Content.assemble(*row))
        return lines


def scatter(points: Sequence[Point], size: tuple[int, int], title: str, *, less_is_better: bool = False) -> Content:
    """The points on a plot of `size` (columns, lines), titled; x is on a logarithmic scale, and grows to the right.

    Where less is better, x grows to the left: the best corner is always the upper right one.
    """
    width, height = (max(least, given) for least, given in zip(_LEAST, size, strict=True))
    head = Content.styled(title, "bold $text-muted")
    points = [point for point in points if point.x > 0]
    if not points:
        return Content("\n").join([head, Content.styled(_("Nothing measured yet."), "$text-muted")])
    canvas = _Canvas(width - _MARGIN - 1, height - 3)
    across = _Axis.of([math.log(point.x) for point in points], canvas.width - 1, turned=less_is_better)
    upright = _Axis.of([end for point in points for end in (point.low, point.high)], canvas.height - 1, turned=True)

    def place(point: Point) -> tuple[int, int]:
        return across.cell(math.log(point.x)), upright.cell(point.y)

    for point in points:
        x, __ = place(point)
        for y in range(upright.cell(point.high), upright.cell(point.low) + 1):
            canvas.put(x, y, "│", "$primary-darken-1" if point.unbeaten else "$panel-lighten-2", line=True)
    _staircase(canvas, sorted(place(point) for point in points if point.unbeaten))
    for point in points:
        canvas.put(*place(point), *(("★", "bold $accent") if point.unbeaten else ("●", "$text-muted")))
    for point in sorted(points, key=lambda point: (not point.unbeaten, -point.y)):
        _label(canvas, *place(point), point)
    return Content("\n").join([head, *_framed(canvas, across, upright)])


@dataclass(frozen=True, slots=True)
class _Axis:
    """Values on cells 0 to `cells`."""

    low: float
    high: float
    cells: int
    turned: bool
    """The largest value is at cell 0."""

    @classmethod
    def of(cls, values: Sequence[float], cells: int, *, turned: bool) -> _Axis:
        """An axis that holds them with a little room at both ends."""
        low, high = min(values), max(values)
        room = (high - low) * 0.06 or 0.5
        return cls(low - room, high + room, cells, turned)

    def cell(self, value: float) -> int:
        share = (value - self.low) / (self.high - self.low)
        return round((1 - share if self.turned else share) * self.cells)


def _staircase(canvas: _Canvas, corners: Sequence[tuple[int, int]]) -> None:
    """The edge of what is beaten: everything below an unbeaten point and to its left."""
    for (x, y), (to_x, to_y) in pairwise(corners):
        if to_y < y:
            continue  # of another group, with which the one before was never compared
        for row in range(y, to_y):
            canvas.put(x, row, "·", "$accent-darken-1", line=True)
        canvas.put(x, to_y, "·" * (to_x - x), "$accent-darken-1", line=True)


def _label(canvas: _Canvas, x: int, y: int, point: Point) -> None:
    """The name where there is room around the point; nothing where there is none."""
    style = "bold" if point.unbeaten else "$text-muted"
    length = Content(point.name).cell_length
    for left, top in (
        *((x + 2, y), (x - 1 - length, y), (x + 1, y - 1), (x - length, y - 1), (x + 1, y + 1), (x - length, y + 1)),
        *((x + 2, y - 2), (x + 2, y + 2), (x - 1 - length, y - 2), (x - 1 - length, y + 2)),
    ):
        if canvas.free(left, top, length):
            canvas.put(left, top, point.name, style)
            return


def _framed(canvas: _Canvas, across: _Axis, upright: _Axis) -> list[Content]:
    """The canvas with its axes and their figures."""
    ticks = {upright.cell(value): f"{value:.0f}" for value in _round_steps(upright.low, upright.high)}
    lines = []
    for y, row in enumerate(canvas.rows()):
        told = ticks.get(y, "")
        lines.append(Content.assemble((f"{told:>{_MARGIN - 1}} {'┤' if told else '│'}", "$text-muted"), row))
    base, foot = ["─"] * canvas.width, [" "] * (canvas.width + _MARGIN)
    for value in _round_powers(math.exp(across.low), math.exp(across.high)):
        cell, told = across.cell(math.log(value)), f"{value:g}"
        start = max(0, cell - len(told) // 2)
        if not "".join(foot[max(0, start - 1) : start + len(told) + 1]).strip():
            base[cell] = "┬"
            foot[start : start + len(told)] = told
    lines.append(Content.styled(" " * _MARGIN + "└" + "".join(base), "$text-muted"))
    lines.append(Content.styled(" " * (_MARGIN + 1) + "".join(foot).rstrip(), "$text-muted"))
    return lines


def _round_steps(low: float, high: float) -> list[float]:
    """Round values between, four or so."""
    rough = max(high - low, 1e-9) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((power * factor for factor in (1, 2, 5, 10)), key=lambda size: abs(math.log(size / rough)))
    return [step * i for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _round_powers(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, 20, ... between; where that gives less than two, round steps."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    between = [value for value in found if low <= value <= high]
    return between if len(between) > 1 else [value for value in _round_steps(low, high) if value > 0]
