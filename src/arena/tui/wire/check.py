"""A look at the private parts of Textual that the writer relies on, before it does."""

from __future__ import annotations

import inspect
import sys

from rich.color import ColorSystem
from rich.segment import Segment
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.drivers import _writer_thread
from textual.geometry import Region
from textual.strip import Strip

from arena.tui.wire.grid import Grid
from arena.tui.wire.updates import paint

_OF_THE_APP = ("_batch_count", "_closed", "_driver", "_running", "_sync_available", "app_resume_signal")
_UNKNOWN = "arena draws with Textual's own output: it does not know this version of Textual"


def why_stock(app: App[None] | None = None) -> str:
    """A sentence about why Textual's own output has to do, '' where it need not. `app`: None is any."""
    if sys.platform == "win32":
        return "arena draws with Textual's own output: its own is not known to work on Windows."
    app = app or App()
    missing = [name for name in _OF_THE_APP if not hasattr(app, name)]
    missing += [] if hasattr(app.console, "_color_system") else ["_color_system"]
    missing += [] if hasattr(_writer_thread, "WriterThread") else ["WriterThread"]
    if list(inspect.signature(App._display).parameters) != ["self", "screen", "renderable"]:  # noqa: SLF001
        missing.append("_display")
    if missing:
        return f"{_UNKNOWN} ({', '.join(missing)})."
    return "" if _draws() else f"{_UNKNOWN} (its updates)."


def _draws() -> bool:
    """Whether two small updates, one of each kind, come out as they should."""
    grid = Grid(4, 1, ColorSystem.TRUECOLOR)
    try:
        paint(grid, LayoutUpdate([[Strip([Segment("ab")]), Strip([Segment("cd")])]], Region(0, 0, 4, 1)))
        paint(grid, ChopsUpdate([{0: Strip([Segment("xy")]), 2: None}], [(0, 0, 2)], [[2, 4]]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return grid.frame().endswith("xycd")
