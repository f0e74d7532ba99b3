"""Files that commands write: complete or not at all."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, cast

from arena.core.errors import ArenaError
from arena.core.text import clean, clean_line

STANDARD = "-"
"""What stands for stdin and stdout."""


def write_text(path: Path, text: str) -> None:
    """Put a text into a file at once, or on stdout. Raises ArenaError."""
    with writing(path) as out:
        out.write(text)


@contextmanager
def writing(path: Path) -> Iterator[TextIO]:
    """UTF-8 text that takes its place when it is complete: until then the file is as it was. `-` is stdout.

    A new file is for its user alone: votes and notes are nobody else's business. One that was there keeps its mode.
    Raises ArenaError when it can't be written.
    """
    if str(path) == STANDARD:
        kind = _OnTerminal if sys.stdout.isatty() else io.TextIOWrapper
        out = kind(sys.stdout.buffer, encoding="utf-8", errors="replace", newline="")
        try:
            yield out
            out.flush()
        finally:
            out.detach()
        return
    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    in_place = target.exists() and not target.is_file()  # a pipe is written, not replaced
    try:
        where, mode = (target, "w") if in_place else (draft, "x")
        opened = open(where, mode, encoding="utf-8", newline="", opener=_for_oneself)  # noqa: SIM115 - it is, below
        with cast("TextIO", opened) as file:
            yield file
            if not in_place:
                file.flush()
                os.fsync(file.fileno())
        if not in_place:
            if target.exists():
                shutil.copymode(target, draft)
            draft.replace(target)
    except OSError as fault:
        raise ArenaError(f"{clean_line(str(path))} can't be written: {why(fault)}.", "Name another file.") from fault
    finally:
        draft.unlink(missing_ok=True)


def _for_oneself(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class _OnTerminal(io.TextIOWrapper):
    """Stdout where somebody looks at it: what a file would keep as it is, such as a CSV, is cleaned here."""

    def write(self, text: str, /) -> int:
        """Write it, cleaned."""
        return super().write(clean(text))


def why(fault: OSError | ValueError) -> str:
    """What the system says of a file, in a few words."""
    return getattr(fault, "strerror", None) or type(fault).__name__
