"""What a leaderboard says: ratings, standings, pairs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How far a standing can be trusted."""

    NO_VOTES = "no votes"
    TOO_EARLY = "too early"
    USABLE = "usable"
    ESTABLISHED = "established"


@dataclass(frozen=True, slots=True)
class Tally:
    """Medians over the clean runs of a contestant, for the speed columns. None: no clean run."""

    tok_s: float | None = None
    chars_s: float | None = None
    ttft_ms: float | None = None
    vram_bytes: int | None = None


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


@dataclass(frozen=True, slots=True)
class Board:
    """The leaderboard, recomputed from raw votes."""

    votes: int
    rounds: int
    components: tuple[tuple[str, ...], ...]
    """Groups of contestants that were ever compared, as keys; no rank holds across groups."""
    standings: tuple[Standing, ...]
    pairs: tuple[PairStanding, ...]
