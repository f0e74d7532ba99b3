"""What `arena simulate` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from arena.cli.reports import table
from arena.core.simulation import Simulation
from arena.core.text import counted

_HEAD = ("votes", "tau: random", "rule", "best one right: random", "rule", "the rule gets there with", "and there with")


def as_json(found: Simulation, names: Mapping[str, str]) -> dict[str, Any]:
    """All of it, by the names of its fields."""
    return {
        **asdict(found.plan),
        "contestants": [names.get(key, key) for key in found.contestants],
        "votes_on_board": found.votes,
        "milestones": [asdict(milestone) for milestone in found.milestones],
    }


def as_text(found: Simulation) -> str:
    """For a person."""
    rows = [
        (
            str(at.votes),
            f"{at.random.tau:.2f}",
            f"{at.rule.tau:.2f}",
            f"{at.random.top:.0%}",
            f"{at.rule.top:.0%}",
            _votes(at.rule_votes_for_tau, at.votes),
            _votes(at.rule_votes_for_top, at.votes),
        )
        for at in found.milestones
    ]
    plan = found.plan
    note = f"""\
{counted(plan.repeats, "truth")} drawn from what your {counted(found.votes, "vote")} on {len(found.contestants)} \
contestants allow, seed {plan.seed}; each was voted on from an empty board.
tau: 1 is all pairs in the true order, 0 half of them. The last two columns are the votes with which the rule orders
as well, and finds the best one as often, as random pairs do with those of the first column.
A share is right within about {50 / plan.repeats**0.5:.0f} % (one standard error)."""
    return f"{table(_HEAD, rows)}\n\n{note}"


def _votes(needed: float | None, at: int) -> str:
    if needed is None:
        return "more"
    return f"{needed:.0f} ({needed / at - 1:+.0%})"
