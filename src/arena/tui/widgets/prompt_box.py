"""The box for the prompt: Enter asks, Ctrl+J starts a new line, Tab in an empty box brings an example."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.message import Message
from textual.widgets import TextArea

from arena.tui.keymap import rebound
from arena.tui.language import _


class PromptBox(TextArea):
    """A text area that sends on Enter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Ask", tooltip="Send the prompt to the models", id="prompt.send"),
        Binding("ctrl+j", "new_line", "New line", show=False, id="prompt.new_line"),
        Binding("tab", "example", "Example", tooltip="Fill in an example prompt", id="prompt.example"),
        Binding("escape", "leave", "Keys", tooltip="Leave the box: single keys work then", id="prompt.leave"),
    ]

    class Submitted(Message):
        """The user asks."""

        def __init__(self, text: str) -> None:
            """`text` as typed."""
            super().__init__()
            self.text = text

    class Left(Message):
        """The user wants the single keys."""

    class ExampleWanted(Message):
        """The box is empty and the user wants an idea."""

    class SampleWanted(Message):
        """The user presses on without having written anything."""

    def __init__(self) -> None:
        """An empty box."""
        super().__init__(
            soft_wrap=True,
            tab_behavior="focus",
            compact=True,
            highlight_cursor_line=False,
            id="prompt",
        )
        self._bindings = rebound(self._bindings)
        self.cursor_blink = False
        self._offered = ""

    def invite(self, *, further: bool) -> None:
        """Take the keys, and say what an empty box is for; `further`: one thing more, to the models of this round."""
        again = _("One thing more, to the same models.  Esc: back")
        anew = _("Ask them all the same thing.  Tab: an example")
        self.placeholder = again if further else anew
        self.focus()

    def offer(self, text: str) -> None:
        """Fill in an example; the next Tab replaces it by another."""
        self._offered = text
        self.text = text
        self.move_cursor(self.document.end)

    async def _on_key(self, event: Key) -> None:
        """Take the box's own keys in the order in which they were typed.

        A priority binding would run before the characters typed just before it have reached the box.
        """
        own = {"send": self.action_send, "new_line": self.action_new_line, "example": self.action_example}
        bindings = self._bindings.key_to_bindings.get(event.key, ())
        action = next((binding.action for binding in bindings if binding.action in own), None)
        if action is not None:
            event.stop()
            event.prevent_default()
            own[action]()
        else:
            await super()._on_key(event)

    def action_send(self) -> None:
        """Ask, where there is something to ask."""
        if self.text.strip():
            self.post_message(self.Submitted(self.text.strip()))
        else:
            self.post_message(self.SampleWanted())

    def action_new_line(self) -> None:
        """Start a new line."""
        self.insert("\n")

    def action_example(self) -> None:
        """Bring an example into an empty box, or another one; else go on to the next widget."""
        if self.text in ("", self._offered):
            self.post_message(self.ExampleWanted())
        else:
            self.screen.focus_next()

    def action_leave(self) -> None:
        """Give the focus away."""
        self.screen.set_focus(None)
        self.post_message(self.Left())
