"""A question and its answer in the words of Ollama's /api/chat, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from arena.backends.thinking import ThoughtSplitter
from arena.core.events import Chunk, Usage
from arena.core.ports import Request

if TYPE_CHECKING:
    from ollama import ChatResponse

KEEP_ALIVE = "10m"
NS_PER_MS = 1e6
_THINK: Mapping[str, bool | None] = {"default": None, "on": True, "off": False}


def question(request: Request) -> dict[str, Any]:
    """What /api/chat is sent. Every sampler is said: the defaults of models and servers differ."""
    sampling, thinking = request.sampling, request.contestant.thinking
    return {
        "model": request.contestant.ref.name,
        "messages": request.messages,
        "think": _THINK.get(thinking, thinking),
        "keep_alive": KEEP_ALIVE,
        "options": {
            "num_ctx": sampling.context,
            "num_predict": sampling.max_tokens,
            "seed": sampling.seed,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repeat_penalty,
        },
    }


def chunks_of(frame: ChatResponse, splitter: ThoughtSplitter) -> Iterator[Chunk]:
    """What a frame says, empty pieces left out."""
    if frame.message.thinking:
        yield Chunk(frame.message.thinking, "thought")
    pieces = splitter.feed(frame.message.content) if frame.message.content else []
    for kind, text in (*pieces, *(splitter.finish() if frame.done else ())):
        yield Chunk(text, kind)


def usage_of(frame: ChatResponse, *, reused: bool) -> Usage:
    """What the last frame counts; its durations are in ns.

    It counts all tokens of the prompt, and the time of those that were computed: how many came from its cache it does
    not say. `reused`: some did, as far as can be told.
    """
    out_tokens, decode_ns = frame.eval_count, frame.eval_duration
    return Usage(
        prompt_tokens=frame.prompt_eval_count,
        reused=reused,
        out_tokens=out_tokens,
        prompt_ms=_ms(frame.prompt_eval_duration),
        decode_ms=_ms(decode_ns),
        decode_tps=out_tokens / decode_ns * 1e9 if out_tokens and decode_ns else None,
        load_ms=_ms(frame.load_duration),
        total_ms=_ms(frame.total_duration),
        finish="length" if frame.done_reason == "length" else "stop",
        source="server",
    )


def _ms(duration_ns: int | None) -> float | None:
    return None if duration_ns is None else duration_ns / NS_PER_MS
