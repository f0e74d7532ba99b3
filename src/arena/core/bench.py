"""Speed alone: what is measured in which order, one run, and what the runs of a cell come to."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from arena.core.machine import Machine
from arena.core.timing import Metrics

FLAGS: dict[str, str] = {
    "cold": "loaded within the request",
    "contended": "something else used the CPU or the GPU right before",
    "cached": "more than a tenth of the prompt came from a cache",
    "early": "ended before --tokens; counted with what there is",
    "throttled": "a GPU held its clocks down before or after, or the CPU meanwhile",
    "estimate": "tokens are estimates: the backend counts none",
    "off_length": "the prompt came out more than a tenth longer or shorter",
    "over_ttft": "prefill over the time to first token: the backend gives no prompt time",
    "failed": "gave no answer",
}
"""What a run may be marked with."""
LEFT_OUT = frozenset({"cold", "contended", "cached", "failed"})
"""Flags of runs that stay out of the figures of their cell as long as there are others."""

BUSY_PERCENT = 20.0
"""From here on the CPU, or a GPU, counts as busy with something else."""
_A_TENTH = 0.1
"""The head of a chat template is the same in every prompt, and some servers keep it: that alone is no cached prompt."""


class Case(NamedTuple):
    """A cell of the table: one model at one prompt length."""

    model: str
    """`ENDPOINT/NAME`, and what was asked to be different."""
    prompt_tokens: int
    """As asked for."""


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is to be measured."""

    prompt_tokens: tuple[int, ...] = (64, 512, 2048)
    tokens: int = 128
    """Tokens of each answer."""
    repeats: int = 5
    cooldown_s: float = 1.0
    """Rest before each run. What the CPU does meanwhile is not ours."""


@dataclass(frozen=True, slots=True)
class GpuHeat:
    """One GPU around a run. None: the driver does not say."""

    index: int
    before_c: float | None = None
    after_c: float | None = None
    throttled: str = ""
    """Why its clocks were held down before or after: `thermal`, `power`, ...; '' when they were not."""

    @classmethod
    def around(cls, before: Machine | None, after: Machine | None) -> tuple[GpuHeat, ...]:
        """Of every GPU that was read before and after."""
        if before is None or after is None:
            return ()
        last = {gpu.index: gpu for gpu in after.gpus}
        pairs = [(gpu, last[gpu.index]) for gpu in before.gpus if gpu.index in last]
        return tuple(
            cls(old.index, old.temperature_c, new.temperature_c, new.throttled or old.throttled) for old, new in pairs
        )


@dataclass(frozen=True, slots=True)
class BenchRun:
    """One request, and what was measured of it."""

    case: Case
    repeat: int
    """From 1."""
    metrics: Metrics | None = None
    """None: it failed."""
    error: str = ""
    wanted: int = 0
    """Tokens that were asked for."""
    estimated_prompt: int | None = None
    """Tokens of the prompt by estimate, where the backend does not count them."""
    cpu_percent: float | None = None
    """What others used of the CPU while it rested before; None where nobody says, or for a model elsewhere."""
    gpu_percent: float | None = None
    """Likewise of the busiest GPU."""
    gpus: tuple[GpuHeat, ...] = ()
    cpu_throttled: bool = False
    """The CPU held its clocks down for heat meanwhile, as far as the system counts that."""

    @property
    def prefill_tps(self) -> float | None:
        """Prompt tokens per second by the backend's prompt time, else over TTFT; cached tokens are not counted."""
        if self.metrics is None:
            return None
        if self.metrics.prefill_tps is not None:
            return self.metrics.prefill_tps
        span_ms = self.metrics.server_prompt_ms or self.metrics.ttft_ms
        return self.estimated_prompt / span_ms * 1000 if self.estimated_prompt and span_ms else None

    @property
    def flags(self) -> tuple[str, ...]:
        """Names out of FLAGS."""
        found = self.metrics
        if found is None:
            return ("failed",)
        asked = self.case.prompt_tokens
        busy = max(self.cpu_percent or 0.0, self.gpu_percent or 0.0) >= BUSY_PERCENT
        marks = {
            "cold": found.cold,
            "contended": found.contended or busy,
            "cached": found.cached and (found.cached_tokens or asked) > _A_TENTH * (found.prompt_tokens or 0),
            "early": (found.out_tokens or 0) < self.wanted,
            "throttled": self.cpu_throttled or any(gpu.throttled for gpu in self.gpus),
            "estimate": "estimate" in found.token_source or found.prompt_tokens is None,
            "off_length": abs((found.prompt_tokens or asked) - asked) > _A_TENTH * asked,
            "over_ttft": not found.server_prompt_ms,
        }
        return tuple(name for name, marked in marks.items() if marked)


