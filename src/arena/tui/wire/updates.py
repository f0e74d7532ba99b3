"""The two kinds of updates that Textual's compositor makes, painted on a grid."""

from __future__ import annotations

from itertools import chain

from textual._compositor import ChopsUpdate, LayoutUpdate

from arena.tui.wire.grid import Grid


def paint(grid: Grid, update: LayoutUpdate | ChopsUpdate) -> None:
    """Want on the grid what Textual would write for this update."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            grid.paint(y, update.region.x, chain.from_iterable(strips))
        return
    for y, left, right in update.spans:
        for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if strip is not None and x <= right and end > left:
                whole = left <= x < right and end <= right
                grid.paint(y, x, strip if whole else strip.crop(0, min(end, right) - x))
