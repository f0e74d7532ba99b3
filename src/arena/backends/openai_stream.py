"""What comes over the connection, bounded: no server can hold a question for ever, nor fill the memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import cast

from arena.backends import http, httpx, httpx_sse
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError

_GRACE_S = 2.0
"""How long the counts and the proper end are waited for behind a finish reason: some servers hold the stream open."""
_DRAIN_S = 0.2
_FRAME_CHARS = 1_000_000
"""A frame holds a token, or a whole answer at most."""
_SLICE_CHARS = 65_536


@asynccontextmanager
async def heard_within(seconds: float) -> AsyncIterator[None]:
    """Take it for silence when the block is not over by then: httpx's own limit starts again with every byte."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise httpx.ReadTimeout("a byte now and then at most") from error


async def body_of(response: httpx.Response, limit: int, seconds: float) -> str:
    """The body of an answer, or its first `limit` characters and a few. Raises TimeoutError when it goes on longer."""
    parts: list[str] = []
    async with asyncio.timeout(seconds):
        async for part in response.aiter_text():
            parts.append(part)
            limit -= len(part)
            if limit <= 0:
                break
    return "".join(parts)


async def frames_of(
    response: httpx.Response, endpoint: Endpoint, is_finished: Callable[[], bool]
) -> AsyncGenerator[httpx_sse.ServerSentEvent, None]:
    """The frames of a stream. From when `is_finished()` says so, it ends by itself soon, however the server ends it.

    Raises SeatError for a frame without an end, and httpx.HTTPError.
    """
    text = _Text(response, endpoint, is_finished)
    # all that EventSource wants of a response are its text and its kind, which some servers do not say
    events = httpx_sse.EventSource(cast("httpx.Response", text)).aiter_sse()
    async with aclosing(text.pieces), aclosing(events):
        async for event in events:
            text.frame_chars = 0
            yield event


async def drain(frames: AsyncIterator[object]) -> None:
    """Read to the end of a stream that said it is over: a connection that is read to its end can be used again."""
    with suppress(httpx.HTTPError, TimeoutError, ArenaError):
        async with asyncio.timeout(_DRAIN_S):
            async for _ in frames:
                pass


class _Text:
    """The text of a stream, in place of its response."""

    def __init__(self, response: httpx.Response, endpoint: Endpoint, is_finished: Callable[[], bool]) -> None:
        self.headers = httpx.Headers({"content-type": "text/event-stream"})
        self.pieces = self._pieces(cast("AsyncGenerator[str, None]", response.aiter_text()))
        self.frame_chars = 0
        """How much was read since the last frame."""
        self._endpoint = endpoint
        self._is_finished = is_finished

    def aiter_text(self) -> AsyncGenerator[str, None]:
        return self.pieces

    async def _pieces(self, parts: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
        clock, silence_s = asyncio.get_running_loop().time, self._endpoint.silence_s
        deadline, finished = clock() + silence_s, False
        async with aclosing(parts):
            while True:
                if not finished and self._is_finished():
                    finished, deadline = True, clock() + _GRACE_S
                try:
                    async with heard_within(max(0.0, deadline - clock())):
                        part = await anext(parts, "")
                except httpx.HTTPError:
                    if finished:
                        return
                    raise
                if not part:
                    return
                for start in range(0, len(part), _SLICE_CHARS):
                    piece = part[start : start + _SLICE_CHARS]
                    self.frame_chars += len(piece)
                    if self.frame_chars > _FRAME_CHARS:
                        raise http.garbage_fault(self._endpoint, "a line without an end")
                    yield piece
                if not finished and ("\n" in part or "\r" in part):
                    # a whole line, even a comment, is a sign of life; the time in which nobody asks does not count
                    deadline = clock() + silence_s
