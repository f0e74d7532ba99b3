"""Asks before something goes for good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from arena.tui.screens.base import Dialog
from arena.tui.widgets.key_bar import KeyBar


class ConfirmScreen(Dialog[bool]):
    """A question and what the answer costs. Only `y` does it: Enter is pressed too easily."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "Delete", id="confirm.yes"),
        Binding("escape,n,q", "dismiss(False)", "Keep", id="confirm.no"),
    ]

    def __init__(self, title: str, lines: Sequence[str]) -> None:
        """Both are to be shown as they are."""
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The question, what goes, and the keys below."""
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._title, "bold"), markup=False)
            yield Static(Content("\n".join(["", *(f"- {line}" for line in self._lines)])), markup=False)
        yield KeyBar()
