"""Looks at the terminal before Textual is imported: refuses what it can't draw on, and sets what must be set first."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TextIO

from arena.core.errors import ArenaError

_ASCII_ONLY = ("linux", "vt", "ansi", "cons25", "dumb")
"""How the names of terminals begin whose fonts lack the rounded borders and most signs."""
_COLOR_SYSTEMS = ("auto", "standard", "256", "truecolor", "windows")


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
    if os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto").lower() not in _COLOR_SYSTEMS:
        del os.environ["TEXTUAL_COLOR_SYSTEM"]  # Textual would end with a traceback
    # With the kitty key protocol Textual loses what a Korean input method commits.
    os.environ.setdefault("TEXTUAL_DISABLE_KITTY_KEY", "1")
    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]  # no-color.org: only a value that is not empty counts
    os.environ.setdefault("TEXTUAL_FPS", "30")  # more is never sent


def draws_ascii_only() -> bool:
    """Whether the terminal has no signs but those of ASCII that can be relied on."""
    return os.environ.get("TERM", "").startswith(_ASCII_ONLY)


def has_few_colors() -> bool:
    """Whether the terminal has 16 colours, or says nothing of more."""
    wanted = os.environ.get("TEXTUAL_COLOR_SYSTEM", "auto").lower()
    if wanted != "auto":
        return wanted == "standard"
    if os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit"):
        return False
    return sys.platform != "win32" and not os.environ.get("TERM", "").endswith(("256color", "kitty"))


def counts_otherwise() -> bool:
    """Whether a multiplexer stands between, which counts the cells of some emoji in its own way."""
    if os.environ.get("TMUX") or os.environ.get("STY") or os.environ.get("TERM", "").startswith(("screen", "tmux")):
        return True
    return _runs_in("mosh-server")


def erases_in_color() -> bool:
    """Whether erased cells take the colour of the background: `bce` of terminfo. tmux does so, and does not say so."""
    if os.environ.get("TMUX"):
        return True
    try:
        import curses  # noqa: PLC0415 - some builds of Python have none
    except ImportError:
        return False
    try:
        curses.setupterm(fd=0)
    except curses.error:
        return False
    return curses.tigetflag("bce") == 1


def _runs_in(program: str) -> bool:
    """Whether a program of that name has started this one, or one of those that did. Only Linux can tell."""
    pid = os.getppid()
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except OSError:
            return False
        name, _, rest = stat.partition("(")[2].rpartition(")")
        if name == program:
            return True
        pid = int(rest.split()[1])
    return False
