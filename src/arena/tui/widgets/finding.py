"""Where a few words stand in the lines of a pane, also across the end of a line."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

_MATCH = Style(reverse=True)
_CURRENT = Style(reverse=True, bold=True, underline=True)


class Found:
    """The matches in lines that do not change any more."""

    def __init__(self, words: str, lines: Sequence[str]) -> None:
        """`words` are looked for as they are, whatever the case and however much blank lies between them."""
        self.lines: list[int] = []
        """The line in which each match begins."""
        self._parts: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        """By line: first and last character, and which match it belongs to."""
        pattern = r"\s+".join(re.escape(word) for word in words.split())
        if not pattern:
            return
        starts = [0, *accumulate(len(line) + 1 for line in lines)]
        for number, match in enumerate(re.finditer(pattern, "\n".join(lines), re.IGNORECASE)):
            at = bisect_right(starts, match.start()) - 1
            self.lines.append(at)
            while at < len(lines) and starts[at] < match.end():
                start, end = max(0, match.start() - starts[at]), min(len(lines[at]), match.end() - starts[at])
                self._parts[at].append((start, end, number))
                at += 1

    def mark(self, y: int, strip: Strip, current: int) -> Strip:
        """Line y with its matches reversed, the one that is `current` underlined too."""
        text, pieces, begun = strip.text, [], 0
        for start, end, number in self._parts.get(y, ()):
            left, right = cell_len(text[:start]), cell_len(text[:end])
            look = _CURRENT if number == current else _MATCH
            pieces += [strip.crop(begun, left), Strip(Segment.apply_style(strip.crop(left, right), post_style=look))]
            begun = right
        return Strip.join([*pieces, strip.crop(begun)]) if pieces else strip
