"""The top line: where in a round one is."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from arena.tui.language import N_, _

STEPS = (N_("Ask"), N_("Read"), N_("Vote"), N_("Reveal"))


class PhaseBar(Static):
    """`arena   Ask > Read > Vote > Reveal`, with the step that is on."""

    def __init__(self) -> None:
        """A bar at the first step."""
        super().__init__(markup=False, id="phase-bar")

    def show(self, step: int, note: str = "") -> None:
        """Mark a step, 0 first; `note` stands at the right."""
        parts: list[Content | tuple[str, str]] = [(" arena ", "bold reverse $accent"), ("  ", "")]
        for index, name in enumerate(STEPS):
            style = "bold $accent" if index == step else "$text-muted"
            parts += [(_(name), style), ("  ›  " if index < len(STEPS) - 1 else "", "$text-disabled")]
        left = Content.assemble(*parts)
        gap = max(2, self.size.width - left.cell_length - cell_len(note) - 1)
        self.update(Content.assemble(left, " " * gap, (note, "$text-muted")))
