"""A dialog of named lines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Label, Static

from arena.core.errors import UsageError
from arena.core.text import clean_line
from arena.tui.language import _
from arena.tui.screens.base import Dialog
from arena.tui.widgets.key_bar import KeyBar


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a form."""

    name: str
    text: str = ""
    """What stands there already."""
    usual: str = ""
    """What holds where nothing stands there."""


class FormScreen(Dialog[dict[str, str] | None]):
    """Lines to write on. Enter takes them all, Tab goes on to the next one, Escape leaves everything as it was."""

    AUTO_FOCUS = "Input"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "app.focus_previous", show=False, id="form.up"),
        Binding("down", "app.focus_next", show=False, id="form.down"),
        Binding("escape", "dismiss(None)", "Back", id="form.back"),
    ]

    def __init__(self, title: str, hint: str, fields: tuple[Field, ...]) -> None:
        """`title` and `hint` are arena's own, the fields are cleaned here."""
        super().__init__()
        self._title = title
        self._hint = hint
        self._fields = fields

    def compose(self) -> ComposeResult:
        """Title, lines, hint."""
        with Vertical(id="form", classes="dialog"):
            yield Static(Content.styled(self._title, "bold"), markup=False)
            with VerticalScroll(id="form-fields"):
                for at, field in enumerate(self._fields):
                    with Horizontal(classes="field"):
                        yield Label(clean_line(field.name, 24), markup=False)
                        yield Input(field.text, placeholder=clean_line(field.usual, 60), id=f"field-{at}")
            yield Static(Content.styled(self._hint, "$text-muted"), markup=False, id="form-hint")
        yield KeyBar()

    @property
    def values(self) -> dict[str, str]:
        """What stands there, by the names of the lines."""
        inputs = self.query(Input)
        return {field.name: line.value for field, line in zip(self._fields, inputs, strict=True)}

    def check(self, values: Mapping[str, str]) -> None:
        """Raise UsageError where they can't be taken."""

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take them all, or say what is wrong."""
        event.stop()
        try:
            self.check(self.values)
        except UsageError as fault:
            told = Content.styled(clean_line(str(fault), 300), "$warning")
            self.query_one("#form-hint", Static).update(told)
            return
        self.dismiss(self.values)


class VariablesScreen(FormScreen):
    """Asks for the variables of a prompt, one after another."""

    def __init__(self, names: tuple[str, ...], known: Mapping[str, str]) -> None:
        """`known`: what was filled in before."""
        hint = _("They stand in the prompt as {variables}. Enter goes on, and takes them from the last line.")
        told = clean_line(", ".join(f"{{{{{name}}}}}" for name in names), 120)
        lines = tuple(Field(name, known.get(name, "")) for name in names)
        super().__init__(_("This prompt has variables"), hint.format(variables=told), lines)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Go on to the next line; from the last one, take them."""
        lines = list(self.query(Input))
        if event.input is not lines[-1]:
            event.prevent_default()  # Textual calls the form's own handler behind this one
            lines[lines.index(event.input) + 1].focus()
