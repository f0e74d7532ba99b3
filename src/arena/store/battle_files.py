"""Files of battles, a row at a time: JSON lines or CSV, told apart by their content.

Whatever is in such a file costs no more memory than one bounded line. A line that can't be read is a fault with its
number, and the next one is read.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, TextIO

from arena.core.errors import ArenaError
from arena.core.text import clean_line, json_line

LINE_LIMIT = 16 << 20
"""Bytes of the longest line that is read. A long conversation has a few hundred thousand."""
_CHUNK = 1 << 16
_DELIMITERS = ",;\t"
_NO_TEXT = {
    b"\xff\xfe": "is UTF-16 text",
    b"\xfe\xff": "is UTF-16 text",
    b"\x1f\x8b": "is compressed with gzip",
    b"PK\x03\x04": "is a ZIP archive, perhaps a spreadsheet",
    b"PAR1": "is a Parquet file",
    b"SQLite format 3": "is a database",
}
_NEEDED = ("model_a", "model_b", "winner")
_OWN = frozenset({"round", "verdict", "seats"})
"""The columns by which an export of arena is known."""
_FORMULA = tuple("=+-@\t\r\n＝＋－＠'")  # noqa: RUF001 - spreadsheets take the wide ones for formulas too

Row = Mapping[str, Any]


class BattleFile:
    """A file that is being read. `stream` has to be buffered: its first bytes are looked at before they are read."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        """`name` is what the file is called in sentences."""
        self.name = clean_line(name)
        self._lines = _Lines(stream)

    @property
    def done_bytes(self) -> int:
        """How much of it was read."""
        return self._lines.done_bytes

    def rows(self) -> Iterator[tuple[int, Row | str]]:
        """Every row with the number of its first line; a text in its place says why it could not be read.

        Raises ArenaError for a file that holds no such rows at all.
        """
        start = self._lines.peek().lstrip()
        for magic, what in _NO_TEXT.items():
            if start.startswith(magic):
                raise ArenaError(f"{self.name} {what}.", "Battles are read from JSON lines or CSV, in UTF-8.")
        if start.startswith(b"["):
            raise ArenaError(
                f"{self.name} is one JSON list, not a line for each battle.", "`jq -c '.[]' FILE` makes lines of it."
            )
        return self._json_rows() if not start or start.startswith(b"{") else self._csv_rows()

    def _json_rows(self) -> Iterator[tuple[int, Row | str]]:
        for line in _resumed(self._lines):
            number = self._lines.number
            if isinstance(line, str) and line.isspace():
                continue
            yield number, _object(line) if isinstance(line, str) else str(line)

    def _csv_rows(self) -> Iterator[tuple[int, Row | str]]:
        with _long_fields():
            reader, header = self._headed()
            own, width = set(header) >= _OWN, len(header)
            number = self._lines.number + 1
            for cells in _resumed(reader):
                if not isinstance(cells, list):
                    yield number, str(cells)
                elif len(cells) == width:
                    yield number, dict(zip(header, map(_unguarded, cells) if own else cells, strict=True))
                elif cells:
                    yield number, f"it has {len(cells)} cells, the header has {width}"
                number = self._lines.number + 1

    def _headed(self) -> tuple[Iterator[list[str]], list[str]]:
        """A reader behind the header, and the columns."""
        try:
            first = next(self._lines, "")
        except _BadLineError as fault:
            raise ArenaError(f"{self.name} can't be read: line 1 {fault}.", "Is it a file of battles?") from None
        delimiter = max(_DELIMITERS, key=first.count)
        header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        for column in _NEEDED:
            if column not in header:
                raise ArenaError(
                    f"{self.name} has no column '{column}'.",
                    "Battles have the columns model_a, model_b and winner, as CSV or as JSON lines.",
                )
        twice = next((column for column in header if column and header.count(column) > 1), None)
        if twice is not None:
            raise ArenaError(f"{self.name} has the column '{clean_line(twice, 60)}' twice.", "Take one of them out.")
        return csv.reader(self._lines, delimiter=delimiter, strict=True), header


class _BadLineError(ValueError):
    """A line that is not handed out."""


class _Lines:
    """Lines of text with their ends. After a fault the next line can be asked for, as no generator allows."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.number = 0
        """Of the line that was handed out last."""
        self.done_bytes = 0

    def peek(self) -> bytes:
        """The first bytes, which stay to be read."""
        peek: Callable[[int], bytes] = self._stream.peek  # type: ignore[attr-defined]
        return peek(_CHUNK)[:_CHUNK].removeprefix(b"\xef\xbb\xbf")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._stream.readline(LINE_LIMIT)
        if not line:
            raise StopIteration
        self.number += 1
        self.done_bytes += len(line)
        if len(line) == LINE_LIMIT and not line.endswith(b"\n"):
            self._skip_line()
            raise _BadLineError(f"is longer than {LINE_LIMIT >> 20} MiB")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError:
            raise _BadLineError("is no UTF-8 text") from None
        return text.removeprefix("\ufeff") if self.number == 1 else text

    def _skip_line(self) -> None:
        while rest := self._stream.readline(LINE_LIMIT):
            self.done_bytes += len(rest)
            if rest.endswith(b"\n"):
                return


def _resumed(source: Iterable[Any]) -> Iterator[Any]:
    """What the iterator gives, and the faults of single rows in their place."""
    iterator = iter(source)
    while True:
        try:
            yield next(iterator)
        except StopIteration:
            return
        except (_BadLineError, csv.Error) as fault:
            yield fault


def _object(line: str) -> Row | str:
    try:
        found = json.loads(line)
    except RecursionError:
        return "it is nested too deeply"
    except ValueError as fault:
        return f"it is no JSON: {clean_line(str(fault), 80)}"
    return found if isinstance(found, dict) else "it is no JSON object"


@contextmanager
def _long_fields() -> Iterator[None]:
    """Cells as long as lines may be. The limit is one for the whole process."""
    before = csv.field_size_limit(LINE_LIMIT)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def write_jsonl(rows: Iterable[Row], out: TextIO) -> int:
    """One JSON object a row. Returns how many there were."""
    count = 0
    for count, row in enumerate(rows, 1):  # noqa: B007 - the last one is what is returned
        out.write(json_line(row) + "\n")
    return count


def write_csv(rows: Iterable[Row], columns: Iterable[str], out: TextIO) -> int:
    """A header and a line a row; lists and objects as JSON. Returns how many rows there were.

    `out` has to be opened with newline="". No spreadsheet runs a cell as a formula: one that could be taken for one
    has a quote in front, as has one that began with a quote itself, so that `_unguarded` gives back what was there.
    """
    writer = csv.writer(out)  # its line ends hold a CR: so texts with a CR or a LF are quoted
    header, count = list(columns), 0
    writer.writerow(header)
    for count, row in enumerate(rows, 1):  # noqa: B007
        writer.writerow([_cell(row[column]) for column in header])
    return count


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text


def _unguarded(cell: str) -> str:
    return cell.removeprefix("'")
