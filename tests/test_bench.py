"""`arena bench`: known times give exactly these figures, the order is balanced, and a fault stays with its model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import arena.engine.bench as engine_bench
from arena.backends.scripted import Script, ScriptedBackend
from arena.cli.bench import BenchOptions, as_json, as_markdown, as_text, run_bench
from arena.config import load
from arena.core.bench import BenchPlan, Spread, balanced, cpu_slowed, runs_in_order
from arena.core.errors import ArenaError, SeatError, UsageError
from arena.core.events import Chunk, Sent, Usage
from arena.core.machine import Gpu, Machine
from arena.core.models import ModelInfo, ModelRef, Sampling
from arena.engine.bench import WORDS, Bench, Ruler, Writer
from arena.wiring import Arena

needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")
MS = 1_000_000
HEAD, ASK = 10, 11
"""Tokens of the scripted chat template, and of the request that ends every prompt."""


class Timed(ScriptedBackend):
    """Prompts take 2 ms a token and answers 5 ms a token; a word is a token, and ten come from the template."""

    def __init__(self, scripts=None, *, context=4096, stops_after=999, counts=True, cached=0, dead=()):
        names = scripts or ("one", "two")
        infos = {name: ModelInfo(ModelRef("scripted", name), context=context) for name in names}
        super().__init__({name: Script(info=info) for name, info in infos.items()})
        self.stops_after, self.counts, self.cached, self.dead = stops_after, counts, cached, set(dead)
        self.asked, self.released, self.now = [], [], 10**17

    async def prepare(self, contestant):
        if contestant.ref.name in self.dead:
            raise SeatError("The file is damaged.", "Fetch it again.")
        return await super().prepare(contestant)

    async def stream(self, request):
        self.asked.append((request.contestant.ref.name, request.prompt.text, request.sampling.max_tokens))
        prompt = HEAD + len(request.prompt.text.split())
        self.now += 10**12
        yield Sent(self.now)
        first = self.now + 2 * MS * prompt
        tokens = min(self.stops_after, request.sampling.max_tokens)
        for number in range(tokens):
            yield Chunk("a ", at_ns=first + 5 * MS * number)
        counted = {"prompt_tokens": prompt, "cached_tokens": self.cached, "out_tokens": tokens}
        yield Usage(**(counted if self.counts else {}), finish="length", source="server" if self.counts else "estimate")

    async def release(self, contestant):
        self.released.append(contestant.ref.name)
        await super().release(contestant)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(engine_bench, "_SETTLE_S", 0.0)


def measured(backend, plan, *, machines=None, stop=lambda: False, tell=lambda _: None, **options):
    """The report of a bench of all models of a backend; `machines` is called for each look."""

    async def go():
        async def look():
            return machines() if machines else Machine(cpu_percent=0.0)

        infos = await backend.models()
        bench = Bench(
            infos,
            plan,
            {"scripted": backend},
            Sampling(),
            look,
            tell,
            stop,
            rng=random.Random(3),
            clock=lambda: 0,
            **options,
        )
        return await bench.run()

    return asyncio.run(go())


PLAN = BenchPlan((64, 256), tokens=20, repeats=3, cooldown_s=0.0)


def test_known_times_give_exactly_these_figures():
    report = measured(Timed(), PLAN)
    assert len(report.runs) == 2 * 2 * 3
    for run in report.runs:
        assert run.metrics.prompt_tokens == run.case.prompt_tokens, "calibrated by what the backend counts"
        assert run.prefill_tps == pytest.approx(500)
        assert run.metrics.decode_tps == pytest.approx(200)
        assert run.metrics.ttft_ms == pytest.approx(2 * run.case.prompt_tokens)
        assert run.flags == ("over_ttft",), "the scripted backend gives no prompt time"
    for cell in report.cells:
        assert cell.runs == 3
        assert (cell.prefill_tps.median, cell.decode_tps.median) == (pytest.approx(500), pytest.approx(200))
        assert cell.ttft_ms.low == cell.ttft_ms.high == pytest.approx(2 * cell.case.prompt_tokens)
        assert cell.decode_tps.spread == pytest.approx(0)
    assert not report.interrupted


def test_every_prompt_begins_differently_and_warming_up_is_not_counted():
    backend = Timed()
    report = measured(backend, PLAN)
    texts = [text for _, text, _ in backend.asked]
    assert len({text.split()[0] for text in texts}) == len(texts)
    assert len(texts) > len(report.runs)
    assert sum(tokens == PLAN.tokens for _, _, tokens in backend.asked) == len(report.runs)


@settings(deadline=None)
@given(words=st.integers(1, 300), seed=st.integers())
def test_a_prompt_has_as_many_words_as_it_should(words, seed):
    writer = Writer(random.Random(seed))
    prompts = [writer.prompt(words).text for _ in range(len(WORDS))]
    assert {len(text.split()) for text in prompts[:3]} == {words + ASK}
    assert len({text.split()[0] for text in prompts}) == len(WORDS)


@settings(deadline=None)
@given(per_word=st.floats(0.5, 8), head=st.integers(0, 500), tokens=st.integers(600, 20_000))
def test_two_counts_are_enough_to_meet_a_length(per_word, head, tokens):
    ruler = Ruler()
    for words in (8, 400):
        ruler.learn(words, round(head + per_word * words))
    assert abs(head + per_word * ruler.words(tokens) - tokens) <= per_word + 1 + tokens / per_word / 300


@settings(deadline=None)
@given(count=st.integers(1, 12), repeats=st.integers(1, 30), seed=st.integers())
def test_the_order_is_balanced(count, repeats, seed):
    rows = balanced(count, repeats, random.Random(seed))
    assert len(rows) == repeats
    assert all(sorted(row) == list(range(count)) for row in rows)
    assert balanced(count, repeats + 1, random.Random(seed))[:repeats] == rows
    for upper, lower in zip(rows[::2], rows[1::2], strict=False):
        assert upper == lower[::-1], "every two repeats a steady drift cancels out"
    places = Counter((thing, place) for row in rows for place, thing in enumerate(row))
    assert max(places.values()) <= 2 * -(-repeats // count)


@settings(deadline=None)
@given(count=st.integers(2, 12), squares=st.integers(1, 3), seed=st.integers())
def test_whole_squares_are_balanced_in_place_and_in_what_goes_before(count, squares, seed):
    rows = balanced(count, squares * count * (1 + count % 2), random.Random(seed))
    places = Counter((thing, place) for row in rows for place, thing in enumerate(row))
    before = Counter(pair for row in rows for pair in pairwise(row))
    assert len(places) == count * count
    assert len(set(places.values())) == 1
    assert len(before) == count * (count - 1)
    assert len(set(before.values())) == 1


def test_one_at_a_time_every_model_is_loaded_once_a_repeat_and_released():
    plan = replace(PLAN, repeats=4)
    order = runs_in_order(["one", "two"], plan, random.Random(1), one_at_a_time=True)
    assert Counter(case for _, case in order) == dict.fromkeys({case for _, case in order}, 4)
    assert all(order[at][1].model == order[at + 1][1].model for at in range(0, len(order), 2))
    backend = Timed()
    report = measured(backend, plan, one_at_a_time=True)
    assert len(report.runs) == 16
    assert not backend.loaded, "all of it is given back"
    assert 4 <= len(backend.released) <= 8
    assert any("one at a time" in note for note in report.notes)


def test_an_early_end_is_counted_with_what_there_is_and_marked():
    report = measured(Timed(stops_after=7), PLAN)
    for cell in report.cells:
        assert cell.flags["early"] == cell.runs == 3
        assert cell.decode_tps.median == pytest.approx(200)
    assert "early 3 of 3" in as_text(report)


def test_cached_and_contended_runs_stay_out_while_there_are_others():
    load_now = iter([0.0, 0.0] + [0.0, 0.0, 0.0, 0.0, 90.0, 0.0] * 50)
    plan = BenchPlan((64,), tokens=20, repeats=4, cooldown_s=0.3)
    report = measured(Timed(("one",)), plan, machines=lambda: Machine(cpu_percent=next(load_now)))
    (cell,) = report.cells
    assert (cell.runs, cell.left_out, cell.flags["contended"]) == (2, 2, 2)
    (cell,) = measured(Timed(("one",), cached=30), replace(plan, cooldown_s=0)).cells
    assert (cell.runs, cell.flags["cached"]) == (4, 4), "there are no others"
    assert cell.prefill_tps.median == pytest.approx(34 / 0.128)
    (cell,) = measured(Timed(("one",), cached=4), replace(plan, cooldown_s=0)).cells
    assert "cached" not in cell.flags, "the head of the template alone"


def test_heat_and_load_are_noted():
    def machine():
        return Machine((Gpu(0, "card", temperature_c=71.0, throttled="thermal"),), cpu_percent=55.0)

    report = measured(Timed(), PLAN, machines=machine)
    assert report.notes == (
        "Before the start the CPU was 55 % busy with something else.",
        "GPU 0 was at 71 to 71 degrees C.",
        "GPU 0 held its clocks down (thermal) around 12 of 12 runs.",
    )
    assert {cell.flags["throttled"] for cell in report.cells} == {3}
    assert all(cell.runs == 3 for cell in report.cells), "marked, and counted"


def test_a_cpu_that_slows_down_for_heat_is_noted():
    looks = count()

    def machine():
        # two looks before the start; of each run one at the rest, one before and one after the request
        after = (next(looks) - 1) // 3
        return Machine(cpu_percent=0.0, cpu_throttles=40 + min(2, after))

    report = measured(Timed(), PLAN, machines=machine)
    assert [run.cpu_throttled for run in report.runs] == [True, True, *[False] * 10]
    assert report.notes == ("The CPU held its clocks down for heat in 2 of 12 runs.",)
    assert sum(cell.flags.get("throttled", 0) for cell in report.cells) == 2
    assert not any(run.cpu_throttled for run in measured(Timed(), PLAN, machines=Machine).runs), "nobody counts"


def test_a_machine_that_does_not_answer_keeps_nobody_from_measuring():
    report = measured(Timed(), PLAN, machines=lambda: None)
    assert all(cell.runs == 3 for cell in report.cells)
    assert as_json(report)["machine"] is None
    assert as_markdown(report).count("scripted/one") == 2


def test_a_backend_that_counts_nothing_gets_estimates():
    report = measured(Timed(counts=False), PLAN)
    for run in report.runs:
        assert "estimate" in run.flags
        assert run.estimated_prompt == pytest.approx(run.case.prompt_tokens, abs=2)
        assert run.prefill_tps > 0
    assert "~" in as_text(report)


def test_a_model_that_fails_is_a_line_and_the_others_go_on():
    report = measured(Timed(dead=["two"]), PLAN)
    assert [cell.runs for cell in report.cells] == [3, 3, 0, 0]
    assert "damaged" in report.cells[2].error
    assert "damaged" in as_text(report)
    assert "damaged" in as_markdown(report)
    assert not report.interrupted


def test_a_case_that_keeps_failing_is_given_up():
    class Breaking(Timed):
        async def stream(self, request):
            if request.sampling.max_tokens == PLAN.tokens and request.contestant.ref.name == "two":
                raise ValueError("odd")
            async for piece in super().stream(request):
                yield piece

    report = measured(Breaking(), PLAN)
    assert [cell.runs for cell in report.cells] == [3, 3, 0, 0]
    assert [cell.flags.get("failed", 0) for cell in report.cells] == [0, 0, 2, 2]
    assert "Something unforeseen happened: ValueError: odd." in report.cells[2].error


def test_what_does_not_fit_the_context_is_not_asked():
    backend = Timed(context=128)
    report = measured(backend, PLAN)
    assert [(cell.runs, cell.no_room) for cell in report.cells] == [(3, False), (0, True)] * 2
    assert "do not fit its context of 128" in report.cells[1].error
    assert max(len(text.split()) for _, text, _ in backend.asked) < 128


def test_stopping_keeps_what_there_is():
    stop, steps = threading.Event(), []

    def tell(step):
        steps.append(step)
        if step.run and step.number == 5:
            stop.set()

    report = measured(Timed(), PLAN, stop=stop.is_set, tell=tell)
    assert report.interrupted
    assert len(report.runs) == 5
    assert sum(cell.runs for cell in report.cells) == 5
    assert steps[-1].total == 12
    assert "Stopped before all runs were made." in as_text(report)


def test_quartiles_are_those_of_the_values():
    assert Spread.of([]) is None
    assert Spread.of([None, 4.0]) == Spread(4.0, 4.0, 4.0, 4.0, 4.0)
    found = Spread.of([5.0, 1.0, 3.0, 2.0, 4.0])
    assert found == Spread(3.0, 2.0, 4.0, 1.0, 5.0)
    assert found.spread == pytest.approx(2 / 3)


@pytest.fixture
def arena(tmp_path):
    opened = []

    def make(backend):
        opened.append(Arena(load(db=tmp_path / "arena.db"), [backend]))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def run(arena, models, **options):
    out, err = [], []
    given = {"repeats": 2, "prompt_tokens": "64,256", "tokens": 20, "cooldown": 0.0, **options}
    try:
        run_bench(arena, models, BenchOptions(**given), out.append, out.append, err.append)
    except (ArenaError, KeyboardInterrupt) as fault:
        return out, err, fault
    return out, err, None


def test_the_json_has_the_fields_that_programs_read(arena, tmp_path):
    (told,), err, fault = run(arena(Timed()), ["scripted/one", "scripted/two", "scripted/one"], form="json")
    assert fault is None
    assert {"machine", "runs", "cells", "notes", "interrupted"} <= set(told)
    assert [(cell["model"], cell["prompt_tokens"]) for cell in told["cells"]] == [
        (f"scripted/{name}", tokens) for name in ("one", "two") for tokens in (64, 256)
    ]
    for cell in told["cells"]:
        assert {"prefill_tps", "decode_tps", "ttft_ms", "runs", "flags"} <= set(cell)
        for figure in ("prefill_tps", "decode_tps", "ttft_ms"):
            assert {"median", "low", "high", "spread", "min", "max"} == set(cell[figure])
        assert cell["runs"] == 2
    assert {"model", "prompt_tokens", "repeat", "metrics", "flags", "error", "cpu_percent"} <= set(told["runs"][0])
    json.dumps(told)
    assert any("8/8" in line for line in err)
    assert not (tmp_path / "arena.db").exists(), "nothing is stored"


def test_the_table_stays_within_80_columns_and_names_the_marks(arena):
    names = ["a-model-with-a-rather-long-name-q4_k_m", "another-model-with-a-long-name:70b-instruct"]
    (text,), _, _ = run(arena(Timed(names, stops_after=5)), [f"scripted/{name}" for name in names])
    assert max(map(len, text.splitlines())) <= 80
    assert "early 2 of 2" in text
    assert "early: ended before --tokens" in text
    rows = run(arena(Timed(names)), [f"scripted/{name}" for name in names], form="md")[0][0].splitlines()
    assert len({row.count("|") for row in rows[:6]}) == 1
    assert set(rows[1]) <= set("| -")


def test_a_failing_model_is_told_after_the_printing(arena):
    out, _, fault = run(arena(Timed(dead=["two"])), ["scripted/one", "scripted/two"])
    assert len(out) == 1
    assert fault.sentence == "2 of 4 cells could not be measured in full."
    assert "damaged" in fault.hint
    _, _, fault = run(arena(Timed(context=128)), ["scripted/one"])
    assert fault is None, "a context that is too short is a limit, not a fault"


@pytest.mark.parametrize("lengths", ["", "64,", "0", "a", "-5", "1.5"])
def test_odd_lengths_are_refused(arena, lengths):
    assert isinstance(run(arena(Timed()), ["scripted/one"], prompt_tokens=lengths)[2], UsageError)


def test_without_a_model_there_is_nothing_to_measure(arena):
    assert isinstance(run(arena(Timed()), [])[2], UsageError)


def program(tmp_path, *arguments):
    # Whatever runs the tests in the background may have Ctrl+C ignored, and a child inherits that.
    heed = "from signal import *; signal(SIGINT, default_int_handler); from arena.cli import main; main()"
    command = [sys.executable, "-c", heed, "--db", str(tmp_path / "arena.db"), "bench", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@needs_engine
@pytest.mark.engine
def test_a_real_model_is_measured(tmp_path):
    arguments = ("-m", "demo/small", "--prompt-tokens", "64,256", "--repeats", "2", "--cooldown", "0", "--json")
    with program(tmp_path, *arguments) as done:
        out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    told = json.loads(out)
    assert len(told["runs"]) == 4
    for cell in told["cells"]:
        assert cell["prefill_tps"]["median"] > 0
        assert cell["ttft_ms"]["median"] > 0
        assert "over_ttft" not in cell["flags"], "the embedded engine says how long the prompt took"
    after = Arena(load(db=tmp_path / "arena.db"))
    assert after.history().result() == [], "no round, no rating; only what the loads took, for `arena fit`"
    after.close()


@needs_engine
@pytest.mark.engine
def test_ctrl_c_prints_what_there_is(tmp_path):
    arguments = ("-m", "demo/small", "--prompt-tokens", "64", "--repeats", "500", "--cooldown", "0.05", "--json")
    with program(tmp_path, *arguments) as running:
        for line in running.stderr:
            if line.startswith("2/"):
                break
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Stopping after this run" in err
    told = json.loads(out)
    assert told["interrupted"]
    assert 2 <= len(told["runs"]) < 500


def test_a_cpu_that_could_not_be_read_before_was_not_slowed():
    assert cpu_slowed(Machine(cpu_throttles=3), Machine(cpu_throttles=4))
    assert not cpu_slowed(Machine(), Machine(cpu_throttles=4))
