"""Walks through the bytes of a GGUF header: numbers, strings, typed values, and long arrays that are stepped over.

Every count is held against the size of the file and a limit before memory is spent on it; whatever is wrong is one
ArenaError. The format: ggml's docs/gguf.md.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from arena.core.errors import ArenaError
from arena.core.text import clean_line

MAX_HEADER_BYTES = 64 << 20
"""Four times the largest header seen (Gemma 4: 262,144 tokens, 514,906 merges, 15 MiB)."""
KEPT_ELEMENTS = 512
"""Longer arrays are skipped; per-layer arrays are far shorter."""
KEPT_STRING_BYTES = 1 << 20


_WINDOW, _MOST_AT_ONCE = 1 << 18, 1 << 20
_AGAIN = "Fetch the file again; a download that broke off looks like this."
U32, U64 = struct.Struct("<I"), struct.Struct("<Q")
_RUN, _RUN_BYTES = 512, 512 * (8 + 63)
# That many strings of less than 64 bytes: one alternative per length, told by the first byte, so nothing is tried
# twice; those of about eight bytes come first, since most tokens and merges are that long.
_LIKELY_FIRST = sorted(range(64), key=lambda size: abs(size - 8))
_SHORT = b"(?s:%b){%d}+" % (b"|".join(re.escape(U64.pack(size)) + b".{%d}" % size for size in _LIKELY_FIRST), _RUN)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9


@dataclass(frozen=True, slots=True)
class Skipped:
    """Stands for a value that was too long to keep."""

    length: int
    """Elements of an array, bytes of a string."""


Scalar = bool | int | float | str
Value = Scalar | tuple[Scalar, ...] | Skipped


def refuse(path: Path, what: str, hint: str = _AGAIN) -> NoReturn:
    """Raise the ArenaError that names the file."""
    raise ArenaError(f"'{clean_line(path.name) or path}' {what}.", hint)


class Cursor:
    """Walks forward through a header and asks the file for more only as far as it gets."""

    def __init__(self, path: Path, file: BinaryIO, size: int) -> None:
        """At the start of this open file of `size` bytes."""
        self.path, self.size, self.at = path, size, 0
        self._file, self._data = file, bytearray()

    def pass_over(self, count: int) -> int:
        """Step over `count` bytes and hold them; returns where they begin."""
        start, end = self.at, self.at + count
        if end > len(self._data):
            if end > self.size:
                refuse(self.path, f"breaks off within its header, at {self.size:,} bytes")
            if end > MAX_HEADER_BYTES:
                refuse(self.path, f"has a header of over {MAX_HEADER_BYTES >> 20} MiB", "No known model has.")
            self._read_on(end)
            if end > len(self._data):
                refuse(self.path, "became shorter while it was read", "Wait until it is written, then try again.")
        self.at = end
        return start

    def _read_on(self, end: int) -> None:
        """Hold the file up to there, or as far as it goes; what is read at once grows with what was read before."""
        if end > len(self._data):
            self._data += self._file.read(max(end - len(self._data), min(len(self._data), _MOST_AT_ONCE), _WINDOW))

    def numbers(self, layout: str) -> tuple[Any, ...]:
        """The next numbers, little endian, by struct letters."""
        return struct.unpack_from("<" + layout, self._data, self.pass_over(struct.calcsize("<" + layout)))

    def u32(self) -> int:
        """The next unsigned number of 32 bits."""
        return int(self.unpack(U32)[0])

    def u64(self) -> int:
        """The next unsigned number of 64 bits."""
        return int(self.unpack(U64)[0])

    def unpack(self, layout: struct.Struct) -> tuple[Any, ...]:
        """The next numbers of that layout."""
        return layout.unpack_from(self._data, self.pass_over(layout.size))

    def string(self) -> str:
        """The next name; bytes that are no UTF-8 become U+FFFD."""
        text = self.text()
        if isinstance(text, Skipped):
            refuse(self.path, f"holds a name of {text.length:,} bytes")
        return text

    def text(self) -> str | Skipped:
        """The next string, or how long it is."""
        length = self.u64()
        start = self.pass_over(length)
        return Skipped(length) if length > KEPT_STRING_BYTES else self._data[start : self.at].decode("utf-8", "replace")

    def pass_strings(self, count: int) -> None:
        """Step over strings, short ones in runs: there may be a million of them."""
        run_at, data = re.compile(_SHORT).match, self._data
        for _ in range(count // _RUN):
            self._read_on(min(self.at + _RUN_BYTES, self.size))
            if run := run_at(data, self.at):
                self.at = run.end()
            else:
                self._pass_each(_RUN)
        self._pass_each(count % _RUN)

    def _pass_each(self, count: int) -> None:
        """Step over strings of any length, one by one."""
        at, data, length_at = self.at, self._data, U64.unpack_from
        for _ in range(count):
            try:
                at += 8 + length_at(data, at)[0]
            except (struct.error, OverflowError):
                self.at = at
                self.pass_over(8)
                at += 8 + length_at(data, at)[0]
        self.at = at
        self.pass_over(0)

    def value(self) -> Value:
        """The next typed value."""
        kind = self.u32()
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return cast("Scalar", self.numbers(self._letter(kind))[0])
        kind, count = self.u32(), self.u64()
        if kind == _ARRAY:
            refuse(self.path, "holds an array of arrays, which no GGUF reader takes")
        kept = count <= KEPT_ELEMENTS
        if kind == _STRING and kept:
            return tuple(self.string() for _ in range(count))
        if kind == _STRING:
            self.pass_strings(count)
            return Skipped(count)
        if kept:
            return self.numbers(f"{count}{self._letter(kind)}")
        self.pass_over(count * struct.calcsize("<" + self._letter(kind)))
        return Skipped(count)

    def _letter(self, kind: int) -> str:
        if kind not in _SCALARS:
            refuse(self.path, f"holds a value of the unknown type {kind}")
        return _SCALARS[kind]
