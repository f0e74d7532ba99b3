"""A raw server on this machine's loopback that does one thing wrong at a chosen moment.

It lists one model, `one`, and answers the warm-up; the acts are for the questions behind it, one a question, and when
they are used up it answers well.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

TEXT = "Once upon a time."
PATIENCE_S = 20.0
DRIP_S = 0.02


@dataclass(frozen=True)
class Act:
    """What is sent for one request, and how the connection ends."""

    raw: bytes
    then: str = "close"
    """`close`, `reset` (as a crash does), `hang`, or `drip`: a blank now and then, without an end."""


def status(code: int, body: Any = "", **headers: str) -> Act:
    """An answer that is none; `body`: a JSON value or a text, `headers` with _ for -."""
    raw = (body if isinstance(body, str) else json.dumps(body)).encode()
    kind = headers.pop("content_type", "text/plain" if isinstance(body, str) else "application/json")
    lines = [f"HTTP/1.1 {code} X", f"Content-Type: {kind}", f"Content-Length: {len(raw)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return Act("\r\n".join([*lines, "", ""]).encode() + raw)


def stream(*frames: Any, then: str = "close", kind: str = "text/event-stream", end: str = "\n\n") -> Act:
    """A stream of frames: JSON values, or lines as they are. It ends where the connection does."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n"
    lines = [frame if isinstance(frame, str) else f"data: {json.dumps(frame, ensure_ascii=False)}" for frame in frames]
    return Act((head + "".join(line + end for line in lines)).encode(), then)


def said(text: str | None = None, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """A frame with a piece of text."""
    return {"choices": [{"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}]}


WELL = stream(said(TEXT), said(finish="stop"), "data: [DONE]")
SILENCE = Act(b"", "hang")
CUT_BEFORE = Act(b"", "reset")
CUT_WITHIN = stream(said("Once upon"), then="reset")
SILENT_WITHIN = stream(said("Once upon"), then="hang")
LIST = status(200, {"data": [{"id": "one", "owned_by": "somebody"}]})
WARM = status(200, {"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": "length"}]})


class FaultyServer:
    """`with FaultyServer(act, ...) as server: ... server.url`; ends with the block.

    `listing`: what GET /v1/models gets, `pages`: what other addresses get, `pause_s` goes before either; `warming`:
    what the first warm-ups get; `tls`: (certificate, key) files.
    """

    def __init__(
        self,
        *acts: Act,
        listing: Act = LIST,
        pages: Act | None = None,
        pause_s: float = 0.0,
        warming: tuple[Act, ...] = (),
        tls: tuple[str, str] | None = None,
    ) -> None:
        self._pages, self._pause_s = pages or status(404, {"error": "no such page"}), pause_s
        self._acts, self._listing, self._warming = list(acts), listing, list(warming)
        self.seen: list[str] = []
        """Every request as it came."""
        self.chats: list[dict[str, Any]] = []
        """The questions behind the warm-up."""
        self._over = threading.Event()
        self._scheme = "https" if tls else "http"
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._port = self._socket.getsockname()[1]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._socket = context.wrap_socket(self._socket, server_side=True, do_handshake_on_connect=False)

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._socket.close()

    def _listen(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.settimeout(PATIENCE_S)
                act = self._act_for(self._request(connection))
                connection.sendall(act.raw)
                if act.then == "hang":
                    self._over.wait(PATIENCE_S)
                elif act.then == "drip":
                    self._drip(connection)
                elif act.then == "reset":
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:  # the other side has gone, or does not speak this
                return

    def _drip(self, connection: socket.socket) -> None:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and not self._over.wait(DRIP_S):
            connection.sendall(b" ")

    def _request(self, connection: socket.socket) -> tuple[str, bytes]:
        raw = b""
        while b"\r\n\r\n" not in raw:
            if not (part := connection.recv(65536)):
                raise ConnectionError
            raw += part
            if raw.startswith(b"\x16"):  # the beginning of TLS, where nobody speaks it
                connection.sendall(status(400).raw)
                raise ConnectionError
        head, _, body = raw.partition(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0
        )
        while len(body) < length:
            body += connection.recv(65536)
        self.seen.append((head + b"\r\n\r\n" + body).decode())
        return head.split(b"\r\n")[0].decode(), body

    def _act_for(self, request: tuple[str, bytes]) -> Act:
        line, body = request
        if line.startswith("GET"):
            self._over.wait(self._pause_s)
            return self._listing if line.split()[1] == "/v1/models" else self._pages
        asked = json.loads(body)
        if asked["max_tokens"] == 1:
            return self._warming.pop(0) if self._warming else WARM
        self.chats.append(asked)
        return self._acts.pop(0) if self._acts else WELL


def free_port() -> int:
    """A port of the loopback where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
