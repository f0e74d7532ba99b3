"""A server on this machine's loopback that speaks the OpenAI wire in the dialect of each kind of server.

Its answers depend on the model, the prompt and the seed only. Everything that it is asked is kept in `asked`.
"""

from __future__ import annotations

import json
import random
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

WORDS = (
    "a",
    "fox",
    "found",
    "an",
    "old",
    "lantern",
    "near",
    "the",
    "river",
    "and",
    "carried",
    "light",
    "home",
    "at",
    "night",
)
TEMPLATE = "{% for message in messages %}{{ message.content }}{% endfor %}"
KEYS = {
    "transformers": {"model", "messages", "stream", "stream_options", "max_tokens", "seed", "temperature", "top_p"}
    | {"generation_config", "chat_template_kwargs"},
    "gpt4all": {"model", "messages", "max_tokens", "temperature", "top_p", "min_p"},
}
"""Where a dialect refuses every other key."""


@dataclass
class Dialect:
    """How one kind of server talks."""

    name: str = "openai"
    thought: str = ""
    """The name that a thought goes by; '': there is none. `tags`: it is in the text."""
    usage: bool = True
    timings: bool = False
    done: bool = True
    streams: bool = True
    pinned: str = ""
    refuses: frozenset[str] = frozenset()


DIALECTS = {
    "openai": Dialect(),
    "vllm": Dialect("vllm", thought="reasoning"),
    "llama-server": Dialect("llama-server", thought="reasoning_content", timings=True),
    "llama-cpp-python": Dialect("llama-cpp-python", usage=False),
    "lmstudio": Dialect("lmstudio", thought="reasoning_content"),
    "transformers": Dialect("transformers", thought="reasoning_content", done=False),
    "gpt4all": Dialect("gpt4all", streams=False),
    "localai": Dialect("localai", thought="tags"),
}


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


