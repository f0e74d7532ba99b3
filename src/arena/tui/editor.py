"""A text in the user's own editor: $VISUAL, else $EDITOR, else what is there."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from arena.core.errors import ArenaError

MAX_BYTES = 1024 * 1024
"""A longer prompt is none."""
_USUAL = ("nano", "vi", "notepad")


def edited(text: str) -> str:
    """What the editor makes of a text; it has the terminal meanwhile. Raises ArenaError, and the text is as it was.

    The file lies in a folder that nobody else can read, and goes with it, with all that the editor leaves beside it.
    """
    command = _editor()
    with tempfile.TemporaryDirectory(prefix="arena-") as folder:
        file = Path(folder) / "prompt.md"
        file.touch(0o600)
        file.write_text(text, "utf-8")
        try:
            with _interrupts_ignored():
                ended = subprocess.run([*command, str(file)], check=False).returncode
            with file.open("rb") as found:
                data = found.read(MAX_BYTES + 1)
        except OSError as fault:
            told = fault.strerror or type(fault).__name__
            raise ArenaError(f"The editor {command[0]} can't be used: {told}.", "Set VISUAL or EDITOR.") from fault
    if ended:
        raise ArenaError(f"The editor {command[0]} ended with {ended}.", "The prompt is as it was.")
    if len(data) > MAX_BYTES:
        raise ArenaError("What the editor wrote is larger than 1 MiB.", "The prompt is as it was.")
    return data.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n")


def _editor() -> list[str]:
    """The command with its arguments. Raises ArenaError where there is none."""
    wanted = os.environ.get("VISUAL", "").strip() or os.environ.get("EDITOR", "").strip()
    try:
        command = shlex.split(wanted) or [name for name in _USUAL if shutil.which(name)][:1]
    except ValueError as fault:
        raise ArenaError(f"'{wanted}' is no command: {fault}.", "Set VISUAL or EDITOR.") from fault
    if not command:
        raise ArenaError("There is no editor.", "Set VISUAL or EDITOR, such as EDITOR=nano.")
    return command


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl+C at this terminal is meant for the editor. A handler is nothing that the editor inherits."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
