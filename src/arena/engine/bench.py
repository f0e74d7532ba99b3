"""Speed alone: the runs of `arena bench`, one after another, by the same clock and the same metrics as in a round."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import cycle
from typing import TypeVar

from arena.core.bench import (
    BenchCell,
    BenchPlan,
    BenchReport,
    BenchRun,
    BenchStep,
    Case,
    GpuHeat,
    cpu_slowed,
    runs_in_order,
)
from arena.core.errors import ArenaError, SeatError
from arena.core.machine import Machine
from arena.core.models import Contestant, ModelInfo, Sampling
from arena.core.ports import Backend, Request
from arena.core.prompts import Prompt
from arena.core.rounds import Answer
from arena.core.text import clean_line
from arena.engine.play import Clock, hear

_PLAIN = """
    apple river stone window garden paper music winter bridge candle forest table ocean mirror silver button
    castle summer rabbit engine letter orange mountain kitchen ladder pocket shadow thunder village yellow basket
    corner dinner feather guitar hammer island jacket kettle lemon market needle olive pencil quiet rocket saddle
    ticket umbrella valley wagon anchor blanket carpet desert eagle finger ginger harbor insect jungle knight
    lantern magnet nature oyster planet quarter ribbon sailor temple uncle velvet whistle autumn bottle cotton
    doctor evening flower glass honey iron jewel kingdom leather morning number onion pepper queen road school
    tower unit voice water yard zebra bread cloud door earth fire gold house ink journey key lamp milk night owl
    pond rain salt tree
