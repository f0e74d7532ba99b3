"""Text from strangers: made safe for a terminal before anything shows it.

Model output, model names, server errors, GPU names, prompt packs: all of it may hold escape sequences, bidirectional
overrides, invisible characters. The raw text is stored; only what these functions return is shown. The mapping works on
single characters, so text cut anywhere into chunks is cleaned the same.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from typing import TypeAlias

Say: TypeAlias = Callable[[str], str]
"""Turns a sentence, or the pattern of one, into the language of who reads it; `str` leaves it in English."""

_DROPPED = (
    *(0x0D, 0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x200B, 0x2060, 0x3164, 0xFEFF, 0xFFA0),
    *range(0x180B, 0x1810),
    *range(0x2061, 0x2066),
    *range(0x206A, 0x2070),
    *range(0xFFF9, 0xFFFC),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE0200),
)
_MARKED = (*range(0x80, 0xA0), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))


def _table() -> dict[int, str | None]:
    table: dict[int, str | None] = {code: chr(0x2400 + code) for code in range(0x20)}
    table |= dict.fromkeys(_MARKED, "\ufffd")
    table |= dict.fromkeys(_DROPPED)
    table |= dict.fromkeys((0x0B, 0x0C, 0x85, 0x2028, 0x2029), "\n")
    table |= {0x09: "\t", 0x0A: "\n", 0x1C: " ", 0x1D: " ", 0x1E: " ", 0x7F: "\u2421"}
    return table


_TABLE = _table()
_MARKS = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u200d\ufe00-\ufe0f]"
_SURROGATES = re.compile("[\ud800-\udfff]")
_TOO_MANY_MARKS = re.compile(f"({_MARKS}{{4}}){_MARKS}+")
_NOT_SHOWN = re.compile(f"[{''.join(map(chr, sorted(code for code in _TABLE if code > 0x7E)))}]")
_MOST_MARKS = 8
"""Of any script: Burmese puts six on a letter."""
_PERHAPS_MARKS = re.compile(rf"[^\w\s\x20-\x7e]{{{_MOST_MARKS + 1},}}")


def clean(text: str) -> str:
    """Text that can be shown: controls as pictures or U+FFFD, every line break as LF, invisible characters gone."""
    plain = text.replace("\n", "").replace("\t", "")
    if plain.isascii() and (not plain or plain.isprintable()):
        return text
    return _PERHAPS_MARKS.sub(_without_a_flood, _TOO_MANY_MARKS.sub(r"\1", text.translate(_TABLE)))


def _without_a_flood(found: re.Match[str]) -> str:
    """Characters that are no letters, and of those that have no width of their own as many as a letter can carry."""
    kept, marks = [], 0
    for character in found[0]:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me", "Cf") else 0
        if marks <= _MOST_MARKS:
            kept.append(character)
    return "".join(kept)


def json_line(value: object) -> str:
    """JSON in one line that can be shown: Korean stays readable, what `clean` would change is escaped."""
    return _NOT_SHOWN.sub(lambda found: json.dumps(found[0])[1:-1], json.dumps(value, ensure_ascii=False))


def clean_line(text: str, limit: int = 200) -> str:
    """The same for one line: line breaks and tabs become blanks, at most `limit` characters."""
    line = " ".join(clean(text[: 4 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean_name(text: str, limit: int) -> str:
    """One line of at most `limit` characters, cut in the middle: the end tells the variants of a model apart."""
    line = clean_line(text, 400)
    if len(line) <= limit:
        return line
    tail = max(0, (limit - 1) // 2)
    return f"{line[: limit - 1 - tail]}…{line[len(line) - tail :]}"


def counted(count: int, noun: str) -> str:
    """`1 vote`, `2 votes`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def span(seconds: float, say: Say = str) -> str:
    """About how long: `40 s`, `14 min`, `3 h 20 min`."""
    if seconds < 90:
        return say("{seconds:.0f} s").format(seconds=seconds)
    minutes = round(seconds / 60)
    told = say("{minutes} min") if minutes < 90 else say("{hours} h {rest:02} min")
    return told.format(minutes=minutes, hours=minutes // 60, rest=minutes % 60)


def storable(text: str) -> str:
    """Text that can be encoded: lone surrogates become U+FFFD. Everything else is kept as it came."""
    return _SURROGATES.sub("\ufffd", text)
