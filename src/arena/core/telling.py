"""What is said of a leaderboard in words, on the screen and on the command line alike. Who asks cleans the names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

from arena.core.bias import BiasReport, Rate
from arena.core.ratings import Board, Effect, Lead, PairStanding
from arena.core.text import Say

RATES = {
    "left": "the answer on the left",
    "longer": "the longest answer",
    "first_finished": "the first to end",
    "markdown": "the one with most Markdown",
    "noise": "a winner of twins (control)",
    "noise_left": "the left one of twins",
}
"""The rates of the bias report by their fields, each as the end of the sentence 'you chose'."""
LEAD_WORDS = {Lead.TOO_EARLY: "too early", Lead.LEANING: "leaning", Lead.AHEAD: "ahead", Lead.EVEN: "even"}
"""What fits in a column."""
_MANY = 500


def short_names(board: Board) -> dict[str, str]:
    """What to call each line where room is scarce: without the endpoint, unless two would have the same name."""
    tails = {line.key: line.model.partition("/")[2] or line.model for line in board.standings}
    times = Counter(tails.values())
    return {line.key: tails[line.key] if times[tails[line.key]] == 1 else line.model for line in board.standings}


def beats_next(board: Board) -> dict[str, PairStanding]:
    """Of each line, its pair with the next one of its group, as far as both are among the standings."""
    pairs = {(pair.a, pair.b): pair for pair in board.pairs}
    shown = {line.key for line in board.standings}
    groups = ([key for key in group if key in shown] for group in board.components)
    return {a: pairs[a, b] for group in groups for a, b in pairwise(group)}


def pair_hint(pair: PairStanding, names: Mapping[str, str], say: Say = str) -> str:
    """How many more votes would tell two apart, as a sentence."""
    if pair.lead is Lead.EVEN:
        told = say("Between {a} and {b} there is no practical difference ({sure} sure).")
    elif pair.votes_needed is None:
        told = say("It is {chance} likely that {a} is better than {b}: {lead}.")
    elif pair.votes_needed < _MANY:
        told = say(
            "It is {chance} likely that {a} is better than {b}; about {votes} more votes of this pair would settle it."
        )
    else:
        told = say("It is {chance} likely that {a} is better than {b}; hundreds of votes more would settle it.")
    return told.format(
        a=names[pair.a],
        b=names[pair.b],
        sure=f"{pair.p_even:.0%}",
        chance=f"{pair.p_a_beats_b:.0%}",
        lead=say(pair.lead.value),
        votes=pair.votes_needed,
    )


def undecided_hints(board: Board, names: Mapping[str, str], limit: int, say: Say = str) -> list[str]:
    """What would settle the order of neighbours, those first that need the fewest votes."""
    undecided = [pair for pair in beats_next(board).values() if pair.votes_needed]
    undecided.sort(key=lambda pair: pair.votes_needed or 0)
    return [pair_hint(pair, names, say) for pair in undecided[:limit]]


def bridge_hints(board: Board, names: Mapping[str, str], say: Say = str) -> list[str]:
    """Which matches would join groups that were never compared."""
    one, many = say("Play {a} against {b} to join the two groups."), say("Play {a} against {b} to join their groups.")
    told = one if len(board.bridges) == 1 else many
    return [told.format(a=names[a], b=names[b]) for a, b in board.bridges if a in names and b in names]


def odds_share(log_odds: float) -> float:
    """The share of decisive votes that goes with log odds, 0 to 1."""
    return 1 / (1 + math.exp(-log_odds))


def adjusted_hint(length: Effect, say: Say = str) -> str:
    """What the adjusted score is, and how much the length of an answer has moved its voter."""
    value, low, high = (f"{100 * odds_share(odds):.0f}" for odds in (length.value, length.low, length.high))
    told = say(
        "Adjusted: as if all answers were equally long; "
        "you take the longer of two equals {value} % of the time ({low} to {high} %)."
    )
    return told.format(value=value, low=low, high=high)


def bias_lines(report: BiasReport) -> list[tuple[str, str, str, str, str]]:
    """Each rate with what it is, its share, its interval, what blind chance would give, and its counts."""
    lines = []
    for field, told in RATES.items():
        rate: Rate = getattr(report, field)
        if rate.share is not None:
            chance = "-" if rate.chance is None else f"{rate.chance:.0%}"
            lines.append((told, f"{rate.share:.0%}", _range(rate.low, rate.high), chance, f"{rate.count} of {rate.of}"))
    for which, effect in (("left", report.side), ("longer", report.length)):
        if effect is not None:
            shares = [odds_share(odds) for odds in (effect.value, effect.low, effect.high)]
            lines.append((f"the {which} of two equals (fit)", f"{shares[0]:.0%}", _range(*shares[1:]), "50%", "all"))
    return lines


def _range(low: float, high: float) -> str:
    return f"{100 * low:.0f}-{100 * high:.0f} %"
