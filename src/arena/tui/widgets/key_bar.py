"""The keys that mean something now, in the last line of every screen."""

from __future__ import annotations

from textual.binding import Binding
from textual.widgets import Footer


class KeyBar(Footer):
    """Textual's footer, made anew only where the keys have changed, and without its memory of those before.

    Each key of a footer listens to `compact`, and those that are gone are struck off only when that changes, which here
    is never: they were kept with all that they had drawn, two megabytes a round.
    """

    def __init__(self) -> None:
        """No keys yet; the command palette is named by none of them."""
        super().__init__(show_command_palette=False)
        self._shown: list[tuple[Binding, bool, str]] | None = None

    async def recompose(self) -> None:
        """New keys in the place of the old ones, which are let go."""
        if not self.is_attached:  # its screen was closed meanwhile
            return
        active = self.screen.active_bindings.values()
        wanted = [(each.binding, each.enabled, each.tooltip) for each in active if each.binding.show]
        if wanted == self._shown:  # in two cases of three
            return
        self._shown = wanted
        await super().recompose()
        self.mutate_reactive(Footer.compact)
