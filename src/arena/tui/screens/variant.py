"""Makes a second contestant of a model: the same one with other settings."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from arena.core.errors import UsageError
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.core.variants import Variant
from arena.tui.language import _
from arena.tui.screens.base import Dialog
from arena.tui.widgets.key_bar import KeyBar


def _example(info: ModelInfo) -> str:
    """Settings that this model can have."""
    return ",".join(each for each in ("temperature=0", "thinking=off") if each.partition("=")[0] in info.adjustable)


class VariantScreen(Dialog[ModelInfo | None]):
    """Settings in the form KEY=VALUE, with commas between. Enter takes them."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Back", id="variant.back")]

    def __init__(self, info: ModelInfo) -> None:
        """Of this model."""
        super().__init__()
        self._info = info

    def compose(self) -> ComposeResult:
        """Title, settings, hint."""
        with Vertical(id="variant", classes="dialog"):
            title = _("{model} with other settings").format(model=clean_line(str(self._info.ref), 60))
            yield Static(Content.styled(title, "bold"), markup=False)
            yield Input(str(self._info.variant), placeholder=_example(self._info), id="variant-settings")
            yield Static(markup=False, id="variant-hint")
        yield KeyBar()

    def on_mount(self) -> None:
        """Say what can be set."""
        can = ", ".join(sorted(self._info.adjustable)) or _("nothing")
        told = _("It becomes a contestant of its own and can meet the first. Can be set: {settings}.")
        self._tell(told.format(settings=can), "$text-muted")

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Take the settings, or say what is wrong with them."""
        try:
            self.dismiss(self._info.with_variant(Variant.parse(message.value) if message.value.strip() else Variant()))
        except UsageError as fault:
            self._tell(str(fault), "$warning")

    def _tell(self, sentence: str, style: str) -> None:
        self.query_one("#variant-hint", Static).update(Content.styled(clean_line(sentence, 300), style))
