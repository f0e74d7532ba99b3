"""What a leaderboard says: ratings, standings, pairs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from arena.core.machine import Fits


class Status(StrEnum):
    """How far a standing can be trusted."""

    NO_VOTES = "no votes"
    TOO_EARLY = "too early"
    USABLE = "usable"
    ESTABLISHED = "established"


class Lead(StrEnum):
    """What may be said of the order of two contestants."""

    TOO_EARLY = "too early to say"
    """Less than 80 % sure."""
    LEANING = "leaning"
    AHEAD = "ahead"
    """95 % sure, and after 10 votes on the two of them."""
    EVEN = "no practical difference"
    """80 % sure that less than 50 points are between them: more votes would settle nothing of use."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a contestant costs: medians over its clean runs. None: no clean run."""

    tok_s: float | None = None
    chars_s: float | None = None
    ttft_ms: float | None = None
    vram_bytes: int | None = None
    """Memory that it takes of the device it runs on, RAM where that is no GPU: as measured, else as predicted."""


@dataclass(frozen=True, slots=True)
class Effect:
    """What something besides the strength of an answer adds to the log odds of its being chosen."""

    value: float
    low: float
    high: float
    """The 95 % posterior interval."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One line of the leaderboard."""

    key: str
    """The contestant's fingerprint."""
    model: str
    """What the line is called: `ENDPOINT/NAME`."""
    score: float
    """1000 + 173.7 theta, Davidson scale, centred on the mean of all contestants."""
    low: float
    high: float
    """The 95 % posterior interval of the score."""
    rank: int
    rank_low: int
    rank_high: int
    """The 80 % posterior range of the rank, 1 is best."""
    p_best: float
    status: Status
    votes: int
    """Voted rounds that it took part in."""
    wins: int
    ties: int
    losses: int
    both_bad: float
    """Share of its votes in which every answer was bad, 0 to 1."""
    tally: Tally = Tally()
    adjusted: float | None = None
    """The score when answers of equal length are compared; None: too few votes, see `Board.length`."""
    here: bool | None = None
    """Whether its model can be reached now; None: nobody looked."""
    fit: Fits | None = None
    """Whether it fits now; None: nobody looked, or it is not here."""


@dataclass(frozen=True, slots=True)
class PairStanding:
    """What is known of two contestants against each other."""

    a: str
    b: str
    votes: int
    """Rounds in which both took part."""
    p_a_beats_b: float
    """Posterior probability that a is the stronger one."""
    votes_needed: int | None
    """About how many more votes of this pair would settle it (right within a factor of 3); None: settled."""
    p_even: float = 0.0
    """Posterior probability that less than 50 points are between them."""
    lead: Lead = Lead.TOO_EARLY


@dataclass(frozen=True, slots=True)
class Board:
    """The leaderboard, recomputed from raw votes."""

    votes: int
    rounds: int
    components: tuple[tuple[str, ...], ...]
    """Groups of contestants that were ever compared, as keys; no rank holds across groups."""
    standings: tuple[Standing, ...]
    pairs: tuple[PairStanding, ...]
    bridges: tuple[tuple[str, str], ...] = ()
    """For each group but the first, the two whose match would join it to the first one and tell most, as keys."""
    side: Effect | None = None
    """Log odds of the leftmost answer over the rightmost one of equals; None without votes."""
    length: Effect | None = None
    """Log odds of the longer answer of equals, at the usual difference; None: under 100 votes with known lengths."""
    unbeaten_for_speed: tuple[str, ...] = ()
    """Keys of those of whom none that is here is both better and faster (characters per second)."""
    unbeaten_for_memory: tuple[str, ...] = ()
    """The same for better and smaller."""
