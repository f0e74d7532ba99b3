"""The metrics of an answer: one definition each, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TokenSource = Literal["usage", "server", "estimate"]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What was measured of one answer. Times in ms on the client's monotonic clock; None: not measured.

    DEFINITIONS holds the definition of every field.
    """

    queue_ms: float | None = None
    load_ms: float | None = None
    ttft_ms: float | None = None
    ttfa_ms: float | None = None
    e2e_ms: float | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    prefill_tps: float | None = None
    out_tokens: int | None = None
    think_tokens: int | None = None
    out_chars: int = 0
    decode_tps: float | None = None
    server_decode_tps: float | None = None
    server_load_ms: float | None = None
    server_prompt_ms: float | None = None
    server_decode_ms: float | None = None
    server_e2e_ms: float | None = None
    chars_per_s: float | None = None
    max_gap_ms: float | None = None
    token_source: TokenSource = "estimate"  # noqa: S105 - no password
    finish: str = ""
    cold: bool = False
    contended: bool = False
    cached: bool = False
    speed_visible: bool = False


DEFINITIONS: dict[str, str] = {
    "queue_ms": "From the start of the round until it was this seat's turn; apart from everything else.",
    "load_ms": "Loading the model before the request was sent, 0 when it was loaded. In no other figure.",
    "ttft_ms": "Time to first token: request sent (after the load) to the first non-empty delta, thinking included.",
    "ttfa_ms": "Time to first answer: request sent to the first delta of the answer itself; later when it thinks.",
    "e2e_ms": "Request sent to the last delta.",
    "prompt_tokens": "Tokens of the prompt in its chat template, as the backend counted them.",
    "cached_tokens": "Prompt tokens that came from a cache and were not computed.",
    "prefill_tps": "(prompt_tokens - cached_tokens) / the backend's prompt time; where it gives none, / ttft. "
    "None where a part came from a cache and nobody says how many.",
    "out_tokens": "Tokens generated, thinking included.",
    "think_tokens": "Tokens of the thinking text, where they can be told apart.",
    "out_chars": "Characters of the answer, thinking left out.",
    "decode_tps": "(out_tokens - 1) / (last delta - first delta), on this machine's clock: n tokens span n-1 gaps. "
    "Deltas are stamped as they arrive; those of embedded models as they leave the engine's process.",
    "server_decode_tps": "The backend's own decode rate as it reports it; shown beside decode_tps, never for it.",
    "server_load_ms": "What the backend says it spent on loading within the request. More than a second makes it cold.",
    "server_prompt_ms": "What the backend says it spent on the prompt (prefill).",
    "server_decode_ms": "What the backend says it spent on generating.",
    "server_e2e_ms": "What the backend says the whole request took; e2e_ms less this is the way and the queue.",
    "chars_per_s": "Answer characters after the first answer delta / (last - first answer delta). "
    "Tokenizers differ: compare models by this, not by tokens.",
    "max_gap_ms": "The longest silence between two deltas.",
    "token_source": "Who counted: usage (the protocol's record), server (its counters), estimate (printed with ~).",
    "finish": "Why it ended: stop, length (max_tokens or the context was full), cancelled.",
    "cold": "Loaded within the request, so not warm. Takes the run out of the speed columns, never out of the vote.",
    "contended": "Another model answered on this machine meanwhile. Out of the speed columns, never out of the vote.",
    "cached": "A part of the prompt came from a cache, or the model was asked just before what began with the same "
    "question and its server counts no cached tokens. Out of the speed columns, never out of the vote.",
    "speed_visible": "The answers were shown as they arrived: the speed could be seen before the vote.",
}
