"""Bounds on what a server may send, below both clients: no line and no answer without an end, no bomb, no drip."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import cast

from arena.backends import http, httpx
from arena.core.endpoints import Endpoint

_LINE_BYTES = 8 << 20
"""A list of models is one line, and has some hundred KiB."""
_ANSWER_BYTES = 256 << 20
"""A token takes a hundred bytes and more: two million tokens."""
UNPACKED = {"Accept-Encoding": "identity"}
"""The header that asks for what can be counted: a compressed answer of a kilobyte may unpack to a gigabyte."""


def bounded(endpoint: Endpoint, *, line_s: float | None = None) -> Callable[[httpx.Response], Awaitable[None]]:
    """A hook for responses. `line_s`: within so many seconds a line has to come to its end; None: whenever it does.

    Reading raises SeatError for what is too much, httpx.ReadTimeout for what drips, httpx.DecodingError for what comes
    compressed though nobody asked for that.
    """

    async def bound(response: httpx.Response) -> None:
        if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise httpx.DecodingError("compressed", request=response.request)
        whole = cast("httpx.AsyncByteStream", response.stream)  # the client is an async one

        class Bounded(httpx.AsyncByteStream):
            async def __aiter__(self) -> AsyncIterator[bytes]:
                async for part in _counted(whole, endpoint, line_s):
                    yield part

            async def aclose(self) -> None:
                await whole.aclose()

        response.stream = Bounded()

    return bound


async def _counted(stream: httpx.AsyncByteStream, endpoint: Endpoint, line_s: float | None) -> AsyncIterator[bytes]:
    parts = aiter(stream)
    clock = asyncio.get_running_loop().time
    line_bytes, all_bytes, line_began = 0, 0, clock()
    while True:
        try:
            async with asyncio.timeout(None if line_s is None else max(0.0, line_began + line_s - clock())):
                part: bytes = await anext(parts, b"")
        except TimeoutError as error:
            raise httpx.ReadTimeout("a byte now and then at most") from error
        if not part:
            return
        all_bytes += len(part)
        last = part.rfind(b"\n")
        line_bytes = line_bytes + len(part) if last < 0 else len(part) - last - 1
        if last >= 0:
            line_began = clock()
        if line_bytes > _LINE_BYTES or all_bytes > _ANSWER_BYTES:
            what = "a line without an end" if line_bytes > _LINE_BYTES else "an answer without an end"
            raise http.garbage_fault(endpoint, what)
        yield part
