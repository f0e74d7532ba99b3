"""A backend whose models do whatever a model, a server or a wire may do wrong, drawn anew for each request."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from arena.backends.scripted import Script, ScriptedBackend
from arena.core.errors import SeatError
from arena.core.events import Chunk, Piece, Sent, Usage

Fault = Callable[["FaultyBackend", AsyncGenerator[Piece, None]], AsyncGenerator[Piece, None]]
FOREIGN = (
    *(ConnectionResetError("reset by peer"), TimeoutError(), EOFError("the pipe is gone"), KeyError("choices")),
    *(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), RecursionError("\ud800[red]"), MemoryError()),
)
"""What nobody foresaw."""
LITTER = (
    *("a", "b", "\0", "\x1b[2J", "\x07", "\ud800", "\udfff", "가", "👨‍👩‍👧", "\u202e", "\n", "\r\n"),
    *("[bold]x[/]", "{}", "%s", "'", '"', "<think>", "zephyr-9b"),
)
NUMBERS = (0, 1, -5, 7, 2**63, -(2**70), 10**30, None)
RATES = (0.0, -1.0, 12.5, 1e308, float("inf"), float("-inf"), float("nan"), None)


class FaultyBackend(ScriptedBackend):
    """Scripted models with a fault in most of their answers."""

    def __init__(self, scripts: dict[str, Script], endpoint: str, rng: random.Random, drawn: list[str]) -> None:
        """`rng` draws the faults; their names are added to `drawn`."""
        super().__init__(scripts, endpoint)
        self.rng = rng
        self.stuck = threading.Event()
        """Set as soon as an answer will never end by itself."""
        self.drawn = drawn

    async def prepare(self, contestant):
        if self.rng.random() < 0.05:
            raise self.rng.choice((SeatError("It does not load.", "Free some memory."), *FOREIGN))
        await asyncio.sleep(self.rng.choice((0, 0, 0.002)))
        return await super().prepare(contestant)

    async def stream(self, request):
        fault = self.rng.choice(FAULTS)
        self.drawn.append(fault.__name__)
        async with aclosing(super().stream(request)) as pieces, aclosing(fault(self, pieces)) as faulty:
            async for piece in faulty:
                yield piece


async def none(_, pieces):
    async for piece in pieces:
        yield piece


async def delay(backend, pieces):
    """Everything comes, late and in jerks."""
    async for piece in pieces:
        await asyncio.sleep(backend.rng.choice((0, 0.001, 0.01)))
        yield piece


async def cut(backend, pieces):
    """Something breaks before the end, said politely or not."""
    left = backend.rng.randrange(3)
    async for piece in pieces:
        if not left:
            break
        left -= 1
        yield piece
    raise backend.rng.choice((SeatError("The engine stopped.", "Run the round again."), *FOREIGN))


async def falls_silent(backend, pieces):
    """It ends without a word of its end."""
    left = backend.rng.randrange(3)
    async for piece in pieces:
        if not left:
            return
        left -= 1
        yield piece


async def garbage(backend, pieces):
    """Text that is none, with times that can't be."""
    rng = backend.rng
    for _ in range(rng.randrange(6)):
        text = "".join(rng.choices(LITTER, k=rng.choice((0, 1, 8, 20_000))))
        yield Chunk(text, rng.choice(("answer", "thought")), rng.choice((None, None, 0, -1, 2**62)))
    async for piece in pieces:
        yield piece


async def reorder(backend, pieces):
    """All of it in any order, some of it twice."""
    found = [piece async for piece in pieces]
    found += [Sent(), Sent(backend.rng.choice((0, -1, 2**62))), *backend.rng.choices(found, k=2)]
    backend.rng.shuffle(found)
    for piece in found:
        yield piece


async def miscounts(backend, pieces):
    """Counts that no model has."""
    async for piece in pieces:
        if not isinstance(piece, Usage):
            yield piece
    count, rate = (lambda: backend.rng.choice(NUMBERS)), (lambda: backend.rng.choice(RATES))
    yield Usage(
        prompt_tokens=count(),
        cached_tokens=count(),
        out_tokens=count(),
        think_tokens=count(),
        prompt_ms=rate(),
        decode_ms=rate(),
        decode_tps=rate(),
        load_ms=rate(),
        total_ms=rate(),
        first_ns=count(),
        last_ns=count(),
        finish=backend.rng.choice(("stop", "length", "cancelled", "", "\ud800")),
    )


async def never_ends(backend, _):
    """On and on."""
    for said in range(10**9):
        if said == 5:
            backend.stuck.set()
        yield Chunk("and on ")
        await asyncio.sleep(0.001)


async def hangs(backend, pieces):
    """A beginning, and nothing more."""
    async for piece in pieces:
        yield piece
        break
    backend.stuck.set()
    await asyncio.Event().wait()


async def calls_itself_off(_, pieces):
    """A library that loses its own cancellation."""
    async for piece in pieces:
        yield piece
        break
    raise asyncio.CancelledError


async def leaves_slowly(backend, pieces):
    """It takes its time to close, and breaks while it does."""
    try:
        async for piece in pieces:
            yield piece
    finally:
        await asyncio.sleep(0.005)
        if backend.rng.random() < 0.5:
            raise ConnectionResetError("reset while closing")


FAULTS: tuple[Fault, ...] = (
    *(none,) * 6,
    *(delay, cut, falls_silent, garbage, reorder, miscounts, never_ends, hangs),
    *(calls_itself_off, leaves_slowly),
)
