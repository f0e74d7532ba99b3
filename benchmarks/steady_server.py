"""A server on the loopback that streams at a rate of its own, whoever listens: what a recorded rate is checked against.

    python benchmarks/steady_server.py TOKENS RATE

It speaks as much of the OpenAI wire as arena asks for. Its first line on stdout is the port; after each answer it says
at how many tokens a second it sent that answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from pty_app import tokens

MODELS = ("one", "two", "three")
_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n"


class SteadyServer:
    """Sends token i at i / rate seconds after the first; late ones at once."""

    def __init__(self, count: int, rate: float) -> None:
        """`count` tokens an answer, `rate` of them a second."""
        self._count, self._rate = count, rate

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one connection."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next((line for line in head.lower().split("\r\n") if line.startswith("content-length:")), ":0")
        body = json.loads(await reader.readexactly(int(length.split(":")[1])) or b"{}")
        if head.startswith("POST /v1/chat/completions"):
            writer.write(_HEAD.format(kind="text/event-stream", more="").encode())
            await self._stream(writer, body)
        elif head.startswith("GET /v1/models"):
            raw = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in MODELS]})
            writer.write(_HEAD.format(kind="application/json", more=f"Content-Length: {len(raw)}\r\n").encode())
            writer.write(raw.encode())
        else:
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    async def _stream(self, writer: asyncio.StreamWriter, body: dict[str, object]) -> None:
        count = min(self._count, int(str(body.get("max_tokens", self._count))))
        begun = time.monotonic()
        for index, text in enumerate(tokens(count, MODELS.index(str(body["model"])))):
            await asyncio.sleep(max(0.0, begun + index / self._rate - time.monotonic()))
            if index == 0:
                begun = time.monotonic()
            _say(writer, {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
            await writer.drain()
        took = time.monotonic() - begun
        usage = {"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}
        _say(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
        writer.write(b"data: [DONE]\n\n")
        if count == self._count:
            print(json.dumps((count - 1) / took), flush=True)


def _say(writer: asyncio.StreamWriter, event: object) -> None:
    writer.write(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())


async def main(count: int, rate: float) -> None:
    """Serve until somebody ends it."""
    server = await asyncio.start_server(SteadyServer(count, rate).answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
