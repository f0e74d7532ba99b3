"""Battles as files hold them: pairs with a winner, as public arenas publish them, and whole rounds of arena's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from arena.core.votes import Kind, Verdict

SEVERAL = "all"
"""What stands for every voter on the command line; so nobody can be called that."""
ME = "me"


class Winner(StrEnum):
    """How a battle of two ended, in the words that arena-rank reads."""

    MODEL_A = "model_a"
    MODEL_B = "model_b"
    TIE = "tie"
    BOTH_BAD = "both_bad"


_SPELLINGS = {
    Winner.MODEL_A: ("model_a", "a", "left", "leftvote"),
    Winner.MODEL_B: ("model_b", "b", "right", "rightvote"),
    Winner.TIE: ("tie", "draw", "tievote"),
    Winner.BOTH_BAD: ("both_bad", "bothbad", "both bad", "tie (bothbad)", "tie (both bad)", "bothbad_vote"),
}
WINNERS = {spelling: winner for winner, spellings in _SPELLINGS.items() for spelling in spellings}
"""Every spelling that the public arenas have used, in lower case."""


def duels(verdict: Verdict, seats: int) -> Iterator[tuple[int, int, Winner]]:
    """What a verdict over so many seats says of each pair: (seat, later seat, who won).

    Seats that it leaves unordered make no pair, and 'skip' makes none at all. The pairs of a round of three are one
    vote, and not independent of each other.
    """
    places = {seat: place for place, group in enumerate(verdict.ranking) for seat in group}
    last = len(verdict.ranking)
    for first in range(seats):
        for second in range(first + 1, seats):
            a, b = places.get(first, last), places.get(second, last)
            if verdict.kind is Kind.ALL_BAD:
                yield first, second, Winner.BOTH_BAD
            elif a != b:
                yield first, second, Winner.MODEL_A if a < b else Winner.MODEL_B
            elif a < last:
                yield first, second, Winner.TIE


class Battle(NamedTuple):
    """A row of a public arena: two names and who won. A tuple, because they come by the million."""

    model_a: str
    model_b: str
    winner: Winner
    blind: bool
    """Whether the names were hidden at the vote."""
    tags: tuple[str, ...]
    language: str
    """`en`, `ko`, ..., or a word of the file's own."""
    cast_at: str
    """UTC, ISO 8601, or as the file says it; '' where it does not."""
    identity: tuple[str, ...]
    """What else tells it from other battles, such as `question_id=81`; empty: it can't be told from an equal row."""


@dataclass(frozen=True, slots=True)
class ForeignSeat:
    """Who sat in a round of another database."""

    fingerprint: str
    name: str
    quantization: str = ""
    chars: int = 0
    """Characters of its answer."""


@dataclass(frozen=True, slots=True)
class ForeignRound:
    """A judged round of another database, as its export tells it."""

    round_id: str
    judge: str
    """What its voter is called there."""
    verdict: Verdict
    seats: tuple[ForeignSeat, ...]
    """From left to right."""
    blind: bool = True
    flags: tuple[str, ...] = ()
    prompt: str = ""
    """The prompt's sha256; of a further turn the id of the round before it."""
    tags: tuple[str, ...] = ()
    language: str = ""
    cast_at: str = ""
    decided_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that could not be read."""

    line: int
    """Where it begins in the file, 1 first."""
    what: str
    """What is wrong with it: a sentence without its full stop. May hold text of the file."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file."""

    id: int | None
    """Under which it can be left out again; None: nothing was added."""
    voter: str
    battles: int = 0
    """Added pairs with a winner."""
    rounds: int = 0
    """Added rounds of arena's own."""
    known: int = 0
    """Battles and rounds that were here already."""
    own: int = 0
    """Rounds that were played here."""
    bad_count: int = 0
    bad: tuple[BadRow, ...] = ()
    """The first of the bad rows."""


@dataclass(frozen=True, slots=True)
class PastImport:
    """A file that was imported, and counts."""

    id: int
    voter: str
    source: str
    """The name of the file."""
    imported_at: str
    """UTC, ISO 8601."""
    battles: int
    rounds: int
