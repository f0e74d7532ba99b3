"""The bias report as bars: what besides the content may have moved your votes."""

from __future__ import annotations

from textual.content import Content

from arena.core.bias import BiasReport, Rate
from arena.core.telling import RATES, odds_share
from arena.tui.cells import left, right
from arena.tui.language import N_, _, plural
from arena.tui.widgets.bars import share_bar

_TOLD = 31
_FIGURES = 32
_EXPLAINED = (
    N_("┊ is what choosing blindly would give. A line that does not reach it is a habit; all others may be chance."),
    N_(
        "Rates are over blind votes with one winner. 'Fit' takes the strengths of the models out, over all rated votes."
    ),
    N_("First to end: as you saw it. In the even pace that is the shorter answer; of answers shown whole it is none."),
)


def bias_panel(report: BiasReport, width: int) -> Content:
    """The report, `width` cells wide."""
    title = plural(
        "You chose…   {n} blind vote with one winner", "You chose…   {n} blind votes with one winner", report.votes
    )
    if not report.votes and not report.noise.of:
        return Content.styled(_("No blind vote with a winner yet: habits show after a few dozen."), "$text-muted")
    bar = max(11, min(61, width - _TOLD - _FIGURES))
    scale = f"{'0 %':<{bar // 2 - 1}}50 %{'100 %':>{bar - bar // 2 - 3}}"
    lines = [
        Content.styled(title, "bold $text-muted"),
        Content.styled(" " * _TOLD + scale, "$text-disabled"),
    ]
    for field, told in RATES.items():
        rate: Rate = getattr(report, field)
        of = _("{count} of {total}").format(count=rate.count, total=rate.of)
        lines.append(_line(_(told), rate.share, rate.low, rate.high, rate.chance, of, bar))
    for told, effect in (
        (_("the left of two equals (fit)"), report.side),
        (_("the longer of two equals (fit)"), report.length),
    ):
        if effect is not None:
            share, low, high = (odds_share(odds) for odds in (effect.value, effect.low, effect.high))
            lines.append(_line(told, share, low, high, 0.5, "", bar))
    notes = [Content.styled(_(told), "$text-muted") for told in _EXPLAINED]
    return Content("\n").join([*lines, Content(""), *notes])


def _line(told: str, share: float | None, low: float, high: float, chance: float | None, of: str, bar: int) -> Content:
    if share is None:
        return Content.styled(f" {left(told, _TOLD)}{left(_('not seen yet'), bar)}", "$text-disabled")
    habit = chance is not None and not low <= chance <= high
    return Content.assemble(
        (f" {left(told, _TOLD - 1)}", "bold" if habit else ""),
        share_bar(low, share, high, chance, bar),
        (f"  {share:>4.0%}", "bold $accent" if habit else "bold"),
        (f"  {100 * low:.0f}–{100 * high:.0f} %".ljust(12), "$text-muted"),
        (right(of, 11), "$text-muted"),
    )
