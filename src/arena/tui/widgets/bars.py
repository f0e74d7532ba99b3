"""Small drawings in text: an interval on a scale, a filled bar."""

from __future__ import annotations

from textual.content import Content


def interval_bar(low: float, score: float, high: float, scale: tuple[float, float], width: int) -> Content:
    """`────●────` from low to high on a scale, `width` cells wide."""
    left, right = scale
    span = max(right - left, 1.0)

    def cell(value: float) -> int:
        return min(width - 1, max(0, round((value - left) / span * (width - 1))))

    start, middle, end = cell(low), cell(score), cell(high)
    line = " " * start + "─" * (middle - start)
    tail = "─" * (end - middle)
    return Content.assemble(
        (line, "$text-muted"), ("●", "bold $accent"), (tail.ljust(width - middle - 1), "$text-muted")
    )


def fill_bar(share: float, width: int, more: float = 0.0) -> Content:
    """A bar filled to `share` (0 to 1), and dashed for what `more` would fill."""
    filled = round(min(1.0, max(0.0, share)) * width)
    dashed = min(width - filled, max(1, round(more * width)) if more > 0 else 0)
    return Content.assemble(
        ("━" * filled, "$primary"), ("╍" * dashed, "$accent"), ("─" * (width - filled - dashed), "$panel-lighten-2")
    )


def share_bar(low: float, share: float, high: float, chance: float | None, width: int) -> Content:
    """`··──●──┊····` on a scale from 0 to 1: a share with its interval, and a mark where blind chance would be."""

    def cell(value: float) -> int:
        return min(width - 1, max(0, round(value * (width - 1))))

    marks = dict.fromkeys(range(width), ("·", "$panel-lighten-2"))
    marks |= dict.fromkeys(range(cell(low), cell(high) + 1), ("─", "$text-muted"))
    if chance is not None:
        marks[cell(chance)] = "┊", "$secondary"
    marks[cell(share)] = "●", "bold $accent"
    return Content.assemble(*marks.values())
