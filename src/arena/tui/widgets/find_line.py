"""The line below the panes in which one writes what to look for in the answers."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from arena.tui.keymap import rebound
from arena.tui.language import _


class FindLine(Horizontal):
    """While it is there it has the keyboard: nothing that is written into it can be a vote."""

    class Wanted(Message):
        """Look for these words."""

        def __init__(self, words: str) -> None:
            """`words` as typed so far."""
            super().__init__()
            self.words = words

    class Step(Message):
        """Go to another match."""

        def __init__(self, by: int) -> None:
            """`by` 1 is the next one, -1 the one before."""
            super().__init__()
            self.by = by

    class Ended(Message):
        """Enough."""

    class Words(Input):
        """Its keys are those of an input, and these."""

        BINDINGS: ClassVar[list[BindingType]] = [
            Binding("enter,down", "step(1)", "Next", id="find.next"),
            Binding("up", "step(-1)", "The one before", id="find.before"),
            Binding("escape", "enough", "End the search", id="find.end"),
        ]

        def on_mount(self) -> None:
            """Take the keys as they are bound now."""
            self._bindings = rebound(self._bindings)

        def action_step(self, by: int) -> None:
            """Another match."""
            self.post_message(FindLine.Step(by))

        def action_enough(self) -> None:
            """Enough."""
            self.post_message(FindLine.Ended())

    def __init__(self) -> None:
        """Not there yet."""
        super().__init__(id="find")
        self.display = False

    def compose(self) -> ComposeResult:
        """A sign, the words, and how many matches there are."""
        yield Static("/", markup=False, id="find-sign")
        yield self.Words(placeholder=_("Find in the answers"), id="find-words")
        yield Static(markup=False, id="find-count")

    def open(self) -> None:
        """Ask what to look for, with the words of the last time."""
        self.display = True
        words = self.query_one(self.Words)
        self.screen.set_focus(words)  # `focus` would do it later, and a key may be on its way
        words.action_select_all()
        self.post_message(self.Wanted(words.value))

    def write(self, text: str) -> None:
        """Add to the words what was typed before they had the keyboard."""
        words = self.query_one(self.Words)
        words.replace(text, *words.selection)
        self.screen.set_focus(words)

    def tell(self, at: int, count: int, label: str) -> None:
        """Say that match `at`, 1 first, of `count` stands in the answer `label`."""
        if not self.query_one(self.Words).value.strip():
            said = ""
        elif count:
            said = _("{at} of {count}, in {label}").format(at=at, count=count, label=label)
        else:
            said = _("nothing found")
        self.query_one("#find-count", Static).update(Content.styled(said, "$text-muted"))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for what is written now."""
        event.stop()
        if self.display:
            self.post_message(self.Wanted(event.value))
