"""What arena costs an engine: its rates against a bare llama-cpp-python loop, and llama-bench, on the same GGUF.

`python benchmarks/decode.py [FILE.gguf ...] [--random 120] [--rounds 12] [--prompt 64] [--tokens 64] [--check]` prints
a Markdown table of ratios; without files it takes the demo models. LLAMA_BENCH names a llama-bench of the same
llama.cpp; without it those columns are missing. `--check`: exit code 1 when a median is past its bound.

All load the file alike: one thread less than cores, flash attention, f16 cache, batches of 512. They take turns in a
balanced order, several answers a turn, of which the median counts; a ratio is of two turns of the same round. So what
slows the whole machine down for longer than a round touches no ratio; to take out what is shorter, the best turns of
all rounds are compared, too. Least disturbed by others is the CPU time that the engine's process took for the tokens
behind the first: that of an answer, less that of an answer of one token. Prompts are drawn anew. Answers that ended
early, as those of the demo models may, count if half of the tokens came.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import psutil

from arena.backends.llamacpp import LlamaCppBackend
from arena.core.bench import Spread, balanced
from arena.core.events import Chunk, Usage
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from arena.engine.bench import Writer
from random_model import DONOR, SHAPES, write

ANSWERS = 3
"""A turn."""
CONTEXT = 4096
LEAST_CPU_S = 0.4
"""Of the tests of llama-bench whose CPU time is taken."""
WILD = Sampling(temperature=50, top_k=0, top_p=1, min_p=0, context=CONTEXT)
"""So that hardly any answer of a demo model ends early."""
LEAST_OF_BARE, MOST_LATE_MS = 0.5, 5.0
"""`--check`: decode rate against the bare loop, and how late a token is, medians.

For machines that are busy and for the demo models, whose tokens cost little more than what is around them.
"""


class Rates(NamedTuple):
    """Tokens per second."""

    prefill: float
    decode: float
    cpu: float
    """Of decode, per second of the engine's CPU time."""


Arm = Callable[[Sequence[Prompt], Sampling], Awaitable[Rates | None]]


@dataclass(slots=True)
class Arena:
    """The way of every round: backend, worker process, pipe."""

    backend: LlamaCppBackend
    contestant: Contestant
    prompt_tokens: int = 0
    """Of the latest answer."""
    late_ms: list[float] = field(default_factory=list)
    """From the stamp of a token to its arrival in this process."""

    async def turn(self, prompts: Sequence[Prompt], sampling: Sampling) -> Rates | None:
        """An answer each."""
        return middle([await self._answer(prompt, sampling) for prompt in prompts])

    async def _answer(self, prompt: Prompt, sampling: Sampling) -> Rates | None:
        (worker,) = self.backend._workers.values()  # noqa: SLF001 - its process is what is measured
        began = cpu_seconds(worker.pid)
        usage = await self._usage(prompt, sampling)
        spent = cpu_seconds(worker.pid) - began
        await self._usage(prompt, replace(sampling, max_tokens=1))
        spent -= cpu_seconds(worker.pid) - began - spent
        gaps = (usage.out_tokens or 0) - 1
        if not usage.prompt_ms or not usage.decode_tps or gaps < sampling.max_tokens / 2:
            return None
        return Rates(self.prompt_tokens / usage.prompt_ms * 1000, usage.decode_tps, gaps / spent)

    async def _usage(self, prompt: Prompt, sampling: Sampling) -> Usage:
        usage = Usage()
        async for piece in self.backend.stream(Request(self.contestant, prompt, sampling)):
            if isinstance(piece, Chunk) and piece.at_ns is not None:
                self.late_ms.append((time.monotonic_ns() - piece.at_ns) / 1e6)
            elif isinstance(piece, Usage):
                usage = piece
        self.prompt_tokens = usage.prompt_tokens or 0
        return usage


