"""What can be taken out of answers: an answer, or one block of code in it, to the clipboard or into a file."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from arena.core.errors import ArenaError
from arena.tui.last_mile import harmless

CLIPBOARD_BYTES = 64 * 1024
"""Terminals take about 100,000 bytes at once, and base64 makes four of three."""
_MOST_BLOCKS = 99
"""Of one answer; nobody chooses from more."""
_FENCE = re.compile(r"^( {0,12})(`{3,}|~{3,}+)([^\n`]*)\n(.*?)(?:^ *\2[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Copyable:
    """An answer, or a block of code of it. No field could name a model."""

    label: str
    """A, B or C."""
    text: str
    number: int = 0
    """The how manieth block of code of its answer, 1 first; 0 is the whole answer."""
    language: str = ""
    """What the answer calls the language of the block."""

    @property
    def file_name(self) -> str:
        """The end of its file's name."""
        return f"{self.label}-code-{self.number}.txt" if self.number else f"{self.label}.md"

    @property
    def size_bytes(self) -> int:
        """Its length in UTF-8."""
        return len(self.text.encode())


def copyables(answers: Iterable[tuple[str, str]]) -> list[Copyable]:
    """Every answer that says something, each followed by its blocks of code. `answers`: label, clean text."""
    found: list[Copyable] = []
    for label, said in answers:
        text = harmless_lines(said)
        if text.strip():
            found.append(Copyable(label, text))
            found += [Copyable(label, code, number, name) for number, (name, code) in enumerate(_blocks(text), 1)]
    return found


def harmless_lines(text: str) -> str:
    """The text without control characters, but for the end of a line and the tab."""
    return "\n".join("\t".join(harmless(part) for part in line.split("\t")) for line in text.split("\n"))


def keep(folder: Path, name: str, text: str) -> Path:
    """Write a text into a file of that folder that only the user may read, in place of an older one.

    Raises ArenaError.
    """
    path = folder / name
    try:
        folder.mkdir(0o700, parents=True, exist_ok=True)
        draft, drafted = tempfile.mkstemp(dir=folder)  # it comes as 0600
        try:
            with os.fdopen(draft, "w", encoding="utf-8") as file:
                file.write(text)
            Path(drafted).replace(path)
        except OSError:
            Path(drafted).unlink(missing_ok=True)
            raise
    except OSError as fault:
        raise ArenaError(f"{path} can't be written: {fault.strerror}.", "Is there room, and may you write?") from None
    return path


def _blocks(text: str) -> list[tuple[str, str]]:
    """Language and code of every fenced block; one that is still open ends with the text."""
    found = (match.groups() for match in islice(_FENCE.finditer(text), _MOST_BLOCKS))
    return [(name.strip(), _outdented(code, len(indent))) for indent, _, name, code in found]


def _outdented(code: str, indent: int) -> str:
    """Code without the indentation that its fence has."""
    return re.sub(rf"^ {{1,{indent}}}", "", code, flags=re.MULTILINE) if indent else code
