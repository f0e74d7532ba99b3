"""A model in a process of its own may die in any way: its seat fails with a sentence, the others go on."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

import arena.demo
from arena.backends import llamacpp
from arena.backends.llamacpp import LlamaCppBackend
from arena.backends.worker import Worker
from arena.config import load
from arena.core.errors import ArenaError, SeatError
from arena.core.events import Chunk
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.core.rounds import Outcome, RoundState
from arena.core.votes import Verdict
from arena.engine.play import hear
from arena.wiring import Arena

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing"),
]
DEMO = Path(arena.demo.__file__).parent
LONG = Sampling(seed=3, max_tokens=400, context=512, temperature=2.0)
SHORT = Sampling(seed=3, max_tokens=40, context=512, temperature=0)
STORY = Prompt("Tell me a long story about a fox, a lantern and a river.")


def workers_of(pid: int) -> list[psutil.Process]:
    """The worker processes of a process, zombies included."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            if child.status() == psutil.STATUS_ZOMBIE or "llamacpp_worker" in " ".join(child.cmdline()):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


async def gone(process: psutil.Process) -> bool:
    for _ in range(200):
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (signal.SIGKILL, "memory ran out"),
        (signal.SIGABRT, "gave up"),
        (signal.SIGILL, "instructions that fail on this processor"),
        (signal.SIGSEGV, "crashed"),
    ],
)
async def test_a_worker_that_dies_in_the_middle_fails_with_a_sentence_and_comes_back(how, says):
    backend = LlamaCppBackend(DEMO)
    one = Contestant.of((await backend.models())[0], LONG)
    await backend.prepare(one)
    (worker,) = backend._workers.values()
    heard = 0
    with pytest.raises(SeatError, match=says) as caught:
        async for piece in backend.stream(Request(one, STORY, LONG)):
            heard += isinstance(piece, Chunk)
            if heard == 1:
                os.kill(worker.pid, signal.SIGSTOP)  # so that the answer can't end before the blow
                os.kill(worker.pid, how)
                with suppress(ProcessLookupError):  # it may be gone already
                    os.kill(worker.pid, signal.SIGCONT)
    assert caught.value.hint
    assert [piece async for piece in backend.stream(Request(one, STORY, LONG))], "the next answer starts a new worker"
    await backend.close()
    assert workers_of(os.getpid()) == [], "no zombie stays"


async def test_memory_comes_back_with_the_process():
    backend = LlamaCppBackend(DEMO)
    one = Contestant.of((await backend.models())[0], LONG)
    await backend.prepare(one)
    (worker,) = backend._workers.values()
    process = psutil.Process(worker.pid)
    await backend.release(one)
    assert await gone(process)
    await backend.close()


async def test_only_so_many_models_stay_loaded():
    backend = LlamaCppBackend(DEMO, keep=1)
    for info in await backend.models():
        await backend.prepare(Contestant.of(info, LONG))
        assert len(workers_of(os.getpid())) == 1
    await backend.close()


async def test_a_corrupt_model_is_refused_by_the_engine_in_words(tmp_path):
    path = tmp_path / "bent.gguf"
    content = bytearray((DEMO / "small.gguf").read_bytes())
    at = content.index(b"llama.embedding_length") + len(b"llama.embedding_length") + 4
    content[at : at + 4] = (1 << 20).to_bytes(4, "little")
    path.write_bytes(content)
    backend = LlamaCppBackend(DEMO)
    info = await backend.find(ModelRef.parse(str(path)))
    with pytest.raises(SeatError, match=r"could not load|gave up|crashed") as caught:
        await backend.prepare(Contestant.of(info, LONG))
    assert caught.value.hint
    await backend.close()
    assert workers_of(os.getpid()) == []


async def test_a_prompt_that_is_too_long_is_said_with_numbers():
    backend = LlamaCppBackend(DEMO)
    one = Contestant.of((await backend.models())[0], LONG)
    with pytest.raises(SeatError, match=r"prompt has \d+ tokens"):
        async for _ in backend.stream(Request(one, Prompt("why " * 3000), LONG)):
            pass
    answer = [piece async for piece in backend.stream(Request(one, STORY, LONG))]
    assert len(answer) > 1, "the worker is still good"
    await backend.close()


async def test_a_late_cancel_hits_no_later_answer_and_no_later_answer_is_an_old_one():
    backend = LlamaCppBackend(DEMO)
    one = Contestant.of((await backend.models())[0], SHORT)
    capital, total = Prompt("What is the capital of France?"), Prompt("What is 12 + 7?")

    def go_on(pid):
        if psutil.pid_exists(pid):
            os.kill(pid, signal.SIGCONT)

    async def said(prompt):
        return "".join(
            [piece.text async for piece in backend.stream(Request(one, prompt, SHORT)) if hasattr(piece, "text")]
        )

    expected = await said(total)
    for stalled in (0.0, 0.1, 3.0):  # longer than the patience with a worker that does not end
        (worker,) = backend._workers.values()
        os.kill(worker.pid, signal.SIGSTOP)
        story = asyncio.ensure_future(said(capital))
        await asyncio.sleep(0.05)
        story.cancel()
        with pytest.raises(asyncio.CancelledError):
            await story
        asyncio.get_running_loop().call_later(stalled, go_on, worker.pid)
        assert await said(total) == expected
    await backend.close()


async def test_a_worker_that_is_waited_for_and_called_off_is_not_lost():
    backend = LlamaCppBackend(DEMO)
    contestant = Contestant.of(await backend.find(ModelRef("demo", "large")), LONG)
    pieces = backend.stream(Request(contestant, STORY, LONG))
    async for piece in pieces:
        if isinstance(piece, Chunk):
            break
    await pieces.aclose()
    (worker,) = backend._workers.values()
    again = asyncio.create_task(backend.prepare(contestant))
    await asyncio.sleep(0)  # until it waits for the end of what was called off
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    assert backend.is_loaded(contestant)
    await backend.close()
    assert not worker.alive


