"""What is said of an answer after the vote: who gave it, and its figures."""

from __future__ import annotations

from textual.content import Content

from arena.core.models import Contestant
from arena.core.rounds import Answer, Outcome
from arena.core.text import clean_line
from arena.core.timing import Metrics
from arena.core.votes import Kind, Strength, Verdict
from arena.tui.language import _


def name_line(name: str, contestant: Contestant, *, won: bool) -> Content:
    """The contestant's name for the head of its pane."""
    quantization = f"  {clean_line(contestant.quantization, 12)}" if contestant.quantization else ""
    return Content.assemble(
        ("★ " if won else "", "$accent"),
        (clean_line(name, 60), "bold $accent" if won else "bold"),
        (quantization, "$text-muted"),
        ("  " + _("your choice") if won else "", "$accent"),
    )


def figures(answer: Answer | None) -> Content:
    """The figures for the foot of its pane."""
    if answer is None:
        return Content.styled(_("No answer was kept."), "$text-muted")
    if answer.outcome is Outcome.FAILED:
        return Content.styled(clean_line(answer.error, 300), "$error")
    facts = [text for text in _facts(answer.metrics) if text]
    if answer.thought:
        tokens = _value(answer.metrics.think_tokens, _(" ({} tokens)"))
        told = _("{characters} characters of thinking{tokens}, d shows it")
        facts.append(told.format(characters=f"{len(answer.thought):,}", tokens=tokens))
    if answer.outcome is not Outcome.ANSWERED:
        facts.append(_(answer.outcome.value))
    if answer.error:
        facts.append(clean_line(answer.error, 200))
    return Content.styled(" · ".join(facts), "$text-muted")


def verdict_words(verdict: Verdict, strength: Strength | None = None) -> str:
    """What was voted, in words: `b>a`, and whether clearly so."""
    told = str(verdict) if verdict.kind is Kind.RANKING else _(verdict.kind.value)
    return _("{verdict}, clearly").format(verdict=told) if strength is Strength.CLEARLY else told


def _facts(metrics: Metrics) -> list[str]:
    estimated = "~" if metrics.token_source == "estimate" else ""  # noqa: S105 - no password
    return [
        _value(metrics.ttft_ms, _("TTFT {:,.0f} ms")),
        estimated + _value(metrics.decode_tps, _("{:,.0f} tok/s")) if metrics.decode_tps else "",
        _value(metrics.chars_per_s, _("{:,.0f} chars/s")),
        estimated + _value(metrics.out_tokens, _("{} tokens")),
        _value(metrics.e2e_ms, "{:,.0f} ms"),
        _("ran beside another") if metrics.contended else "",
    ]


def _value(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
