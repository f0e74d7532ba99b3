"""Reads what an OpenAI-compatible server says of one answer, frame by frame, in all of its dialects."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from arena.backends import http
from arena.backends.openai_flavours import count_in
from arena.backends.thinking import ThoughtSplitter
from arena.core.endpoints import Endpoint
from arena.core.errors import SeatError
from arena.core.events import Chunk, Usage

_END = "[DONE]"
_MOST_MS = 1e12
_THOUGHTS = ("reasoning_content", "reasoning", "reasoning_details")
"""In some versions a server sends a thought under two of these names at once."""


class Reading:
    """What was read of one answer until now."""

    def __init__(self, endpoint: Endpoint) -> None:
        """`endpoint`: whose name the faults say."""
        self._endpoint = endpoint
        self._splitter = ThoughtSplitter()
        self._usage: Mapping[str, Any] = {}
        self._timings: Mapping[str, Any] = {}
        self._thought = False
        self.finish = ""
        """As the server says it; '' until then."""
        self.ended = False
        """Whether the server said that this is all."""
        self.begun = False
        """Whether there was any text."""

    def frame(self, data: str, event: str = "") -> list[Chunk]:
        """The text in one frame of the stream. Raises SeatError for an error, and for what is no frame."""
        if data.strip() == _END:
            self.ended = True
            return []
        if not data.strip():
            return []
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            if event == "error":
                raise http.status_fault(500, data, self._endpoint) from error
            raise http.garbage_fault(self._endpoint, data) from error
        if event == "error" and not (isinstance(found, dict) and found.get("error")):
            found = {"error": found or "error"}
        return self._read(found)

    def whole(self, text: str) -> list[Chunk]:
        """The text of a completion that came in one piece, though a stream was asked for. Raises SeatError."""
        chunks = self.frame(text)
        if not (self.begun or self.finish):
            raise http.garbage_fault(self._endpoint, text)
        self.ended = True
        return chunks

    def _read(self, found: object) -> list[Chunk]:
        if not isinstance(found, dict):
            raise http.garbage_fault(self._endpoint, json.dumps(found))
        if found.get("error"):
            raise self._said_fault(found)
        self._usage = _object(found, "usage") or self._usage
        self._timings = _object(found, "timings") or self._timings
        choices = found.get("choices")
        chunks: list[Chunk] = []
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                chunks += self._choice(choice)
        return chunks

    def rest(self) -> list[Chunk]:
        """What was held back, when the answer is over."""
        return [Chunk(text, kind) for kind, text in self._splitter.finish()]

    def usage(self) -> Usage:
        """What the server counted of it."""
        usage, timings = self._usage, self._timings
        finish = "length" if self.finish == "length" else "stop"
        out_tokens = count_in(usage.get("completion_tokens"))
        if out_tokens is None and not timings:
            return Usage(finish=finish, source="estimate")
        cached = count_in(_object(usage, "prompt_tokens_details").get("cached_tokens"))
        thinking = count_in(_object(usage, "completion_tokens_details").get("reasoning_tokens"))
        if cached is None:
            cached = count_in(timings.get("cache_n"))
        prompt_tokens, told = count_in(usage.get("prompt_tokens")), out_tokens is not None
        if prompt_tokens is None and (computed := count_in(timings.get("prompt_n"))) is not None:
            prompt_tokens = computed + (cached or 0)
        # `predicted_n` counts n tokens, and `predicted_ms` spans the n-1 gaps between them
        steps, decode_ms = count_in(timings.get("predicted_n")), _ms(timings.get("predicted_ms"))
        return Usage(
            prompt_tokens=prompt_tokens,
            cached_tokens=cached,
            out_tokens=out_tokens if told else steps,
            think_tokens=None if self._thought and not thinking else thinking,
            prompt_ms=_ms(timings.get("prompt_ms")),
            decode_ms=decode_ms,
            decode_tps=(steps - 1) / decode_ms * 1000 if steps and steps > 1 and decode_ms else None,
            finish=finish,
            source="usage" if told else "server",
        )

    def _choice(self, choice: Mapping[str, Any]) -> list[Chunk]:
        delta = _object(choice, "delta") or _object(choice, "message")
        chunks: list[Chunk] = []
        thought = next((text for name in _THOUGHTS if (text := _text_of(delta.get(name)))), "")
        if thought:
            self._thought = True
            chunks.append(Chunk(thought, "thought"))
        if answer := _text_of(delta.get("content")):
            pieces = self._splitter.feed(answer)
            self._thought = self._thought or any(kind == "thought" for kind, _ in pieces)
            chunks += [Chunk(text, kind) for kind, text in pieces]
        self.begun = self.begun or bool(thought or answer)
        if isinstance(reason := choice.get("finish_reason"), str):
            self.finish = reason or self.finish
            if self.finish:  # what is held back need not wait for the counts
                chunks += self.rest()
        return chunks

    def _said_fault(self, found: Mapping[str, Any]) -> SeatError:
        """The fault that a server tells within its answer: {"error": "..."} or {"error": {"message", "code"}}."""
        code = _object(found, "error").get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
        return http.status_fault(status, json.dumps({"error": found["error"]}), self._endpoint)


def _object(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, dict) else {}


def _text_of(value: object) -> str:
    """The text of a string, or of a list of parts: [{"type": "text", "text": "..."}]."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        parts = (part.get("text") or part.get("summary") for part in value if isinstance(part, dict))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _ms(value: object) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if 0 < value < _MOST_MS else None
