"""Votes, and the stages that ratings are fitted from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from arena.core.errors import UsageError
from arena.core.rounds import LABELS


class Kind(StrEnum):
    """What a vote says."""

    RANKING = "ranking"
    ALL_BAD = "bad"
    SKIP = "skip"


class Strength(IntEnum):
    """How much better the best answer was, where the voter says so. It is kept, and changes no rating."""

    SLIGHTLY = 1
    CLEARLY = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ranking with ties over the seats, or 'all bad', or 'skip'."""

    kind: Kind
    ranking: tuple[tuple[int, ...], ...] = ()
    """Groups of equal seats, best first. Seats not named stand together below the named ones, unordered."""

    def __str__(self) -> str:
        """The form that `parse` reads: `b>a=c`, `bad`, `skip`."""
        if self.kind is not Kind.RANKING:
            return self.kind.value
        return ">".join("=".join(LABELS[seat].lower() for seat in group) for group in self.ranking)

    @classmethod
    def parse(cls, text: str, seats: int | Sequence[int]) -> Verdict:
        """Read `a`, `tie`, `bad`, `skip` or a ranking such as `b>a=c`.

        `seats`: how many there are, or which of them answered. Raises UsageError with a hint when the text is none of
        these.
        """
        seats = range(seats) if isinstance(seats, int) else seats
        word = text.strip().lower().replace(" ", "")
        if word in (Kind.ALL_BAD, Kind.SKIP):
            return cls(Kind(word))
        if word == "tie":
            return cls(Kind.RANKING, (tuple(seats),))
        groups = [group.split("=") for group in word.split(">")]
        named = [letter for group in groups for letter in group]
        known = {LABELS[seat].lower(): seat for seat in seats}
        if not set(named) <= known.keys() or len(set(named)) != len(named):
            raise UsageError(
                f"'{text}' is no verdict for a round of {len(seats)} answers.",
                f"Say {', '.join(known)}, tie, bad, skip, or a ranking such as 'b>a', in quotes.",
            )
        return cls(Kind.RANKING, tuple(tuple(sorted(known[letter] for letter in group)) for group in groups))

    def among(self, seats: Sequence[int]) -> Verdict:
        """The same over these seats alone, counted anew from 0: for a round in which others did not answer."""
        at = {seat: index for index, seat in enumerate(seats)}
        groups = (tuple(at[seat] for seat in group if seat in at) for group in self.ranking)
        return Verdict(self.kind, tuple(group for group in groups if group))

    @property
    def winners(self) -> tuple[int, ...]:
        """The seats at the top; empty for 'all bad' and 'skip'."""
        return self.ranking[0] if self.ranking else ()


@dataclass(frozen=True, slots=True)
class Vote:
    """A verdict that was cast."""

    round_id: str
    verdict: Verdict
    blind: bool = True
    decided_ms: int | None = None
    """From the last answer being complete on the screen to the vote."""
    note: str = ""
    cast_at: str = ""
    """UTC, ISO 8601."""
    voter: str = "me"
    strength: Strength | None = None
    """How much better the winner was; None: not said."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The set shown and the subset chosen from it: what a rating is fitted from.

    One chosen is a winner, several are a tie for the first place, all of them 'all equal' or 'all bad'.
    """

    shown: tuple[str, ...]
    """Contestant keys, in the order of the seats."""
    chosen: tuple[str, ...]
    round_id: str = ""
    both_bad: bool = False
    times: int = 1
    """How many votes said exactly this: n equal stages may be written as one."""
    chars: tuple[int, ...] = ()
    """Characters of the answers of those shown; () where nobody knows."""


def stages(
    verdict: Verdict, keys: tuple[str, ...], round_id: str = "", chars: tuple[int, ...] = ()
) -> tuple[Stage, ...]:
    """The stages of a verdict over the contestants `keys`, whose answers have `chars` characters (in seat order).

    A contestant that met itself, and 'skip', say nothing. 'All bad' counts as a tie with a mark.
    'Best of three' is one stage; a full ranking of three is two.
    """
    if verdict.kind is Kind.SKIP or len(set(keys)) != len(keys):
        return ()
    if verdict.kind is Kind.ALL_BAD:
        return (Stage(keys, keys, round_id, both_bad=True, chars=chars),)
    left = list(range(len(keys)))
    found: list[Stage] = []
    for group in verdict.ranking:
        if len(left) < 2:
            break
        lengths = tuple(chars[i] for i in left) if chars else ()
        found.append(Stage(tuple(keys[i] for i in left), tuple(keys[i] for i in group), round_id, chars=lengths))
        left = [i for i in left if i not in group]
    return tuple(found)
