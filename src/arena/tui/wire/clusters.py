"""Text in cells: what a reader sees as one character, how wide Textual takes it, and how wide it may come out.

Terminals disagree on emoji, joined sequences, marks and rare scripts. The writer needs to know which characters they
all agree on; after every other one it says where it goes on.
"""

from __future__ import annotations

import re
from functools import lru_cache

from rich.cells import get_character_cell_size, split_graphemes

from arena.tui.last_mile import harmless

AGREED = (
    "\u0020-\u007e\u00a0-\u00ac\u00ae-\u024f\u0391-\u03c9\u0400-\u0482\u048a-\u052f"  # letters of Europe
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2190-\u2193\u2500-\u259f\u25cf\u25cb\u2800-\u28ff"  # signs and lines
    "\u3000-\u3029\u3041-\u3096\u309b-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff60"  # East Asia
)
"""Characters on whose width all terminals agree, for a class of a regular expression."""
_ALL_AGREED = re.compile(f"[{AGREED}]*")
_TOO_NEW = re.compile("[\ufe0f\u20e3\U0001f3fb-\U0001f3ff]")
"""Selectors, keycaps and skin tones: tmux, screen and mosh count them otherwise than the terminal around them."""
_LONGEST = 16
"""Code points of one cluster; a family with skin tones has eleven."""


@lru_cache(2048)
def clusters(text: str, *, safe: bool = False) -> tuple[tuple[str, int, int], ...]:
    """The clusters of a text: (text, width, reach) each, in cells.

    Width is what Rich and Textual counted; reach is the most that a terminal may draw, or 0 where all agree. A cluster
    of width 0 belongs to what stands before the text. `safe`: leave out what multiplexers count in their own way.
    """
    if _ALL_AGREED.fullmatch(text):
        return tuple((character, get_character_cell_size(character), 0) for character in text)
    found: list[tuple[str, int, int]] = []
    spans, _ = split_graphemes(text)
    for start, end, width in spans:
        part = text[start:end]
        if found and _is_half_a_flag(part) and _is_half_a_flag(found[-1][0]):
            first, its_width, _ = found.pop()
            found.append(_cluster(first + part, its_width + width, safe=safe))
        else:
            found.append(_cluster(part, width, safe=safe))
    return tuple(found)


def _cluster(part: str, width: int, *, safe: bool) -> tuple[str, int, int]:
    if len(part) == 1 and _ALL_AGREED.fullmatch(part):
        return part, width, 0
    part = harmless(part)[:_LONGEST]
    if safe:
        part = _TOO_NEW.sub("", part)
    apart = sum(2 if _is_half_a_flag(character) else get_character_cell_size(character) for character in part)
    return part or " " * width, width, max(2 if width else 0, width, apart)


def _is_half_a_flag(part: str) -> bool:
    """Two regional indicators are one flag."""
    return len(part) == 1 and "\U0001f1e6" <= part <= "\U0001f1ff"