class Bare:
    """llama-cpp-python's own loop, in a process of its own."""

    def __init__(self, path: Path, arena: Arena) -> None:
        """`arena` says how many tokens its prompts had."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--bare", str(path)],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._arena = arena

    async def turn(self, prompts: Sequence[Prompt], sampling: Sampling) -> Rates | None:
        """An answer each."""
        return middle([self._answer(prompt, sampling) for prompt in prompts])

    def _answer(self, prompt: Prompt, sampling: Sampling) -> Rates | None:
        began = cpu_seconds(self._process.pid)
        count, prefill, decode = self._told(prompt, sampling)
        spent = cpu_seconds(self._process.pid) - began
        self._told(prompt, replace(sampling, max_tokens=1))
        spent -= cpu_seconds(self._process.pid) - began - spent
        return Rates(prefill, decode, (count - 1) / spent) if count - 1 >= sampling.max_tokens / 2 else None

    def _told(self, prompt: Prompt, sampling: Sampling) -> tuple[int, float, float]:
        order = {"text": prompt.text, "tokens": self._arena.prompt_tokens, "sampling": asdict(sampling)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return tuple(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        self._process.wait()


class LlamaBench:
    """llama-bench, started anew for each turn; it feeds random tokens and draws none."""

    def __init__(self, binary: str, path: Path, arena: Arena) -> None:
        """`arena` says how many tokens its prompts had."""
        self._command = [binary, "-m", str(path), "-t", str(threads()), "-fa", "1", "-b", "512", "-ub", "512"]
        self._arena = arena

    async def turn(self, prompts: Sequence[Prompt], sampling: Sampling) -> Rates | None:
        """As many answers."""
        length, tokens = self._arena.prompt_tokens, sampling.max_tokens - 1
        prefill, _ = self._seconds(len(prompts), "-p", str(length), "-n", "0")
        what = ("-p", "0", "-n", str(tokens), "-d", str(length))
        decode, once = self._seconds(1, *what)
        # What it takes to start and to load must not drown the tokens.
        more = max(len(prompts), round(LEAST_CPU_S / decode))
        decode, often = self._seconds(1 + more, *what)
        return Rates(length / prefill, tokens / decode, more * tokens / (often - once))

    def _seconds(self, repeats: int, *what: str) -> tuple[float, float]:
        """A test on the wall, the median, and the CPU time of the whole process."""
        command = [*self._command, "-r", str(repeats), "-o", "json", *what]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return statistics.median(json.loads(done.stdout)[0]["samples_ns"]) / 1e9, cpu


def bare_loop(path: str) -> None:
    """The process of `Bare`: orders in, [tokens, prefill rate, decode rate] out."""
    from arena.backends.llamacpp_worker import Model

    llm = Model(path, CONTEXT).llm
    for line in sys.stdin:
        order = json.loads(line)
        sampling, pieces, stamps = order["sampling"], [], []
        prompt = llm.tokenize(order["text"].encode())[: order["tokens"]]
        llm.reset()
        llm.set_seed(sampling["seed"])
        began = time.perf_counter()
        for token in llm.generate(
            prompt,
            temp=sampling["temperature"],
            top_k=sampling["top_k"],
            top_p=sampling["top_p"],
            min_p=sampling["min_p"],
            repeat_penalty=sampling["repeat_penalty"],
        ):
            if token == llm.token_eos():
                break
            stamps.append(time.perf_counter())
            pieces.append(llm.detokenize([token]))
            if len(stamps) == sampling["max_tokens"]:
                break
        gaps = len(stamps) - 1
        decode = gaps / (stamps[-1] - stamps[0]) if gaps > 0 else 0.0
        print(json.dumps([len(stamps), len(prompt) / (stamps[0] - began) if stamps else 0.0, decode]), flush=True)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, all threads: to the nanosecond on Linux."""
    if told := [each.read_text().split()[0] for each in Path(f"/proc/{pid}/task").glob("*/schedstat")]:
        return sum(map(int, told)) / 1e9
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def threads() -> int:
    """As many as arena's worker takes."""
    return max(1, (psutil.cpu_count(logical=False) or os.cpu_count() or 1) - 1)


def middle(answers: Sequence[Rates | None]) -> Rates | None:
    """The median of each figure over the answers that count."""
    found = [rates for rates in answers if rates is not None]
    return Rates(*map(statistics.median, zip(*found, strict=True))) if found else None


