"""Deals a round: shuffles who sits where and who runs when, independently, and seals it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from arena.core.errors import UsageError
from arena.core.models import Contestant, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import LABELS, Pace, Round, Schedule, Seat, new_round_id

_SEED_LIMIT = 2**31


def deal(
    prompt: Prompt,
    contestants: Sequence[Contestant],
    sampling: Sampling,
    *,
    schedule: Schedule = Schedule.TURN,
    pace: Pace = Pace.EVEN,
    blind: bool = True,
    propensity: float | None = None,
    rng: random.Random | None = None,
) -> Round:
    """A round of two or three contestants. A seed of 0 in `sampling` means: draw one for this round.

    Raises UsageError.
    """
    rng = rng or random.SystemRandom()
    if not 2 <= len(contestants) <= len(LABELS):
        raise UsageError(f"A round has two or three models, not {len(contestants)}.", "Name each with -m.")
    if not prompt.text.strip():
        raise UsageError("The prompt is empty.", "Type what the models shall answer.")
    seats = rng.sample(list(contestants), len(contestants))
    if not sampling.seed:
        sampling = replace(sampling, seed=rng.randrange(1, _SEED_LIMIT))
    return Round(
        id=new_round_id(),
        prompt=prompt,
        seats=_seated(seats, rng),
        sampling=sampling,
        schedule=schedule,
        pace=pace,
        blind=blind,
        propensity=propensity,
        created_at=_now(),
    )


def deal_further(before: Round, text: str, rng: random.Random | None = None) -> Round:
    """A further turn of a round: the same contestants on the same seats, in a new running order.

    What was asked first stands for the conversation: its tags, language and system message hold on. Raises UsageError.
    """
    rng = rng or random.SystemRandom()
    if not text.strip():
        raise UsageError("The prompt is empty.", "Type what the models shall answer.")
    first = before.prompt
    return replace(
        before,
        id=new_round_id(),
        prompt=Prompt(text, system=first.system, tags=first.tags, language=first.language),
        seats=_seated([seat.contestant for seat in before.seats], rng),
        created_at=_now(),
        continues=before.id,
    )


def _seated(contestants: Sequence[Contestant], rng: random.Random) -> tuple[Seat, ...]:
    """These contestants from left to right, in a running order of its own."""
    order = rng.sample(range(len(contestants)), len(contestants))
    return tuple(Seat(index, who, order[index]) for index, who in enumerate(contestants))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