@dataclass(frozen=True, slots=True)
class BenchStep:
    """How far it is."""

    number: int
    """Of the run that was made, from 1; 0 while a model is loaded and warmed up."""
    total: int
    model: str
    run: BenchRun | None = None


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the values of a figure lie."""

    median: float
    low: float
    """Lower quartile."""
    high: float
    """Upper quartile."""
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """Of the values that there are; None without any. Quartiles are interpolated between the values."""
        known = sorted(value for value in values if value is not None)
        if not known:
            return None
        low, median, high = statistics.quantiles(known, n=4, method="inclusive") if len(known) > 1 else known * 3
        return cls(median, low, high, known[0], known[-1])

    @property
    def spread(self) -> float:
        """From quartile to quartile, as a share of the median."""
        return (self.high - self.low) / self.median if self.median else 0.0


@dataclass(frozen=True, slots=True)
class BenchCell:
    """What the runs of one case come to."""

    case: Case
    prefill_tps: Spread | None = None
    decode_tps: Spread | None = None
    ttft_ms: Spread | None = None
    runs: int = 0
    """In the figures."""
    left_out: int = 0
    """Not in the figures, though they were made."""
    flags: dict[str, int] = field(default_factory=dict)
    """How many of all runs carry which mark."""
    error: str = ""
    """Why there is no run, or why there are no more."""
    no_room: bool = False
    """Prompt and answer are more than the context of the model."""

    @classmethod
    def of(cls, case: Case, made: Sequence[BenchRun], error: str = "", *, no_room: bool = False) -> BenchCell:
        """Count the runs of a case: those in order, or all that gave something where none is."""
        answered = [run for run in made if run.metrics is not None]
        counted = [run for run in answered if not LEFT_OUT & set(run.flags)] or answered
        figures = [run.metrics for run in counted if run.metrics is not None]
        told = [flag for run in made for flag in run.flags]
        return cls(
            case,
            Spread.of([run.prefill_tps for run in counted]),
            Spread.of([each.decode_tps for each in figures]),
            Spread.of([each.ttft_ms for each in figures]),
            len(counted),
            len(made) - len(counted),
            {name: told.count(name) for name in FLAGS if name in told},
            error or next((run.error for run in made if run.error), ""),
            no_room,
        )


@dataclass(frozen=True, slots=True)
class BenchReport:
    """All of it."""

    plan: BenchPlan
    machine: Machine | None
    """Before anything was loaded; None: the drivers gave no answer in time."""
    runs: tuple[BenchRun, ...]
    """In the order in which they were made."""
    cells: tuple[BenchCell, ...]
    one_at_a_time: bool = False
    """The models do not fit at once: each was loaded anew for each repeat."""
    interrupted: bool = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what may have touched the figures."""
        busy = (self.machine.cpu_percent if self.machine else None) or 0.0
        heats = [gpu for run in self.runs for gpu in run.gpus]
        slowed = sum(run.cpu_throttled for run in self.runs)
        return (
            *([f"Before the start the CPU was {busy:.0f} % busy with something else."] * (busy >= BUSY_PERCENT)),
            *(note for index in sorted({gpu.index for gpu in heats}) for note in _heat_notes(index, heats)),
            *([f"The CPU held its clocks down for heat in {slowed} of {len(self.runs)} runs."] * bool(slowed)),
            *(["The models do not fit at once, so they were loaded one at a time."] * self.one_at_a_time),
            *(["Stopped before all runs were made."] * self.interrupted),
        )


def cpu_slowed(before: Machine | None, after: Machine | None) -> bool:
    """Whether the CPU held its clocks down for heat between two readings; False where one of them has no count."""
    if before is None or after is None or before.cpu_throttles is None or after.cpu_throttles is None:
        return False
    return after.cpu_throttles > before.cpu_throttles


def _heat_notes(index: int, all_heats: Sequence[GpuHeat]) -> list[str]:
    heats = [gpu for gpu in all_heats if gpu.index == index]
    degrees = [value for gpu in heats for value in (gpu.before_c, gpu.after_c) if value is not None]
    reasons = sorted({gpu.throttled for gpu in heats if gpu.throttled})
    notes = [f"GPU {index} was at {min(degrees):.0f} to {max(degrees):.0f} degrees C."] if degrees else []
    if reasons:
        held = sum(bool(gpu.throttled) for gpu in heats)
        notes.append(f"GPU {index} held its clocks down ({', '.join(reasons)}) around {held} of {len(heats)} runs.")
    return notes


def balanced(count: int, repeats: int, rng: random.Random) -> list[list[int]]:
    """An order of `count` things for each repeat, so that what drifts or heats up falls on all of them alike.

    Rows of Williams' Latin squares (Williams 1949), each followed by its mirror image. After every second repeat each
    thing has had the same mean position, so a steady drift cancels out; after `count` repeats (twice as many for an
    odd count) each has stood at every position, and behind each of the others, equally often. Which thing is which
    is drawn by `rng`.
    """
    names = list(range(count))
    rng.shuffle(names)
    # 0, 1, count - 1, 2, count - 2, ...
    first = [step // 2 + 1 if step % 2 else (count - step // 2) % count for step in range(count)]
    orders = []
    for repeat in range(repeats):
        # Of an even count the second half of the square mirrors the first.
        row = [names[(place + repeat // 2) % count] for place in first]
        orders.append(row[::-1] if repeat % 2 else row)
    return orders


def runs_in_order(
    models: Sequence[str], plan: BenchPlan, rng: random.Random, *, one_at_a_time: bool = False
) -> list[tuple[int, Case]]:
    """(repeat, case) of every run. One at a time: the models are balanced, and within a model its prompt lengths."""
    cases = [Case(model, tokens) for model in models for tokens in plan.prompt_tokens]
    if not one_at_a_time:
        orders = balanced(len(cases), plan.repeats, rng)
        return [(repeat, cases[at]) for repeat, order in enumerate(orders, 1) for at in order]
    outer = balanced(len(models), plan.repeats, rng)
    inner = [balanced(len(plan.prompt_tokens), plan.repeats, rng) for _ in models]
    return [
        (repeat + 1, Case(models[at], plan.prompt_tokens[length]))
        for repeat in range(plan.repeats)
        for at in outer[repeat]
        for length in inner[at][repeat]
    ]
