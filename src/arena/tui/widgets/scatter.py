"""A scatter plot in characters: points with intervals, and the staircase of those that nothing beats."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rich.cells import cell_len
from textual.content import Content

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

    def put(self, x: int, y: int, text: str, style: str) -> None:
        """Write from (x, y) to the right; row 0 is the top."""
        for char in text:
            cells = cell_len(char)
            if cells and x >= 0 and x + cells <= self.width and 0 <= y < self.height:
                self.cells[x, y] = char, style
                if cells == 2:
                    self.cells[x + 1, y] = "", style
            x += cells

    def free(self, x: int, y: int, length: int) -> bool:
        """Whether a text of that length has room there and touches nothing."""
        inside = x >= 0 and x + length <= self.width and 0 <= y < self.height
        return inside and all((x + offset, y) not in self.cells for offset in range(-1, length + 1))

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
        return Content("\n").join([head, Content.styled("Nothing measured yet.", "$text-muted")])
    canvas = _Canvas(width - _MARGIN - 1, height - 3)
    across = _Axis.of([math.log(point.x) for point in points], canvas.width - 1, turned=less_is_better)
    upright = _Axis.of([end for point in points for end in (point.low, point.high)], canvas.height - 1, turned=True)

    def place(point: Point) -> tuple[int, int]:
        return across.cell(math.log(point.x)), upright.cell(point.y)

    _staircase(canvas, sorted(place(point) for point in points if point.unbeaten))
    for point in points:
        x, _ = place(point)
        for y in range(upright.cell(point.high), upright.cell(point.low) + 1):
            canvas.put(x, y, "│", "$primary-darken-1" if point.unbeaten else "$panel-lighten-3")
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

    def value(self, cell: float) -> float:
        share = cell / self.cells
        return self.low + (1 - share if self.turned else share) * (self.high - self.low)


def _staircase(canvas: _Canvas, corners: Sequence[tuple[int, int]]) -> None:
    """The edge of what is beaten: everything below an unbeaten point and to its left."""
    for (x, y), (to_x, to_y) in pairwise(corners):
        if to_y < y:
            continue  # of another group, with which the one before was never compared
        for row in range(y, to_y):
            canvas.put(x, row, "·", "$accent-darken-1")
        canvas.put(x, to_y, "·" * (to_x - x), "$accent-darken-1")


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
    ticks = {0, canvas.height // 2, canvas.height - 1}
    lines = []
    for y, row in enumerate(canvas.rows()):
        told = f"{upright.value(y):.0f}" if y in ticks else ""
        lines.append(Content.assemble((f"{told:>{_MARGIN - 1}} {'┤' if told else '│'}", "$text-muted"), row))
    lines.append(Content.styled(" " * _MARGIN + "└" + "─" * canvas.width, "$text-muted"))
    foot = [" "] * canvas.width
    for cell in (0, canvas.width // 2, canvas.width - 1):
        told = _figure(math.exp(across.value(cell)))
        start = min(max(0, cell - len(told) // 2), canvas.width - len(told))
        foot[start : start + len(told)] = told
    lines.append(Content.styled(" " * (_MARGIN + 1) + "".join(foot), "$text-muted"))
    return lines


def _figure(value: float) -> str:
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"
