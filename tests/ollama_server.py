"""A server that speaks Ollama's API as it is published, on a free loopback port, for tests. It holds no model.

with OllamaServer({"llama3.2:latest": ServedModel()}) as server:
    ask(server.url)
"""

from __future__ import annotations

import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from ollama_answers import (
    LOAD_NS,
    READY_NS,
    ServedModel,
    details_of,
    digest_of,
    frame,
    frames_of,
    full,
    refusal_of,
    shown_of,
)

VERSION = "0.12.6"
DEFAULT_CONTEXT = 4096


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


class OllamaServer:
    """The server, as a context manager. What may be looked at or changed at any time are its attributes."""

    def __init__(self, models: Mapping[str, ServedModel], *, tls: tuple[str, str] | None = None) -> None:
        """`tls`: paths of a certificate and its key."""
        self.models = {full(name): model for name, model in models.items()}
        self.library: dict[str, list[tuple[str, int]]] = {}
        """What can be fetched: (digest, bytes) of each layer."""
        self.partial: dict[str, int] = {}
        """Bytes that were fetched of each digest."""
        self.pull_gap_s = 0.0
        self.loaded: dict[str, int] = {}
        """The context of each model that is in memory."""
        self.tells_context = True
        self.asked: list[Asked] = []
        self.left = threading.Event()
        """Set when a client went away in the middle of an answer."""
        self.pages: dict[str, tuple[int, str, bytes]] = {}
        """(status, type, body) that a path answers with instead."""
        self.silent: set[str] = set()
        """Paths that are never answered."""
        self.redirects: dict[str, str] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads, self._http.block_on_close = True, False
        self._http.owner = self  # type: ignore[attr-defined]
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        self._http.handle_error = lambda *_: None  # type: ignore[method-assign] # clients go away, as they may
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        """What was asked of a path."""
        return [asked.body for asked in self.asked if asked.path == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    @property
    def owner(self) -> OllamaServer:
        return self.server.owner  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            body = json.loads(content)
        except ValueError:
            self._json(400, {"error": "invalid character in request"})
            return
        self._serve(body)

    def _serve(self, body: dict[str, Any]) -> None:
        owner, path = self.owner, self.path
        owner.asked.append(Asked(self.command, path, {key.lower(): value for key, value in self.headers.items()}, body))
        if path in owner.silent:
            self._wait(20)
        elif path in owner.pages:
            self._plain(*owner.pages[path])
        elif path in owner.redirects:
            self._plain(302, "text/plain", b"", {"Location": owner.redirects[path]})
        elif path == "/":
            self._plain(200, "text/plain; charset=utf-8", b"Ollama is running")
        elif path in _ROUTES:
            getattr(self, _ROUTES[path])(body)
        else:
            self._plain(404, "text/plain", b"404 page not found")

    # What is at hand

    def _version(self, _: dict[str, Any]) -> None:
        self._json(200, {"version": VERSION})

    def _tags(self, _: dict[str, Any]) -> None:
        listed = [
            {
                "name": name,
                "model": name,
                "modified_at": "2026-09-01T10:00:00.123456789+02:00",
                "size": model.size,
                "digest": digest_of(name, model),
                "details": details_of(model),
            }
            for name, model in self.owner.models.items()
        ]
        self._json(200, {"models": listed})

    def _show(self, body: dict[str, Any]) -> None:
        model = self._model(body)
        if model is None:
            return
        if model.show_fault:
            self._json(model.show_fault, {"error": "something went wrong"})
            return
        self._json(200, shown_of(model, verbose=bool(body.get("verbose"))))

    def _ps(self, _: dict[str, Any]) -> None:
        entries = []
        for name, context in list(self.owner.loaded.items()):
            model = self.owner.models[name]
            entry = {
                "name": name,
                "model": name,
                "size": model.size + 500_000_000,
                "digest": digest_of(name, model),
                "details": details_of(model),
                "expires_at": "2027-01-01T00:00:00Z",
                "size_vram": model.size,
            }
            entries.append({**entry, "context_length": context} if self.owner.tells_context else entry)
        self._json(200, {"models": entries})

    # Answers

    def _generate(self, body: dict[str, Any]) -> None:
        prompt = body.get("prompt") or ""
        self._answer(body, [{"role": "user", "content": prompt}] if prompt else [], "generate")

    def _chat(self, body: dict[str, Any]) -> None:
        self._answer(body, body.get("messages") or [], "chat")

    def _answer(self, body: dict[str, Any], messages: list[dict[str, str]], way: str) -> None:
        model, name = self._model(body), full(str(body.get("model")))
        if model is None:
            return
        if model.refusals:
            status, text, headers = model.refusals.pop(0)
            self._plain(status, "application/json", text.encode(), headers)
            return
        if not messages and body.get("keep_alive") == 0:
            self.owner.loaded.pop(name, None)
            self._json(200, frame(body, way, "", done=True, done_reason="unload"))
            return
        if refused := refusal_of(body, model, way):
            self._json(*refused)
            return
        load_ns = self._load(name, model, body)
        if not messages:
            self._json(200, frame(body, way, "", done=True, done_reason="load"))
            return
        frames = frames_of(body, model, messages, way, load_ns)
        if body.get("stream", True):
            self._stream(frames, model)
        else:
            self._json(200, list(frames)[-1])

    def _load(self, name: str, model: ServedModel, body: dict[str, Any]) -> int:
        context = min(int((body.get("options") or {}).get("num_ctx", DEFAULT_CONTEXT)), model.trained_context)
        if self.owner.loaded.get(name) == context:
            return READY_NS
        time.sleep(model.load_s)
        self.owner.loaded[name] = context
        return LOAD_NS

    def _stream(self, frames: Iterable[dict[str, Any]], model: ServedModel) -> None:
        self._open("application/x-ndjson")
        for number, each in enumerate(frames):
            if model.fault and model.fault != "after" and number == model.fault_at:
                fault, model.fault = model.fault, "" if model.faults_once else model.fault
                self._go_wrong(fault)
                return
            if self._wait(model.gap_s):
                return
            self._line(each)
        if model.fault == "after":
            self._go_wrong("cut")
            return
        self._end()

    def _go_wrong(self, fault: str) -> None:
        if fault == "silence":
            self._wait(20)
        elif fault == "garbage":
            self._chunk(b"%PDF-1.7 nonsense\n")
            self._end()
        elif fault == "end":
            self._end()
        elif fault == "cut":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self._line({"error": fault})
            self._end()

    # Fetching

    def _pull(self, body: dict[str, Any]) -> None:
        owner, name = self.owner, str(body.get("model"))
        self._open("application/x-ndjson")
        self._line({"status": "pulling manifest"})
        if name not in owner.library:
            self._line({"error": "pull model manifest: file does not exist"})
            self._end()
            return
        for digest, total in owner.library[name]:
            step = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
            if not owner.partial.get(digest):
                self._line(step)
            while (done := owner.partial.get(digest, 0)) < total:
                if self._wait(owner.pull_gap_s):
                    return
                owner.partial[digest] = min(total, done + max(1, total // 10))
                self._line({**step, "completed": owner.partial[digest]})
            self._line({**step, "completed": total})
        for status in ("verifying sha256 digest", "writing manifest"):
            self._line({"status": status})
        owner.models[full(name)] = ServedModel()
        self._line({"status": "success"})
        self._end()

    # The wire

    def _model(self, body: dict[str, Any]) -> ServedModel | None:
        name = str(body.get("model"))
        model = self.owner.models.get(full(name))
        if model is None:
            self._json(404, {"error": f"model '{name}' not found"})
        return model

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._plain(status, "application/json; charset=utf-8", json.dumps(value).encode())

    def _plain(self, status: int, kind: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        sent = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
        for key, value in sent.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _open(self, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _line(self, value: dict[str, Any]) -> None:
        self._chunk(json.dumps(value).encode() + b"\n")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _end(self) -> None:
        self.wfile.write(b"0\r\n\r\n")

    def _wait(self, seconds: float) -> bool:
        """Wait; True when the client went away meanwhile, which ends the answer, as it does on a real server."""
        readable, _, _ = select.select([self.connection], [], [], seconds)
        if readable and not self.connection.recv(1, socket.MSG_PEEK):
            self.owner.left.set()
            self.close_connection = True
            return True
        return False


_ROUTES = {
    "/api/version": "_version",
    "/api/tags": "_tags",
    "/api/show": "_show",
    "/api/ps": "_ps",
    "/api/generate": "_generate",
    "/api/chat": "_chat",
    "/api/pull": "_pull",
}


def contract_server() -> OllamaServer:
    """A server with two models whose answers have about thirty words, for the contract of all backends."""
    slow = {"gap_s": 0.001}
    return OllamaServer({"llama3.2:3b": ServedModel(**slow), "qwen3:8b": ServedModel(**slow, family="qwen3")})
