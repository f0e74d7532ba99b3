"""The bias report as bars: what besides the content may have moved your votes."""

from __future__ import annotations

from textual.content import Content

from arena.core.bias import BiasReport, Rate
from arena.core.telling import RATES, odds_share
from arena.core.text import counted
from arena.tui.widgets.bars import share_bar

_TOLD = 31
_FIGURES = 32
_EXPLAINED = (
    "┊ is what choosing blindly would give. A line that does not reach it is a habit; all others may be chance.",
    "Rates are over blind votes with one winner. 'Fit' takes the strengths of the models out, over all rated votes.",
    "First to end: as you saw it. In the even pace that is the shorter answer; of answers shown whole it is none.",
)


def bias_panel(report: BiasReport, width: int) -> Content:
    """The report, `width` cells wide."""
    title = f"You chose…   {counted(report.votes, 'blind vote')} with one winner"
    if not report.votes and not report.noise.of:
        return Content.styled("No blind vote with a winner yet: habits show after a few dozen.", "$text-muted")
    bar = max(11, min(61, width - _TOLD - _FIGURES))
    scale = f"{'0 %':<{bar // 2 - 1}}50 %{'100 %':>{bar - bar // 2 - 3}}"
    lines = [
        Content.styled(title, "bold $text-muted"),
        Content.styled(" " * _TOLD + scale, "$text-disabled"),
    ]
    for field, told in RATES.items():
        rate: Rate = getattr(report, field)
        lines.append(_line(told, rate.share, rate.low, rate.high, rate.chance, f"{rate.count} of {rate.of}", bar))
    for which, effect in (("left", report.side), ("longer", report.length)):
        if effect is not None:
            share, low, high = (odds_share(odds) for odds in (effect.value, effect.low, effect.high))
            lines.append(_line(f"the {which} of two equals (fit)", share, low, high, 0.5, "", bar))
    notes = [Content.styled(told, "$text-muted") for told in _EXPLAINED]
    return Content("\n").join([*lines, Content(""), *notes])


def _line(told: str, share: float | None, low: float, high: float, chance: float | None, of: str, bar: int) -> Content:
    if share is None:
        return Content.styled(f" {told:<{_TOLD}}{'not seen yet':<{bar}}", "$text-disabled")
    habit = chance is not None and not low <= chance <= high
    return Content.assemble(
        (f" {told:<{_TOLD - 1}}", "bold" if habit else ""),
        share_bar(low, share, high, chance, bar),
        (f"  {share:>4.0%}", "bold $accent" if habit else "bold"),
        (f"  {100 * low:.0f}–{100 * high:.0f} %".ljust(12), "$text-muted"),
        (f"{of:>11}", "$text-muted"),
    )