async def measure(
    path: Path, rounds: int, words: int, sampling: Sampling
) -> tuple[Arena, dict[str, list[Rates | None]]]:
    """The turns of each arm, a round after the other."""
    backend = LlamaCppBackend(DONOR.parent)
    contestant = Contestant.of(await backend.find(ModelRef.parse(str(path))), sampling)
    await backend.prepare(contestant)
    arena = Arena(backend, contestant)
    rng = random.Random(1)
    writer, bare = Writer(rng), Bare(path, arena)
    arms: dict[str, Arm] = {"arena": arena.turn, "bare": bare.turn}
    if binary := os.environ.get("LLAMA_BENCH"):
        arms["llama-bench"] = LlamaBench(binary, path, arena).turn
    turns: dict[str, list[Rates | None]] = {name: [] for name in arms}
    try:
        for arm in arms.values():  # off the clock
            await arm([writer.prompt(words)], sampling)
        arena.late_ms.clear()
        for number, order in enumerate(balanced(len(arms), rounds, rng)):
            prompts = [writer.prompt(words) for _ in range(ANSWERS)]
            for at in order:
                name = list(arms)[at]
                # no two rounds draw alike
                turns[name].append(await arms[name](prompts, replace(sampling, seed=number + 1)))
    finally:
        bare.close()
        await backend.close()
    return arena, turns


def compared(mine: Sequence[Rates | None], others: Sequence[Rates | None], figure: str) -> tuple[Spread, float]:
    """Ratios of the rounds in which both answered, and that of the best turns."""
    pairs = [(getattr(a, figure), getattr(b, figure)) for a, b in zip(mine, others, strict=True) if a and b]
    spread = Spread.of([a / b for a, b in pairs])
    if spread is None:
        raise SystemExit("No round has answers of both.")
    return spread, max(a for a, _ in pairs) / max(b for _, b in pairs)


def told(spread: Spread, best: float) -> str:
    """`0.993 (0.981-1.004), 0.998`."""
    return f"{spread.median:.3f} ({spread.low:.3f}-{spread.high:.3f}), {best:.3f}"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--random", type=int, action="append", choices=SHAPES, default=[])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--prompt", type=int, default=64, help="tokens, about")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--bare", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.bare:
        bare_loop(asked.bare)
        return 0
    missed = []
    others = ["bare", "llama-bench"][: 2 if os.environ.get("LLAMA_BENCH") else 1]
    names = ("prefill", "decode", "decode by CPU")
    heads = ["model", "tokens", "arena tok/s", *[f"{name} / {other}" for name in names for other in others]]
    print("| " + " | ".join([*heads, "late ms, 99 %"]) + " |\n" + "|---" * (len(heads) + 1) + "|", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        made = [write(Path(folder, f"random-{size}m.gguf"), SHAPES[size]) for size in asked.random]
        for path in [*asked.files, *made] or sorted(DONOR.parent.glob("*.gguf"), key=lambda each: each.stat().st_size):
            usual = WILD if path.resolve().parent == DONOR.resolve().parent else Sampling(context=CONTEXT)
            sampling = replace(usual, max_tokens=asked.tokens)
            arena, turns = asyncio.run(measure(path, asked.rounds, asked.prompt // 4, sampling))
            ratios = [compared(turns["arena"], turns[other], figure) for figure in Rates._fields for other in others]
            decode, late = ratios[len(others)][0].median, statistics.median(arena.late_ms)
            rate = statistics.median(rates.decode for rates in turns["arena"] if rates)
            last = statistics.quantiles(arena.late_ms, n=100)[98]
            cells = [path.stem, f"{arena.prompt_tokens}+{asked.tokens}", f"{rate:.1f}"]
            cells += [told(*ratio) for ratio in ratios]
            print("| " + " | ".join([*cells, f"{late:.2f}, {last:.2f}"]) + " |", flush=True)
            missed += [f"{path.stem}: decode {decode:.3f} of the bare loop"] * (decode < LEAST_OF_BARE)
            missed += [f"{path.stem}: tokens are {late:.1f} ms late"] * (late > MOST_LATE_MS)
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    print(f"\n{psutil.cpu_count(logical=False)} cores, {threads()} threads, {asked.rounds} rounds; load average {load}")
    if asked.check and missed:
        print("\n".join(missed), file=sys.stderr)
    return int(asked.check and bool(missed))


if __name__ == "__main__":
    raise SystemExit(main())
