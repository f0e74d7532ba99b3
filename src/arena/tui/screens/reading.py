"""What is done with answers wherever they stand: look closer, find, compare, copy."""

from __future__ import annotations

import asyncio
from functools import partial

from textual.events import Key

from arena.tui.copying import CLIPBOARD_BYTES, Copyable, copyables, harmless_lines, keep
from arena.tui.language import _, plural
from arena.tui.screens.base import ArenaScreen
from arena.tui.screens.copy import CopyScreen
from arena.tui.screens.difference import DifferenceScreen
from arena.tui.widgets.pane_row import PaneRow
from arena.tui.wire.wired_app import WiredApp

_AT_ONCE = ("find", "search")
"""Actions that open a line to write on."""


class ReadingScreen(ArenaScreen):
    """A screen with a row of panes. What is copied bears the round and the label, never a name."""

    @property
    def round_id(self) -> str:
        """The round whose answers are shown; '' where there is none."""
        raise NotImplementedError

    @property
    def _row(self) -> PaneRow:
        return self.query_one(PaneRow)

    def action_zoom(self) -> None:
        """Show one pane over the whole width, or all again."""
        self._row.zoom()

    def action_pane(self, index: int) -> None:
        """Go to a pane."""
        self._row.go(index)

    def on_key(self, event: Key) -> None:
        """Open the line to find something at once: what was sent together with the key belongs into it.

        A binding runs after everything that has arrived so far was given to whoever had the keyboard.
        """
        bound = self.active_bindings.get(event.key)
        if self._row.finds and event.character and event.is_printable:
            event.stop()
            self._row.write(event.character)
        elif bound is not None and bound.binding.action in _AT_ONCE:
            event.stop()
            getattr(self, f"action_{bound.binding.action}")()

    def action_find(self) -> None:
        """Look for words in all answers."""
        if self._row.panes:
            self._row.find()

    def action_differ(self) -> None:
        """Compare two answers."""
        answers = [(label, harmless_lines(text)) for label, text in self._row.texts() if text.strip()]
        if len(answers) > 1:
            self.app.push_screen(DifferenceScreen(answers))
        else:
            self.tell(_("There are no two answers to compare."))

    def action_copy(self, *, to_file: bool = False) -> None:
        """Copy an answer, or a block of its code; where there is a choice, ask."""
        choices = copyables(self._row.texts(nearest=True))
        taken = partial(self._copied, self.round_id, to_file)
        if not choices:
            self.tell(_("There is no answer to copy."))
        elif len(choices) == 1:
            taken(choices[0])
        else:
            title = _("Copy into a file") if to_file else _("Copy to the clipboard")
            self.app.push_screen(CopyScreen(title, choices), taken)

    def action_keep(self) -> None:
        """Copy into a file."""
        self.action_copy(to_file=True)

    def _copied(self, round_id: str, to_file: bool, choice: Copyable | None) -> None:  # noqa: FBT001 - of a partial
        if choice is None:
            return
        fits = choice.size_bytes <= CLIPBOARD_BYTES
        if to_file or not fits or not isinstance(self.app, WiredApp):
            self.run_worker(self._run(self._keep(round_id, choice, fits=fits)))
            return
        self.app.hand_to_clipboard(choice.text)
        told = plural("{n} character copied.", "{n} characters copied.", len(choice.text))
        self.tell(" ".join((told, _("Where the clipboard stays empty, Y copies into a file."))))

    async def _keep(self, round_id: str, choice: Copyable, *, fits: bool) -> None:
        folder = self.arena.settings.db.parent / "copies"
        path = await asyncio.to_thread(keep, folder, f"{round_id}-{choice.file_name}", choice.text)
        told = _("Copied into {path}") if fits else _("Too long for the clipboard, so it is in {path}")
        self.tell(told.format(path=path))
