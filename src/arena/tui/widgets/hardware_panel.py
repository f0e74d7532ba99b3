"""The machine: GPUs, memory, and which models fit now. While a round is blind it stands still."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from arena.core.fit import Together, TogetherVerdict
from arena.core.machine import Fits, FitVerdict, Gpu, Machine, human_bytes
from arena.core.text import clean_line
from arena.tui.cells import name_in
from arena.tui.language import N_, _, plural
from arena.tui.widgets.bars import fill_bar

STATES = {
    Fits.FITS: (N_("fits"), "$success"),
    Fits.TIGHT: (N_("tight"), "$warning"),
    Fits.PARTIAL: (N_("in part"), "$warning"),
    Fits.CPU: (N_("fits RAM"), "$success"),
    Fits.NO: (N_("too big"), "$error"),
    Fits.UNKNOWN: (N_("unknown"), "$text-muted"),
}


class HardwarePanel(Static):
    """Readings come from outside; the panel never asks a driver."""

    def __init__(self, *, id: str) -> None:  # noqa: A002 - Textual's word
        """An empty panel."""
        super().__init__(markup=False, id=id, classes="side-panel")
        self._machine: Machine | None = None
        self._fits: Sequence[FitVerdict] = ()
        self._together: Together | None = None
        self._sealed = False
        self._drawn = ""

    def show(self, machine: Machine, fits: Sequence[FitVerdict], together: Together | None = None) -> None:
        """Show readings, and what the contestants would take.

        While sealed they are ignored: a model-sized step in memory would tell a name.
        """
        if not self._sealed:
            self._machine, self._fits, self._together = machine, fits, together
            self._draw()

    def seal(self) -> None:
        """Stand still, and show totals only."""
        self._sealed = True
        self._draw()

    def unseal(self) -> None:
        """Live again."""
        self._sealed = False
        self._draw()

    def on_resize(self) -> None:
        """Use the width there is."""
        self._draw()

    def _draw(self) -> None:
        if self._machine is None:
            if self._sealed:
                self.update(Content("\n\n").join([_title(), *self._sealed_lines()]))
            return
        width = max(20, self.size.width)
        lines = [_title(), Content("")]
        planned = {} if self._sealed else _planned(self._fits, self._together)
        for gpu in self._machine.gpus:
            lines += _gpu(gpu, planned.get(f"gpu {gpu.index}", 0), width, sealed=self._sealed)
        if not self._machine.gpus:
            lines.append(Content.styled(_("No GPU found: models run on the CPU."), "$text-muted"))
        lines += _host(self._machine, planned.get("ram", 0), width)
        lines += [Content.styled(clean_line(note), "$text-muted") for note in self._machine.notes]
        lines += [Content(""), *(self._sealed_lines() if self._sealed else self._fit_lines(width))]
        content = Content("\n").join(lines)
        if content.plain != self._drawn:  # an idle screen sends nothing down the line
            self._drawn = content.plain
            self.update(content)

    def _fit_lines(self, width: int) -> list[Content]:
        return [*_fit_lines(self._fits, width), *_together_lines(self._together)]

    @staticmethod
    def _sealed_lines() -> list[Content]:
        return [Content.styled(_("Readings pause while the round is blind."), "$text-muted")]


def _title() -> Content:
    return Content.styled(_("HARDWARE"), "bold $text-muted")


def _planned(fits: Sequence[FitVerdict], together: Together | None) -> dict[str, int]:
    """Bytes that the contestants would take of each device, all of them at once; nothing where they can't."""
    if together is None or len(together.placement) != len(fits):
        return {fit.device: fit.need_bytes or 0 for fit in fits} if len(fits) == 1 else {}
    planned: dict[str, int] = {}
    for fit, place in zip(fits, together.placement, strict=True):
        planned[place] = planned.get(place, 0) + (fit.need_bytes or 0)
    return planned


def _together_lines(together: Together | None) -> list[Content]:
    """Whether all of them fit at once, and what would be left."""
    if together is None or together.verdict is TogetherVerdict.UNKNOWN:
        return []
    if together.verdict is TogetherVerdict.FITS:
        left = (together.free_bytes or 0) - (together.need_bytes or 0)
        return [Content.styled(_("At once: {size} would be left.").format(size=human_bytes(left)), "$text-muted")]
    word = {
        TogetherVerdict.SWAPS: _("They fit at once, but Ollama would swap them: they answer in turn."),
        TogetherVerdict.CONTEXT: _("At once only with {tokens} tokens of context: they go in turn."),
        TogetherVerdict.NO: _("They don't fit at once: they answer in turn."),
    }[together.verdict].format(tokens=f"{together.max_context or 0:,}")
    return [Content.styled(f"{word} {together.fix}".strip(), "$text-muted")]


def _memory(name: str, free: int | None, total: int | None, planned: int, width: int) -> list[Content]:
    if free is None or not total:
        return [Content(f"{name}  {_('memory unknown')}")]
    text = _("{free} free of {total}").format(free=human_bytes(free), total=human_bytes(total))
    return [
        Content.assemble((f"{name}  ", "bold"), (text, "")),
        fill_bar(1 - free / total, width - 2, planned / total),
    ]


def _gpu(gpu: Gpu, planned: int, width: int, *, sealed: bool) -> list[Content]:
    facts = [clean_line(gpu.name, width - 8)]
    if gpu.utilization is not None:
        facts.append(f"{gpu.utilization:.0f} %")
    if gpu.temperature_c is not None:
        facts.append(f"{gpu.temperature_c:.0f} °C")
    lines = [Content.styled(f"GPU {gpu.index}  {'  '.join(facts)}", "bold")]
    name = _("shared memory") if gpu.shares_ram else "VRAM"
    lines += _memory(name, gpu.free_bytes, gpu.total_bytes, planned, width)
    if gpu.reclaimable_bytes and not sealed:
        told = _("{size} could be freed: models of arena and Ollama").format(size=human_bytes(gpu.reclaimable_bytes))
        lines.append(Content.styled(told, "$text-muted"))
    if gpu.throttled:
        lines.append(Content.styled(_("throttled: {why}").format(why=clean_line(gpu.throttled)), "$warning"))
    if gpu.note:
        lines.append(Content.styled(clean_line(gpu.note), "$text-muted"))
    return lines


def _host(machine: Machine, planned: int, width: int) -> list[Content]:
    cores = plural("{n} core", "{n} cores", machine.cpu_cores)
    cpu = f"{clean_line(machine.cpu_name, width - 14)}  {cores}" if machine.cpu_cores else ""
    return [
        *_memory("RAM", machine.ram_free_bytes, machine.ram_total_bytes, planned, width),
        Content.assemble(("CPU  ", "bold"), cpu),
    ]


def _fit_lines(fits: Sequence[FitVerdict], width: int) -> list[Content]:
    if not fits:
        return []
    lines = [Content.styled(_("FITS NOW"), "bold $text-muted")]
    for fit in fits:
        state, style = STATES[fit.verdict]
        word = _(state)
        name = name_in(fit.model, max(8, width - 22))
        need = human_bytes(fit.need_bytes)
        gap = max(1, width - 2 - Content(name).cell_length - len(need) - Content(word).cell_length - 2)
        lines.append(Content.assemble(name, " " * gap, (need, "$text-muted"), "  ", (word, style)))
    return lines
