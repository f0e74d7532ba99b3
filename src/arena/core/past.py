"""Past rounds: how they are looked for, how one is judged again, and what goes when one is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from arena.core.rounds import LABELS, Answer, SealedRound
from arena.core.votes import Verdict


class Ending(StrEnum):
    """What became of a round."""

    WAITING = "waiting"
    DECIDED = "decided"
    """One answer was the best."""
    TIE = "tie"
    """Several were."""
    BAD = "bad"
    SKIPPED = "skipped"
    PEEKED = "peeked"
    VOID = "void"
    NOTED = "noted"
    """Its vote has a note, whatever it says."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which past rounds are wanted; what is empty narrows nothing."""

    search: str = ""
    """Words: all of them, as beginnings of words, in the prompt or in one answer; or a part of the note."""
    tag: str = ""
    model: str = ""
    """A contestant by its fingerprint or its `ENDPOINT/NAME`; only rounds whose names are out are found by it."""
    ending: Ending | None = None

    @property
    def narrowed(self) -> bool:
        """Whether anything beside the search narrows."""
        return bool(self.tag or self.model or self.ending)


@dataclass(frozen=True, slots=True)
class DealtAgain:
    """A judged round whose answers are laid out anew: other labels, names masked."""

    sealed: SealedRound
    """As it is shown."""
    order: tuple[int, ...]
    """The seat of the round that stands at each place."""

    @classmethod
    def of(cls, sealed: SealedRound, order: Sequence[int]) -> DealtAgain:
        """The answers of a round in this order of its seats."""

        def laid_out(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
            by_seat = {answer.seat: answer for answer in answers}
            return tuple(replace(by_seat[seat], seat=at) for at, seat in enumerate(order) if seat in by_seat)

        view = replace(sealed.view, labels=tuple(LABELS[: len(order)]))
        turns = tuple(replace(turn, answers=laid_out(turn.answers)) for turn in sealed.earlier)
        return cls(replace(sealed, view=view, answers=laid_out(sealed.answers), earlier=turns), tuple(order))

    def verdict(self, shown: Verdict) -> Verdict:
        """A verdict over the places as one over the seats of the round."""
        groups = tuple(tuple(sorted(self.order[place] for place in group)) for group in shown.ranking)
        return Verdict(shown.kind, groups)


@dataclass(frozen=True, slots=True)
class Going:
    """What goes when a round is deleted: of a conversation all of its turns."""

    rounds: tuple[str, ...]
    """Their ids."""
    answers: int
    votes: int
    """Everything that was said of them, second votes included, but for what was taken back."""
    rated: bool
    """Whether its vote counts on the leaderboard, which it leaves."""
