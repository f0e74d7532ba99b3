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
    """A round of two or three contestants. A seed of 0 in `sampling` means: draw one for this round."""
    rng = rng or random.SystemRandom()
    if not 2 <= len(contestants) <= len(LABELS):
        raise UsageError(f"A round has two or three models, not {len(contestants)}.", "Name each with -m.")
    if not prompt.text.strip():
        raise UsageError("The prompt is empty.", "Type what the models shall answer.")
    seats = rng.sample(list(contestants), len(contestants))
    order = rng.sample(range(len(seats)), len(seats))
    if not sampling.seed:
        sampling = replace(sampling, seed=rng.randrange(1, _SEED_LIMIT))
    return Round(
        id=new_round_id(),
        prompt=prompt,
        seats=tuple(Seat(index, who, order[index]) for index, who in enumerate(seats)),
        sampling=sampling,
        schedule=schedule,
        pace=pace,
        blind=blind,
        propensity=propensity,
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )
