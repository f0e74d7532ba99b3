"""Asks what to copy: an answer, or one block of code. Each choice has a key of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Key
from textual.widgets import Footer, OptionList, Static
from textual.widgets.option_list import Option

from arena.core.text import clean_line
from arena.tui.copying import Copyable
from arena.tui.language import _, plural
from arena.tui.screens.base import Dialog

_DIGITS = "123456789"


class CopyScreen(Dialog[Copyable | None]):
    """A list of what can be copied. The key in front takes it, Enter or `y` the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,Y", "take", "Copy", id="copy.take"),
        Binding("escape", "dismiss(None)", "Back", id="copy.back"),
    ]

    def __init__(self, title: str, choices: Sequence[Copyable]) -> None:
        """`title` is arena's own, and says where the copy goes."""
        super().__init__()
        self._title = title
        digits = iter(_DIGITS)
        self._choices = {str(at): choice for at, choice in enumerate(choices)}
        self._keys = {
            key: choice
            for choice in choices
            if (key := next(digits, "") if choice.number else choice.label.lower())  # from the tenth on: the cursor
        }

    def compose(self) -> ComposeResult:
        """Title and list."""
        keys = {id(choice): key for key, choice in self._keys.items()}
        with Vertical(classes="dialog"):
            yield Static(Content.styled(self._title, "bold"), markup=False)
            yield OptionList(
                *(Option(_line(keys.get(id(choice), " "), choice), id=name) for name, choice in self._choices.items()),
                id="copies",
                markup=False,
            )
        yield Footer(show_command_palette=False)

    def on_key(self, event: Key) -> None:
        """Take what has this key."""
        if event.character in self._keys:
            event.stop()
            self.dismiss(self._keys[event.character])

    def action_take(self) -> None:
        """Take the one under the cursor."""
        self.query_one(OptionList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Take it."""
        self.dismiss(self._choices[str(event.option_id)])


def _line(key: str, choice: Copyable) -> Content:
    """One choice: its key, what it is, and how it begins."""
    lines = plural("{n} line", "{n} lines", len(choice.text.rstrip("\n").split("\n")))
    kind = clean_line(choice.language, 16) or _("code")
    what = (
        f"    {kind}, {lines}"
        if choice.number
        else _("Answer {label}, {lines}").format(label=choice.label, lines=lines)
    )
    begin = clean_line(choice.text.strip()[:200], 48)
    return Content.assemble((f" {key} ", "bold $accent"), " ", what, (f"   {begin}", "$text-muted"))
