"""A round as JSON and as text: whole when its names are out, else sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from arena.core.models import Contestant
from arena.core.ports import RoundRecord
from arena.core.rounds import LABELS, Answer, SealedRound
from arena.core.text import clean, clean_line
from arena.core.votes import Strength


def as_json(found: RoundRecord | SealedRound, measured: Sequence[Answer] = ()) -> dict[str, Any]:
    """The JSON of a round. `measured`: the answers with metrics, for who asked for them before the vote."""
    if isinstance(found, SealedRound):
        # Of the measured ones nothing but the figures: their texts are raw, and a thought may name the model as well.
        figures = {answer.seat: answer.metrics for answer in measured}
        answers = [replace(answer, metrics=figures.get(answer.seat, answer.metrics)) for answer in found.answers]
        shown = [_answer(answer, with_metrics=bool(measured)) for answer in answers]
        view, extra = found.view, {"state": found.state.value, "verdict": None}
        return {"round": view.id, "prompt": view.prompt.text, **extra, "answers": shown} | _earlier(found)
    contestants = {seat.index: seat.contestant for seat in found.round.seats}
    return {
        "round": found.round.id,
        "prompt": found.round.prompt.text,
        "system": found.round.prompt.system,
        "sampling": asdict(found.round.sampling),
        "state": found.state.value,
        "verdict": str(found.vote.verdict) if found.vote else None,
        "flags": list(found.flags),
        "note": found.vote.note if found.vote else "",
        "clearly": found.vote is not None and found.vote.strength is Strength.CLEARLY,
        "second": str(found.second) if found.second else None,
        "again": [{"verdict": str(vote.verdict), "cast_at": vote.cast_at} for vote in found.again],
        "answers": [
            _answer(answer, with_metrics=True) | _contestant(contestants[answer.seat]) for answer in found.answers
        ],
    } | _earlier(found)


def _earlier(found: RoundRecord | SealedRound) -> dict[str, Any]:
    """The turns before the last one, where there are any."""
    turns = [
        {"prompt": turn.question, "answers": [{"seat": LABELS[each.seat], "text": each.text} for each in turn.answers]}
        for turn in found.earlier
    ]
    return {"earlier": turns} if turns else {}


def _contestant(contestant: Contestant) -> dict[str, Any]:
    settings = {"context": contestant.context, "kv_type": contestant.kv_type, "thinking": contestant.thinking}
    return {
        "model": str(contestant.ref),
        "contestant": contestant.fingerprint,
        "settings": settings | dict(contestant.sampler) | {"system": contestant.system},
    }


def _answer(answer: Answer, *, with_metrics: bool) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "seat": LABELS[answer.seat],
        "text": answer.text,
        "thought": answer.thought,
        "outcome": answer.outcome.value,
        "error": answer.error,
    }
    return facts | {"metrics": asdict(answer.metrics)} if with_metrics else facts


def as_text(found: RoundRecord | SealedRound) -> str:
    """A round for a person; names and figures only when they are out."""
    if isinstance(found, SealedRound):
        lines = [
            f"{found.view.id}  {found.state.value}, sealed",
            *_turns(found),
            f"> {clean(found.view.prompt.text)}",
            "",
        ]
        for answer in found.answers:
            lines += [LABELS[answer.seat], clean(answer.text) or "(no answer)", ""]
        return "\n".join(lines).rstrip()
    lines = [f"{found.round.id}  {found.state.value}  {' '.join(found.flags)}".rstrip()]
    lines += [*_turns(found), f"> {clean(found.round.prompt.text)}", ""]
    if found.round.control:
        lines += ["A control: one model sat on every seat.", ""]
    if found.vote is not None:
        clearly = ", clearly" if found.vote.strength is Strength.CLEARLY else ""
        lines += [f"Verdict: {found.vote.verdict}{clearly}", *filter(None, [clean(found.vote.note)]), ""]
    if found.second is not None:
        lines += [f"Knowing names and speeds: {found.second}", ""]
    lines += [f"Again, {vote.cast_at[:10]}, not rated: {vote.verdict}" for vote in found.again]
    answers = {answer.seat: answer for answer in found.answers}
    for seat, name in zip(found.round.seats, found.round.names, strict=True):
        lines.append(f"{seat.label}  {clean_line(name)}")
        if seat.index in answers:
            answer = answers[seat.index]
            thought = [f"(thinking) {clean(answer.thought)}", ""] if answer.thought else []
            lines += [*thought, clean(answer.text) or "(no answer)", _figures(answer)]
            lines += [*filter(None, [clean(answer.error)])]
        else:
            lines.append("(no answer)")
        lines.append("")
    return "\n".join(lines).rstrip()


def _turns(found: RoundRecord | SealedRound) -> list[str]:
    """What was asked and said before the last turn."""
    lines: list[str] = []
    for turn in found.earlier:
        lines += [f"> {clean(turn.question)}", ""]
        for answer in turn.answers:
            lines += [LABELS[answer.seat], clean(answer.text) or "(no answer)", ""]
    return lines


def _figures(answer: Answer) -> str:
    facts = {name: value for name, value in asdict(answer.metrics).items() if value not in (None, False, "")}
    return "  ".join(f"{name}={f'{value:.1f}' if isinstance(value, float) else value}" for name, value in facts.items())
