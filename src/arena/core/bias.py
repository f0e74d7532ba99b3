"""What a voter could see of a round beside what the answers say, and how far it moves the votes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from arena.core.ratings import Effect
from arena.core.votes import Verdict

_FENCE = re.compile(r"^[ \t]{0,3}(?:```|~~~)", re.MULTILINE)
_LINE = re.compile(r"\#{1,6}[ \t]+\S|(?:[-*+]|\d{1,3}[.)])[ \t]+\S|\|.*\|$")
"""A heading, an item of a list, or a row of a table, without the blanks around it."""
_BEGINS = frozenset("#-*+|0123456789")
_INLINE = {
    "**": re.compile(r"\*\*(?=[^\s*])[^*\n]+\*\*"),
    "__": re.compile(r"(?<!\w)__(?=\S)[^_\n]+__(?!\w)"),
    "`": re.compile(r"`[^`\n]+`"),
}
"""Bold words and code in a line, by what has to be in the text for them."""


def markdown_marks(text: str) -> int:
    """How much Markdown an answer holds: headings, items, rows of tables, blocks of code, bold words, code in a line.

    A block of code is one mark, whatever is in it.
    """
    pieces = _FENCE.split(text) if "```" in text or "~~~" in text else [text]
    return len(pieces) // 2 + sum(map(_marks_outside, pieces[::2]))


def _marks_outside(text: str) -> int:
    """The marks in text that is no code."""
    lines = (line.strip() for line in text.split("\n"))
    found = sum(1 for line in lines if line[:1] in _BEGINS and _LINE.match(line))
    return found + sum(len(pattern.findall(text)) for sign, pattern in _INLINE.items() if sign in text)


@dataclass(frozen=True, slots=True)
class Sight:
    """A judged round as the voter saw it; every tuple is in the order of the seats."""

    keys: tuple[str, ...]
    """Who sat there, which the voter did not see."""
    verdict: Verdict
    """A ranking or 'all bad', never 'skip'."""
    chars: tuple[int, ...]
    """Characters of the answers."""
    marks: tuple[int, ...]
    """Their `markdown_marks`."""
    ended: tuple[float, ...] = ()
    """When each pane was seen to end, in any unit; () where all came at once, or nobody knows."""

    @property
    def twins(self) -> tuple[int, ...]:
        """In a control, the seats of the contestant that met itself."""
        return tuple(seat for seat, key in enumerate(self.keys) if self.keys.count(key) > 1)


@dataclass(frozen=True, slots=True)
class Rate:
    """How often something was so."""

    count: int
    of: int
    """How often it could have been so."""
    low: float
    high: float
    """The 95 % interval of the share, 0 to 1."""
    chance: float | None = None
    """The share that somebody who chooses blindly would have: 1/2, less where three sat; None: there is no such."""

    @property
    def share(self) -> float | None:
        """0 to 1; None where it could never have been so."""
        return self.count / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class BiasReport:
    """What besides the content may have moved your votes: over blind ones with one winner that are rated."""

    votes: int
    """How many there are."""
    left: Rate
    """The leftmost answer was chosen."""
    longer: Rate
    """The one longest answer was chosen."""
    first_finished: Rate
    """The one answer that was seen to end first was chosen."""
    markdown: Rate
    """The one answer with the most Markdown was chosen."""
    noise: Rate
    """Of control rounds, in which a contestant met itself: those that were not called a tie."""
    noise_left: Rate
    """Of these, those in which the leftmost was called the best."""
    side: Effect | None
    """Log odds of the leftmost answer over the rightmost one of equals, all rated votes together; None: no votes."""
    length: Effect | None
    """Log odds of the longer of two equal answers, at the usual difference in length; None: no votes."""
