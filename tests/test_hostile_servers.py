"""Both wires against servers that send more than anybody can hold, in whatever way: a sentence, and no memory."""

from __future__ import annotations

import asyncio
import gzip
import re
import resource
from typing import Self

import pytest

from arena.backends import bounds
from arena.backends.ollama import OllamaBackend
from arena.backends.openai import OpenAIBackend
from arena.core.endpoints import Endpoint, Wire
from arena.core.errors import ArenaError, SeatError
from arena.core.models import Contestant, ModelRef, Sampling
from arena.core.ports import Request
from arena.core.prompts import Prompt
from faulty_server import LIST, WARM

WHO = Contestant(ModelRef("box", "one"), context=512)
PIECE = b"x" * (1 << 16)
FRAMES = {
    Wire.OLLAMA: b'{"model": "one", "message": {"role": "assistant", "content": "word "}, "done": false}\n',
    Wire.OPENAI: b'data: {"choices": [{"index": 0, "delta": {"content": "word "}}]}\n\n',
}
BACKENDS = {Wire.OLLAMA: OllamaBackend, Wire.OPENAI: OpenAIBackend}
wires = pytest.mark.parametrize("wire", list(Wire), ids=str)


class Flood:
    """`async with Flood(piece, pause_s) as server`: that piece again and again, for every question but lists."""

    def __init__(self, piece: bytes, pause_s: float = 0.0, head: str = "", *, lists: bool = True) -> None:
        self._piece, self._pause_s, self._lists = piece, pause_s, lists
        self._head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n{head}\r\n".encode()
        self.asked: list[bytes] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await reader.read(1 << 16)
            self.asked.append(asked)
            if self._lists and asked.startswith(b"GET"):
                writer.write(LIST.raw)
            elif re.search(rb'"max_tokens": ?1\b', asked):
                writer.write(WARM.raw)
            else:
                await self._flood(writer)
        except (OSError, asyncio.CancelledError):
            return
        finally:
            writer.close()

    async def _flood(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self._head)
        while True:
            writer.write(self._piece)
            await writer.drain()
            await asyncio.sleep(self._pause_s)


async def ask(wire: Wire, url: str, silence_s: float = 5.0) -> ArenaError:
    """The fault with which a question ends."""
    backend = BACKENDS[wire](Endpoint("box", wire, url, silence_s=silence_s))
    try:
        async with asyncio.timeout(60):
            with pytest.raises(ArenaError) as caught:
                async for _ in backend.stream(Request(WHO, Prompt("Hi"), Sampling(max_tokens=9))):
                    pass
    finally:
        await backend.close()
    return caught.value


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@wires
async def test_a_gigabyte_without_a_line_break_is_given_up(wire):
    await ask(wire, "http://127.0.0.1:9")  # what is imported is in memory by then
    before = peak_bytes()
    async with Flood(PIECE) as server:
        fault = await ask(wire, server.url)
    assert fault.sentence == "box sent something that is no answer: a line without an end."
    assert peak_bytes() - before < 100 << 20


@wires
async def test_frames_without_an_end_are_given_up(wire, monkeypatch):
    monkeypatch.setattr(bounds, "_ANSWER_BYTES", 1 << 20)
    async with Flood(FRAMES[wire] * 100) as server:
        fault = await ask(wire, server.url)
    assert fault.sentence == "box sent something that is no answer: an answer without an end."


@wires
async def test_what_nobody_wanted_compressed_is_not_unpacked(wire):
    bomb = gzip.compress(b" " * (1 << 26))
    async with Flood(bomb, head="Content-Encoding: gzip\r\n") as server:
        fault = await ask(wire, server.url)
        assert b"accept-encoding: identity" in server.asked[-1].lower()
    assert fault.sentence == "box sent a compressed answer that can't be unpacked."


@wires
async def test_a_line_that_drips_is_given_up(wire):
    async with Flood(b" ", 0.05) as server:
        fault = await ask(wire, server.url, silence_s=0.5)
    assert type(fault) is SeatError
    assert "0.5 s" in fault.sentence


@wires
@pytest.mark.parametrize("piece", [PIECE, b" "], ids=["flood", "drip"])
async def test_a_list_without_an_end_is_given_up(wire, piece, monkeypatch):
    monkeypatch.setattr("arena.backends.http.LIST_S", 0.5)
    async with Flood(piece, 0.01, lists=False) as server:
        backend = BACKENDS[wire](Endpoint("box", wire, server.url))
        with pytest.raises(ArenaError):
            await backend.models()
        await backend.close()
