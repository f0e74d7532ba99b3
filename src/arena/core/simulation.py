"""The replay of the pair rule: what it would have known of one's own board, beside random pairs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SimulationPlan:
    """What to replay."""

    repeats: int = 100
    """How many truths are drawn from what the votes allow; each is voted on twice, once by each rule."""
    votes: int = 200
    """Votes of each replay, from an empty board."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How right a board was, on the average over the repeats."""

    tau: float
    """Kendall's tau of its order and the true one: 1 all pairs in order, 0 half of them."""
    top: float
    """How often its first place was the true one, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Milestone:
    """Both rules after so many votes."""

    votes: int
    random: Accuracy
    rule: Accuracy
    rule_votes_for_tau: float | None
    """Votes with which the rule is as right as random pairs are here; None: with more than were replayed."""
    rule_votes_for_top: float | None
    """The same for the first place."""


@dataclass(frozen=True, slots=True)
class Simulation:
    """What came out."""

    plan: SimulationPlan
    contestants: tuple[str, ...]
    """Keys of those who have votes."""
    votes: int
    """On the board that the truths are drawn from."""
    milestones: tuple[Milestone, ...]
