"""What backends say (Chunk, Usage) and what the engine tells of it (stream events with times)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["answer", "thought"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of text as it came over the wire."""

    text: str
    kind: Kind = "answer"
    at_ns: int | None = None
    """When it was made, on this machine's monotonic clock, where the engine is a process on this machine and says so.

    None: it is stamped when it arrives. A pipe may deliver many tokens at once while the screen is painted.
    """


@dataclass(frozen=True, slots=True)
class Sent:
    """The request goes out now. A backend says it first when there may have been something to wait for before."""

    at_ns: int | None = None
    """As in Chunk."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a backend says about an answer when it is over. None: it does not say."""

    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    out_tokens: int | None = None
    think_tokens: int | None = None
    prompt_ms: float | None = None
    decode_ms: float | None = None
    decode_tps: float | None = None
    """The backend's own decode rate, in tokens per second."""
    load_ms: float | None = None
    """What the backend says it spent on loading within this request."""
    total_ms: float | None = None
    """What the backend says the whole request took."""
    first_ns: int | None = None
    last_ns: int | None = None
    """When the first and the last token were made, on this machine's clock: a token may be a part of a character."""
    finish: str = "stop"
    """`stop`, `length` or `cancelled`."""
    source: Literal["usage", "server", "estimate"] = "server"
    reused: bool = False
    """Whether it most likely had a part of the prompt in a cache, where it does not say how much."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The request of a seat was sent; its model is loaded."""

    seat: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Text arrived."""

    seat: int
    at_ns: int
    text: str
    kind: Kind = "answer"


@dataclass(frozen=True, slots=True)
class Closed:
    """The answer of a seat is complete."""

    seat: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A seat can't answer. Why stands in its answer: every reason names a model or a server in some way."""

    seat: int
    at_ns: int


Piece = Sent | Chunk | Usage
"""What a backend streams: at most one Sent first, chunks, one Usage last."""

StreamEvent = Opened | Delta | Closed | Failed
