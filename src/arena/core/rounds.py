"""A round: one prompt, two or three sealed seats, their answers."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from arena.core.models import Contestant, Sampling, distinct_names
from arena.core.prompts import Prompt
from arena.core.timing import Metrics

LABELS = "ABC"
_BASE32 = "0123456789abcdefghjkmnpqrstvwxyz"


class Pace(StrEnum):
    """How answers are shown while blind. The recorder sees true times whatever the pace."""

    EVEN = "even"
    """All panes in lockstep, at the pace of the slowest unfinished stream."""
    LIVE = "live"
    """As they arrive; the round is stored as speed_visible."""
    WHOLE = "whole"
    """All at once when every seat is done."""


class Schedule(StrEnum):
    """Who runs when."""

    AUTO = "auto"
    TURN = "turn"
    TOGETHER = "together"


class RoundState(StrEnum):
    """The life of a round."""

    PLANNED = "planned"
    GENERATING = "generating"
    READY = "ready"
    CONTINUED = "continued"
    """A further turn was asked before the vote: that one is voted on, and stands for the whole conversation."""
    VOTED = "voted"
    UNBLINDED = "unblinded"
    VOID = "void"


class Outcome(StrEnum):
    """How an answer ended."""

    ANSWERED = "answered"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Seat:
    """A place in a round. The label is all that is known of it before the vote."""

    index: int
    """0, 1, 2 from left to right."""
    contestant: Contestant
    run_order: int
    """When it runs, 0 first; drawn independently of the seat."""

    @property
    def label(self) -> str:
        """A, B or C."""
        return LABELS[self.index]


@dataclass(frozen=True, slots=True)
class Round:
    """One prompt put to two or three seats."""

    id: str
    """Time-ordered, lower-case letters and digits."""
    prompt: Prompt
    seats: tuple[Seat, ...]
    sampling: Sampling
    schedule: Schedule = Schedule.TURN
    pace: Pace = Pace.EVEN
    blind: bool = True
    propensity: float | None = None
    """Probability with which the rule chose this set; None: the user picked it."""
    created_at: str = ""
    """UTC, ISO 8601."""
    continues: str = ""
    """The id of the round of which this is a further turn; '' for a first turn."""

    @property
    def running_order(self) -> tuple[Seat, ...]:
        """The seats in the order in which they run."""
        return tuple(sorted(self.seats, key=lambda seat: seat.run_order))

    @property
    def names(self) -> tuple[str, ...]:
        """What to call the contestants after the vote, in the order of the seats."""
        return seat_names([seat.contestant for seat in self.seats])

    @property
    def control(self) -> bool:
        """Whether one contestant sits on every seat: such a round measures the voter, not the models."""
        return len({seat.contestant.fingerprint for seat in self.seats}) == 1

    def sampling_at(self, seat: Seat) -> Sampling:
        """How the contestant on that seat is sampled: by the round's seed, but two of a kind must not say the same."""
        before = [other.contestant.fingerprint for other in self.seats[: seat.index]]
        sampling = seat.contestant.sampling(self.sampling)
        return replace(sampling, seed=sampling.seed + before.count(seat.contestant.fingerprint))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a seat said, raw, with its metrics."""

    seat: int
    text: str
    """As the model wrote it, lone surrogates replaced; clean it before it is shown."""
    thought: str = ""
    metrics: Metrics = field(default_factory=Metrics)
    outcome: Outcome = Outcome.ANSWERED
    error: str = ""
    """Sentence and hint of a failure; may name the model."""

    @property
    def there(self) -> bool:
        """Whether it can be judged. What broke off or was called off did not lose an argument."""
        return self.outcome not in (Outcome.FAILED, Outcome.CANCELLED)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An earlier turn of a conversation: what was asked, and what every seat said."""

    question: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class RoundView:
    """All that a screen may know of a round before the vote. It has no field that could name a model."""

    id: str
    prompt: Prompt
    labels: tuple[str, ...]
    pace: Pace
    continues: str = ""
    """The id of the round of which this is a further turn; '' for a first turn."""

    @classmethod
    def of(cls, sealed: Round) -> RoundView:
        """The view of a round, without its contestants."""
        labels = tuple(seat.label for seat in sealed.seats)
        return cls(sealed.id, sealed.prompt, labels, sealed.pace, sealed.continues)


@dataclass(frozen=True, slots=True)
class SealedRound:
    """A stored round before its vote: what may be read of it."""

    view: RoundView
    state: RoundState
    answers: tuple[Answer, ...]
    """Text and outcome only, in seat order; names in the text are masked, the rest of it is raw."""
    earlier: tuple[Exchange, ...] = ()
    """The turns before this one, the first one first; masked in the same way."""


@dataclass(frozen=True, slots=True)
class Played:
    """How a round ended."""

    state: RoundState
    answers: tuple[Answer, ...]
    """With all figures: not for a screen before the vote."""


def seat_names(contestants: Sequence[Contestant]) -> tuple[str, ...]:
    """What to call the contestants of one round, in their order. One on two machines is told apart by its address."""
    told, keys = distinct_names(contestants), [contestant.fingerprint for contestant in contestants]
    return tuple(
        str(contestant.ref) if keys.count(key) > 1 else told[key]
        for key, contestant in zip(keys, contestants, strict=True)
    )


def new_round_id(now_ms: int | None = None, rng: random.Random | None = None) -> str:
    """14 characters: 48 bits of milliseconds since 1970, 20 random bits, in Crockford's base 32."""
    moment = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    number = (moment << 20) | (rng or random.SystemRandom()).getrandbits(20)
    return "".join(_BASE32[(number >> shift) & 31] for shift in range(65, -1, -5))
