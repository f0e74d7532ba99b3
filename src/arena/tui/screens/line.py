"""Asks for one line of text."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from arena.tui.language import _
from arena.tui.screens.base import Dialog
from arena.tui.widgets.key_bar import KeyBar


class LineScreen(Dialog[str | None]):
    """A title and a line to write on. Enter takes it, Escape leaves everything as it was."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", id="line.back")]

    def __init__(self, title: str, text: str = "") -> None:
        """`title` is arena's own; `text` is what stands there already."""
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        """Title and line."""
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._title, "bold"), markup=False)
            yield Input(self._text, placeholder=_("Enter keeps it, Esc leaves"), select_on_focus=False, id="line")
        yield KeyBar()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Take the line."""
        self.dismiss(message.value.strip())
