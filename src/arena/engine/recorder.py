"""Turns the events of one seat into its answer and its metrics. Knows no clock: every call brings its time."""

from __future__ import annotations

from itertools import pairwise

from arena.core.errors import SeatError
from arena.core.events import Chunk, Kind, Usage
from arena.core.rounds import Answer, Outcome
from arena.core.text import storable
from arena.core.timing import Metrics, TokenSource

_CHARS_PER_TOKEN = 3.5
_NS_PER_MS = 1e6
_COLD_MS = 1000.0
"""Ollama reports some ten ms of `load_duration` for a model that is loaded already."""
_TRUNCATIONS = ("length",)


class Recorder:
    """What is noted of one answer. All times in ns on one monotonic clock."""

    def __init__(self, seat: int, *, speed_visible: bool = False) -> None:
        """Begin a record; `speed_visible` is the pace of the round."""
        self.seat = seat
        self.company: set[str] = set()
        """Fingerprints of those that streamed on this machine meanwhile."""
        self._speed_visible = speed_visible
        self._queue_ms = self._load_ms = 0.0
        self._opened_ns = 0
        self._text: dict[Kind, list[str]] = {"answer": [], "thought": []}
        self._stamps: list[int] = []
        self._answer_stamps: list[tuple[int, int]] = []
        self._usage: Usage | None = None

    def opened(self, at_ns: int, *, queue_ms: float, load_ms: float) -> None:
        """The model is loaded, and nothing is known to be in the way of the request."""
        self._opened_ns, self._queue_ms, self._load_ms = at_ns, queue_ms, load_ms

    def sent(self, at_ns: int) -> None:
        """The request goes out now: what was before was waiting, not answering."""
        at_ns = max(at_ns, self._opened_ns)
        self._queue_ms += (at_ns - self._opened_ns) / _NS_PER_MS
        self._opened_ns = at_ns

    def heard(self, at_ns: int, chunk: Chunk) -> None:
        """Note a piece of text; it is not empty."""
        at_ns = max(at_ns, self._stamps[-1] if self._stamps else self._opened_ns)
        self._text[chunk.kind].append(storable(chunk.text))
        self._stamps.append(at_ns)
        if chunk.kind == "answer":
            self._answer_stamps.append((at_ns, len(chunk.text)))

    def counted(self, usage: Usage) -> None:
        """Note what the backend counted."""
        self._usage = usage

    def answer(self) -> Answer:
        """The record of an answer that came to its end."""
        finish = self._usage.finish if self._usage else "stop"
        text = "".join(self._text["answer"])
        if finish == "cancelled":
            outcome = Outcome.CANCELLED
        elif not text.strip():
            outcome = Outcome.EMPTY
        else:
            outcome = Outcome.TRUNCATED if finish in _TRUNCATIONS else Outcome.ANSWERED
        eaten = outcome is Outcome.EMPTY and finish in _TRUNCATIONS and self._text["thought"]
        error = "All of max_tokens went into thinking. Raise max_tokens." if eaten else ""
        return self._answer(outcome, error)

    def failure(self, fault: SeatError) -> Answer:
        """The record of an answer that broke off, with what was said until then."""
        return self._answer(Outcome.FAILED, str(fault))

    def cancelled(self) -> Answer:
        """The record of an answer that was called off, with what was said until then."""
        return self._answer(Outcome.CANCELLED, "")

    def _answer(self, outcome: Outcome, error: str) -> Answer:
        text, thought = "".join(self._text["answer"]), "".join(self._text["thought"])
        return Answer(self.seat, text, thought, self._metrics(len(text), len(thought)), outcome, error)

    def _metrics(self, out_chars: int, thought_chars: int) -> Metrics:
        usage, stamps = self._usage or Usage(source="estimate"), self._stamps
        source: TokenSource = usage.source
        out_tokens = usage.out_tokens
        if out_tokens is None and stamps:
            out_tokens, source = max(1, round((out_chars + thought_chars) / _CHARS_PER_TOKEN)), "estimate"
        ttft_ms = self._since_open(stamps[0]) if stamps else None
        prompt_ms = usage.prompt_ms or ttft_ms
        told = None if usage.reused else usage.prompt_tokens  # nobody knows how many of them were computed
        computed = None if told is None else told - (usage.cached_tokens or 0)
        gaps = [after - before for before, after in pairwise(stamps)]
        return Metrics(
            queue_ms=self._queue_ms,
            load_ms=self._load_ms,
            ttft_ms=ttft_ms,
            ttfa_ms=self._since_open(self._answer_stamps[0][0]) if self._answer_stamps else None,
            e2e_ms=self._since_open(stamps[-1]) if stamps else None,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            prefill_tps=computed / prompt_ms * 1000 if computed and prompt_ms else None,
            out_tokens=out_tokens,
            think_tokens=usage.think_tokens,
            out_chars=out_chars,
            decode_tps=_rate((out_tokens or 0) - 1, self._decode_ns(usage)),
            server_decode_tps=usage.decode_tps,
            server_load_ms=usage.load_ms,
            server_prompt_ms=usage.prompt_ms,
            server_decode_ms=usage.decode_ms,
            server_e2e_ms=usage.total_ms,
            chars_per_s=self._chars_per_s(),
            max_gap_ms=max(gaps) / _NS_PER_MS if gaps else None,
            token_source=source,
            finish=usage.finish if self._usage else "",
            cold=(usage.load_ms or 0.0) > _COLD_MS,
            contended=bool(self.company),
            cached=bool(usage.cached_tokens) or usage.reused,
            speed_visible=self._speed_visible,
        )

    def _decode_ns(self, usage: Usage) -> int:
        """From the first token to the last. The first may be a part of a character, and its delta come later."""
        if usage.first_ns is not None and usage.last_ns is not None:
            return usage.last_ns - usage.first_ns
        return self._stamps[-1] - self._stamps[0] if self._stamps else 0

    def _since_open(self, at_ns: int) -> float:
        return (at_ns - self._opened_ns) / _NS_PER_MS

    def _chars_per_s(self) -> float | None:
        if not self._answer_stamps:
            return None
        after_first = sum(chars for _, chars in self._answer_stamps[1:])
        return _rate(after_first, self._answer_stamps[-1][0] - self._answer_stamps[0][0])


def _rate(count: int, span_ns: int) -> float | None:
    """`count` per second; None when the span is empty."""
    return count / span_ns * 1e9 if count > 0 and span_ns > 0 else None