"""
WORDS = tuple(_PLAIN.split())
"""Plain words: most tokenizers have few tokens for each."""

_ASK = "Write a very long story with these words. Do not stop."
_FIRST_LINE = 6
_PROBES = (8, 40)
"""Words of the two short prompts that tell what the chat template takes, and what a word takes."""
_PROBE_TOKENS = 2
_WARM_TOKENS = 16
_GUESSED_HEAD, _GUESSED_PER_WORD = 24.0, 1.3
"""Tokens around the words, and tokens of a word, until the backend has counted some."""
_TRIES, _NEAR = 3, 0.03
"""A prompt of the right length is tried for so often, and is right when it is off by no more than that."""
_SLACK = 64
"""Room in the context for prompts that turn out longer."""
_FAILURES = 2
"""After so many a case is given up: a server that is down would be asked for hours."""
_SETTLE_S = 0.5
"""How long the machine is watched before the start, to see what else is running."""
_MEASURABLE_S = 0.25
"""A rest shorter than that tells nothing about the load of the CPU."""
_SLICE_S = 0.1

T = TypeVar("T")
Look = Callable[[], Awaitable[Machine | None]]
Tell = Callable[[BenchStep], None]


class Writer:
    """Writes prompts, none of which begins as one before it did: no cache of prompts has anything to give."""

    def __init__(self, rng: random.Random) -> None:
        """`rng` draws the words."""
        self._rng = rng
        self._firsts = cycle(rng.sample(WORDS, len(WORDS)))

    def prompt(self, words: int) -> Prompt:
        """A prompt of so many words, all drawn anew, that makes most models go on writing.

        The first line is random, and its first word comes back only after all the others had their turn. Every word
        is drawn once before any is drawn twice, so that prompts of one length differ little in tokens.
        """
        drawn = [next(self._firsts)]
        while len(drawn) < words:
            drawn += self._rng.sample(WORDS, len(WORDS))
        drawn = drawn[: max(1, words)]
        lines = (" ".join(drawn[:_FIRST_LINE]), " ".join(drawn[_FIRST_LINE:]), _ASK)
        return Prompt("\n".join(filter(None, lines)))


class Ruler:
    """How many words make how many tokens for one model: the line through what its backend has counted."""

    def __init__(self) -> None:
        """Guess, until something is counted."""
        self._counted: list[tuple[int, int]] = []
        self._head, self._per_word = _GUESSED_HEAD, _GUESSED_PER_WORD

    def learn(self, words: int, tokens: int | None) -> None:
        """The backend counted so many tokens for a prompt of so many words; None: it does not count.

        Least squares, each count weighed by 1 / words: that is how its variance grows with words drawn at random.
        """
        if tokens is None:
            return
        self._counted.append((words, tokens))
        weight = sum(1 / at for at, _ in self._counted)
        mean_words = len(self._counted) / weight
        mean_tokens = sum(counted / at for at, counted in self._counted) / weight
        spread = sum((at - mean_words) ** 2 / at for at, _ in self._counted)
        both = sum((at - mean_words) * (counted - mean_tokens) / at for at, counted in self._counted)
        if spread > 0 and both > 0:
            self._per_word = both / spread
        self._head = mean_tokens - self._per_word * mean_words

    def words(self, tokens: int) -> int:
        """Of a prompt with so many tokens; at least 1."""
        return max(1, round((tokens - self._head) / self._per_word))

    def tokens(self, words: int) -> int:
        """Of a prompt with so many words."""
        return round(self._head + self._per_word * words)


class Bench:
    """One bench of some models. Everything is told as it happens; nothing is stored."""

    def __init__(
        self,
        infos: Sequence[ModelInfo],
        plan: BenchPlan,
        backends: Mapping[str, Backend],
        sampling: Sampling,
        look: Look,
        tell: Tell = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
        *,
        one_at_a_time: bool = False,
        rng: random.Random | None = None,
        clock: Clock = time.monotonic_ns,
    ) -> None:
        """`infos` all differ. `look` reads the machine; `stop` is asked between two requests; `clock` in ns.

        `tell` is called in the engine's loop and must not wait. `one_at_a_time`: the models do not fit at once.
        """
        room = max(plan.prompt_tokens, default=0) + plan.tokens + _SLACK
        self._sampling = replace(sampling, max_tokens=plan.tokens, context=max(sampling.context, room))
        self._infos = {str(info): info for info in infos}
        self._plan = plan
        self._backends = backends
        self._look = look
        self._tell = tell
        self._stop = stop
        self._alone = one_at_a_time
        self._clock = clock
        rng = rng or random.SystemRandom()
        self._order = runs_in_order(list(self._infos), plan, rng, one_at_a_time=one_at_a_time)
        self._writer = Writer(rng)
        self._rulers: dict[str, Ruler] = {}
        self._out: dict[Case, str] = {}
        """Why a case is not measured any more."""
        self._no_room: set[Case] = set()
        self._runs: list[BenchRun] = []
        self._resident = ""

    async def run(self) -> BenchReport:
        """Load, warm up, and make the runs. A model that fails takes only itself out."""
        machine = await self._first_look()
        try:
            for model in self._infos if not self._alone else ():
                await self._ready(model)
            for number, (repeat, case) in enumerate(self._order, 1):
                if not self._stop():
                    await self._make(number, repeat, case)
        finally:
            await self._make_way("")
        made = {(run.repeat, run.case) for run in self._runs}
        cases = dict.fromkeys(Case(model, tokens) for model in self._infos for tokens in self._plan.prompt_tokens)
        return BenchReport(
            self._plan,
            machine,
            tuple(self._runs),
            tuple(self._cell(case) for case in cases),
            one_at_a_time=self._alone,
            interrupted=any(each not in made and each[1] not in self._out for each in self._order),
        )

    @property
    def _total(self) -> int:
        """Runs that were made, and those that are still to come."""
        made = {(run.repeat, run.case) for run in self._runs}
        return len(made) + sum(each not in made and each[1] not in self._out for each in self._order)

    def _cell(self, case: Case) -> BenchCell:
        return BenchCell.of(case, self._of(case), self._out.get(case, ""), no_room=case in self._no_room)

    def _of(self, case: Case) -> list[BenchRun]:
        return [run for run in self._runs if run.case == case]

    async def _make(self, number: int, repeat: int, case: Case) -> None:
        """One run, unless its case is out."""
        if case in self._out:
            return
        await self._make_way(case.model)
        await self._ready(case.model)
        before = await self._rest()
        if case in self._out or self._stop():
            return
        words = self._rulers[case.model].words(case.prompt_tokens)
        run = BenchRun(case, repeat, wanted=self._plan.tokens, **self._load(case, before))  # type: ignore[arg-type]
        try:
            metrics = (await self._ask(case.model, words, self._plan.tokens, seed=number)).metrics
        except ArenaError as fault:
            run = replace(run, error=str(fault))
        else:
            ruler = self._rulers[case.model]
            ruler.learn(words, metrics.prompt_tokens)
            estimate = ruler.tokens(words) if metrics.prompt_tokens is None else None
            run = replace(run, metrics=metrics, estimated_prompt=estimate)
            if self._infos[case.model].local:
                after = await self._look()
                run = replace(run, gpus=GpuHeat.around(before, after), cpu_throttled=cpu_slowed(before, after))
        self._runs.append(run)
        if sum(bool(made.error) for made in self._of(case)) >= _FAILURES:
            self._out[case] = run.error
        self._tell(BenchStep(len(self._runs), self._total, case.model, run))

    def _load(self, case: Case, before: Machine | None) -> dict[str, float | None]:
        """What others use of this machine while we rest. A model elsewhere does not mind."""
        if before is None or not self._infos[case.model].local or self._plan.cooldown_s < _MEASURABLE_S:
            return {}
        # a driver tells of the last second, in which our own request may have been running
        calm = self._plan.cooldown_s >= 1.0
        used = [gpu.utilization for gpu in before.gpus if gpu.utilization is not None and calm]
        return {"cpu_percent": before.cpu_percent, "gpu_percent": max(used, default=None)}

    async def _first_look(self) -> Machine | None:
        """The machine before anything of ours runs. The load of the CPU is that of the time between two readings."""
        await self._look()
        await asyncio.sleep(_SETTLE_S)
        return await self._look()

    async def _rest(self) -> Machine | None:
        """Cool down, and see what the machine does meanwhile. Ends early when it is to stop."""
        await self._look()
        left = self._plan.cooldown_s
        while left > 0 and not self._stop():
            await asyncio.sleep(min(left, _SLICE_S))
            left -= _SLICE_S
        return await self._look()

    async def _make_way(self, model: str) -> None:
        """One at a time: what is in memory goes before another comes."""
        if not self._alone:
            return
        if self._resident and self._resident != model:
            contestant, backend = self._contestant(self._resident)
            with suppress(ArenaError):
                await backend.release(contestant)
        self._resident = model

    async def _ready(self, model: str) -> None:
        """Load and warm up, off the clock. What fails takes its cases out."""
        cases = [Case(model, tokens) for tokens in self._plan.prompt_tokens]
        live = [case for case in cases if case not in self._out]
        if not live or self._stop():
            return
        try:
            contestant, backend = self._contestant(model)
            load_ms = await _guarded(backend.prepare(contestant))
            if model not in self._rulers:
                self._tell(BenchStep(0, self._total, model))
                await self._calibrate(model, live)
            elif load_ms > 0:
                await self._warm(max(live))
        except ArenaError as fault:
            self._out |= dict.fromkeys(live, str(fault))

    async def _calibrate(self, model: str, cases: Sequence[Case]) -> None:
        """Learn how many words make a prompt of each length; the same requests warm the model up. Raises ArenaError."""
        ruler = Ruler()
        for words in _PROBES:
            found = await self._ask(model, words, _PROBE_TOKENS)
            ruler.learn(words, found.metrics.prompt_tokens)
        self._rulers[model] = ruler
        context = self._contestant(model)[0].context
        for case in cases:
            if context and case.prompt_tokens + self._plan.tokens > context:
                self._no_room.add(case)
                self._out[case] = (
                    f"{case.prompt_tokens} tokens of prompt and {self._plan.tokens} of answer "
                    f"do not fit its context of {context}."
                )
                continue
            try:
                await self._warm(case)
            except ArenaError as fault:
                self._out[case] = str(fault)

    async def _warm(self, case: Case) -> None:
        """Ask at that length, not measured, and again while the prompt is off that length. Raises ArenaError."""
        ruler = self._rulers[case.model]
        for _ in range(_TRIES):
            if self._stop():
                return
            words = ruler.words(case.prompt_tokens)
            found = await self._ask(case.model, words, min(_WARM_TOKENS, self._plan.tokens))
            counted = found.metrics.prompt_tokens
            ruler.learn(words, counted)
            if counted is None or abs(counted - case.prompt_tokens) <= _NEAR * case.prompt_tokens:
                return

    async def _ask(self, model: str, words: int, tokens: int, seed: int = 0) -> Answer:
        """Ask, and record. Raises ArenaError."""
        contestant, backend = self._contestant(model)
        sampling = replace(contestant.sampling(self._sampling), max_tokens=tokens, seed=seed)
        return await _guarded(hear(backend, Request(contestant, self._writer.prompt(words), sampling), self._clock))

    def _contestant(self, model: str) -> tuple[Contestant, Backend]:
        info = self._infos[model]
        return Contestant.of(info, self._sampling), self._backends[info.ref.endpoint]


async def _guarded(work: Awaitable[T]) -> T:
    """What `work` returns. Raises ArenaError, also for what nobody foresaw: one model must not end the bench."""
    try:
        return await work
    except ArenaError:
        raise
    except Exception as fault:
        what = clean_line(f"{type(fault).__name__}: {fault}")
        raise SeatError(f"Something unforeseen happened: {what}.", "Run the bench again.") from fault