async def test_a_driver_that_hangs_keeps_no_model_from_being_loaded(monkeypatch):
    monkeypatch.setattr(llamacpp, "_PATIENCE_S", 0.05)

    async def never(_info, _contestant):
        await asyncio.Event().wait()

    backend = LlamaCppBackend(DEMO, gpu_layers=never)
    info = await backend.find(ModelRef("demo", "small"))
    async with asyncio.timeout(10):
        assert await backend._layers(info, Contestant.of(info, SHORT)) == -1, "all, as where nobody can say"


async def test_closing_ends_every_worker():
    backend = LlamaCppBackend(DEMO)
    for info in await backend.models():
        await backend.prepare(Contestant.of(info, LONG))
    assert len(workers_of(os.getpid())) == 3
    await backend.close()
    assert workers_of(os.getpid()) == []


async def test_the_clock_of_an_answer_starts_when_its_request_goes_out():
    backend = LlamaCppBackend(DEMO)
    one = Contestant.of((await backend.models())[0], LONG)
    await backend.prepare(one)
    began = time.monotonic_ns()
    first, second = await asyncio.gather(*(hear(backend, Request(one, STORY, LONG)) for _ in range(2)))
    whole_ms = (time.monotonic_ns() - began) / 1e6
    later = max((first, second), key=lambda answer: answer.metrics.queue_ms)
    assert later.metrics.queue_ms > 0
    assert later.metrics.e2e_ms + later.metrics.queue_ms <= whole_ms + 1
    assert later.metrics.ttft_ms < later.metrics.queue_ms, "waiting for the other one is no time to first token"
    await backend.close()


async def test_the_command_line_of_a_worker_names_no_model():
    worker = await Worker.start()
    await worker.load(str(DEMO / "small.gguf"), 512)
    line = " ".join(psutil.Process(worker.pid).cmdline())
    await worker.stop()
    assert "small" not in line
    assert "gguf" not in line


def test_one_seat_falls_and_the_other_answers(tmp_path):
    arena = Arena(replace(load(db=tmp_path / "arena.db"), seats=2))
    try:
        small, _, large = arena.lineup.models().result()
        view = arena.table.deal(STORY, [small, large]).result()
        sealed = arena.table._hands[view.id].round
        victim = next(seat for seat in sealed.seats if seat.contestant.ref == small.ref)
        backend = arena.lineup.backends["demo"]

        def strike(event):
            if event.seat == victim.index and type(event).__name__ == "Opened":
                key = (small.location, victim.contestant.context, "f16")
                os.kill(backend._workers[key].pid, signal.SIGKILL)

        played = arena.table.play(view.id, strike).result()
        outcomes = {answer.seat: answer.outcome for answer in played.answers}
        assert outcomes[victim.index] is Outcome.FAILED
        assert outcomes[1 - victim.index] in (Outcome.ANSWERED, Outcome.TRUNCATED)
        assert played.state is RoundState.VOID
        with pytest.raises(ArenaError, match="void"):
            arena.cast(view.id, Verdict.parse("a", 2)).result()
    finally:
        arena.close()
    assert workers_of(os.getpid()) == []


def test_workers_leave_when_arena_is_killed(tmp_path):
    code = f"""
import time
from arena.config import load
from arena.wiring import Arena
from pathlib import Path
arena = Arena(load(db=Path({str(tmp_path / "arena.db")!r})))
arena.lineup.warm(arena.lineup.models().result()).result()
print("warm", flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout.readline() == "warm\n"
    workers = workers_of(parent.pid)
    assert len(workers) == 3
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while any(worker.is_running() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(worker.is_running() for worker in workers)


async def load_fault(path, context=512, room=None):
    """What is said of a load that fails; `room`: bytes that the process may take beyond what it has."""
    worker = await Worker.start()
    try:
        await worker.build()  # imports the engine
        if room is not None:
            import resource

            limit = psutil.Process(worker.pid).memory_info().vms + room
            resource.prlimit(worker.pid, resource.RLIMIT_AS, (limit, limit))
        with pytest.raises(SeatError) as caught:
            await worker.load(str(path), context)
        return caught.value
    finally:
        await worker.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
async def test_a_load_that_runs_out_of_memory_says_what_to_change():
    fault = await load_fault(DEMO / "large.gguf", context=300_000, room=600 << 20)
    assert "failed to allocate" in fault.sentence
    assert "shorter context" in fault.hint


@pytest.mark.parametrize(("cut", "says"), [(64, "corrupted or incomplete"), (250_000, "failed to load model")])
async def test_a_file_that_was_cut_short_is_told_as_damaged(tmp_path, cut, says):
    path = tmp_path / "secret-name.gguf"
    path.write_bytes((DEMO / "small.gguf").read_bytes()[:-cut])
    fault = await load_fault(path)
    assert says in fault.sentence
    assert "damaged" in fault.hint
    assert "secret-name" not in str(fault), "a fault is read before the vote"


async def test_an_architecture_that_is_not_known_is_told_as_too_new(tmp_path):
    content = bytearray((DEMO / "small.gguf").read_bytes())
    at = content.index(b"general.architecture") + len(b"general.architecture") + 12
    content[at : at + 5] = b"llamb"
    path = tmp_path / "new.gguf"
    path.write_bytes(content)
    fault = await load_fault(path)
    assert fault.sentence == "llama.cpp could not load this model: unknown model architecture: 'llamb'."
    assert "too new" in fault.hint
