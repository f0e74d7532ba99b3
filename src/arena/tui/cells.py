"""Text in the cells of a terminal: letters of Korean, Chinese and Japanese take two of them."""

from __future__ import annotations

from collections.abc import Iterable

from rich.cells import cell_len

from arena.core.text import clean_line


def left(text: str, width: int) -> str:
    """The text at the left of `width` cells; a longer one stays as it is."""
    return text + " " * (width - cell_len(text))


def right(text: str, width: int) -> str:
    """The text at the right of `width` cells; a longer one stays as it is."""
    return " " * (width - cell_len(text)) + text


def name_in(text: str, width: int) -> str:
    """A cleaned name in at most `width` cells, cut in the middle: the end tells the variants of a model apart."""
    line = clean_line(text, 400)
    if cell_len(line) <= width:
        return line
    tail = max(0, (width - 1) // 2)
    return f"{_as_far_as(line, width - 1 - tail)}…{_as_far_as(reversed(line), tail)[::-1]}"


def _as_far_as(letters: Iterable[str], width: int) -> str:
    kept, room = "", width
    for letter in letters:
        room -= cell_len(letter)
        if room < 0:
            break
        kept += letter
    return kept
