"""Looks at the terminal before Textual is imported: refuses what it can't draw on, and sets what must be set first."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from arena.core.errors import ArenaError


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def check_terminal() -> None:
    """Raise ArenaError with a hint where a screen can't be drawn; else prepare the environment for Textual."""
    if not (_is_terminal(sys.__stdin__) and (_is_terminal(sys.__stderr__) or _is_terminal(sys.__stdout__))):
        raise ArenaError("The screen needs a terminal.", "Without one, use `arena run` and `arena vote --verdict`.")
    if os.environ.get("TERM", "") == "dumb":
        raise ArenaError("This terminal (TERM=dumb) can't draw a screen.", "Use `arena run`, or another terminal.")
    if not _is_terminal(sys.__stderr__):
        # Textual draws on stderr. Where that goes into a file, the screen belongs on stdout; faults still go there.
        sys.__stderr__ = sys.__stdout__  # type: ignore[misc]
    encoding = (sys.__stderr__.encoding if sys.__stderr__ else "") or ""
    if encoding.lower().replace("-", "") != "utf8":
        raise ArenaError(f"This terminal writes {encoding}, not UTF-8.", "Start with PYTHONIOENCODING=utf-8 arena.")
    # With the kitty key protocol Textual loses what a Korean input method commits.
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]  # no-color.org: only a value that is not empty counts