class OpenAIServer:
    """`with OpenAIServer("vllm") as server: ... server.url`; ends with the block."""

    def __init__(self, dialect: str | Dialect = "openai", models: tuple[str, ...] = ("one", "two"), **options: Any):
        """`options`: `words` of an answer, `gap_s` between them, `listed` (False: there is no list of models)."""
        self.dialect = DIALECTS[dialect] if isinstance(dialect, str) else dialect
        self.models = models
        self.words: int = options.get("words", 30)
        self.gap_s: float = options.get("gap_s", 0.0)
        self.listed: bool = options.get("listed", True)
        self.asked: list[Asked] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"server_of": self}))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The questions to the models that were no warm-up."""
        bodies = [asked.body for asked in self.asked if asked.path.endswith("/chat/completions")]
        return [body for body in bodies if body.get("max_tokens", 0) > 1]

    @property
    def warm_ups(self) -> list[dict[str, Any]]:
        bodies = [asked.body for asked in self.asked if asked.path.endswith("/chat/completions")]
        return [body for body in bodies if body.get("max_tokens") == 1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def entries(self) -> list[dict[str, Any]]:
        return [{**_ENTRY.get(self.dialect.name, {}), "id": model, "object": "model"} for model in self.models]


def contract_server() -> OpenAIServer:
    """A server with two models whose answers have some 30 words: enough to be called off in the middle."""
    return OpenAIServer("llama-server", gap_s=0.001)


_ENTRY: dict[str, dict[str, Any]] = {
    "openai": {"owned_by": "somebody"},
    "vllm": {"owned_by": "vllm", "max_model_len": 2048, "root": "org/one"},
    "llama-server": {
        "owned_by": "llamacpp",
        "meta": {"n_ctx": 512, "n_ctx_train": 4096, "n_params": 192832, "size": 205824, "ftype": "Q8_0"},
    },
    "llama-cpp-python": {"owned_by": "me", "permissions": []},
    "lmstudio": {"owned_by": "organization_owner"},
    "transformers": {"owned_by": "org", "created": 1},
    "gpt4all": {"owned_by": "humanity"},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_of: OpenAIServer

    def do_GET(self) -> None:
        self.server_of.asked.append(Asked("GET", self.path, dict(self.headers)))
        found = self._page(self.path)
        self._send(200 if found is not None else 404, found or {"error": {"message": "File Not Found"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server_of.asked.append(Asked("POST", self.path, dict(self.headers), body))
        dialect = self.server_of.dialect
        unknown = set(body) - KEYS.get(dialect.name, set(body)) | dialect.refuses & set(body)
        if self.path != "/v1/chat/completions":
            self._send(404, {"error": {"message": "File Not Found"}})
        elif unknown:
            self._send(422, {"detail": f"Unexpected fields in the request: {unknown}"})
        elif dialect.pinned and body["model"] != dialect.pinned:
            self._send(400, {"detail": f"Server is pinned to '{dialect.pinned}'; requested '{body['model']}'."})
        elif body["model"] not in (*self.server_of.models, dialect.pinned):
            self._send(404, {"error": {"message": f"The model {body['model']} does not exist."}})
        elif body.get("stream") and dialect.streams:
            self._stream(body)
        else:
            self._send(200, _completion(body, *self._answer(body)))

    def _page(self, path: str) -> dict[str, Any] | None:
        server, name = self.server_of, self.server_of.dialect.name
        if path == "/v1/models" and server.listed:
            return {"object": "list", "data": server.entries()}
        if path == "/props" and name == "llama-server":
            return {
                "default_generation_settings": {"n_ctx": 512},
                "chat_template": TEMPLATE,
                "model_path": "/m/one.gguf",
            }
        if path == "/openapi.json" and name == "transformers":
            return {"paths": {"/v1/chat/completions": {}, "/load_model": {}}}
        if path == "/api/v0/models" and name == "lmstudio":
            facts = {"arch": "qwen3", "quantization": "Q4_K_M", "max_context_length": 32768, "state": "not-loaded"}
            entries = [{"id": model, "type": "llm", **facts} for model in server.models]
            entries[0] |= {"state": "loaded", "loaded_context_length": 4096}
            return {"data": [*entries, {"id": "nomic", "type": "embeddings", "state": "not-loaded"}]}
        return None

    def _answer(self, body: dict[str, Any]) -> tuple[list[str], list[str], str]:
        """Words of the thought, words of the answer, and why it ends."""
        chance = random.Random(json.dumps([body["model"], body["messages"], body.get("seed")]))
        words = [f"{chance.choice(WORDS)} " for _ in range(self.server_of.words)]
        thought = ["let ", "me ", "think "] if self.server_of.dialect.thought else []
        told = (thought + words)[: body["max_tokens"]]
        finish = "length" if len(told) < len(thought) + len(words) else "stop"
        return told[: len(thought)], told[len(thought) :], finish

    def _stream(self, body: dict[str, Any]) -> None:
        dialect, (thought, words, finish) = self.server_of.dialect, self._answer(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for frame in _frames(dialect, thought, words, finish, body):
                self._chunk(f"data: {json.dumps(frame)}\n\n")
                time.sleep(self.server_of.gap_s)
            if dialect.done:
                self._chunk(": a comment\n\ndata: [DONE]\n\n")
            self.wfile.write(b"0\r\n\r\n")
        except OSError:  # called off
            self.close_connection = True

    def _chunk(self, text: str) -> None:
        raw = text.encode()
        self.wfile.write(f"{len(raw):x}\r\n".encode() + raw + b"\r\n")

    def _send(self, status: int, found: dict[str, Any]) -> None:
        raw = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _frames(dialect: Dialect, thought: list[str], words: list[str], finish: str, body: dict[str, Any]):
    def delta(**said: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": said, "finish_reason": None}]}

    count = len(thought) + len(words)
    yield delta(role="assistant", content=None)
    if dialect.thought == "tags":
        words = ["<think>", *thought, "</think>\n", *words]
    else:
        for word in thought:
            yield delta(**{dialect.thought: word})
    for word in words:
        yield delta(content=word)
    counts = {"usage": _usage(count, body)}
    last: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
    if dialect.name == "transformers":
        yield {**last, **counts}
        return
    yield last
    if dialect.usage and body.get("stream_options", {}).get("include_usage"):
        told = {}
        if dialect.timings:
            told["timings"] = {"cache_n": 0, "prompt_n": 9, "prompt_ms": 3.0, "predicted_n": count, "predicted_ms": 4.0}
        yield {"choices": [], **counts, **told}


def _completion(body: dict[str, Any], thought: list[str], words: list[str], finish: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": "".join(words), "reasoning_content": "".join(thought) or None}
    choice = {"index": 0, "message": message, "finish_reason": finish}
    return {"object": "chat.completion", "choices": [choice], "usage": _usage(len(thought) + len(words), body)}


def _usage(count: int, body: dict[str, Any]) -> dict[str, Any]:
    prompt = sum(len(message["content"].split()) for message in body["messages"]) + 4
    return {"prompt_tokens": prompt, "completion_tokens": count, "prompt_tokens_details": {"cached_tokens": 0}}
