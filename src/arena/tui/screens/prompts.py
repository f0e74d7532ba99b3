"""The prompt packs: search them, take one prompt into the box, or have a whole pack played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from arena.core.models import ModelInfo
from arena.core.prompts import Pack, Prompt
from arena.core.rounds import Pace
from arena.core.text import clean_line
from arena.series import Order
from arena.tui.language import _, plural
from arena.tui.screens.base import Dialog
from arena.tui.widgets.key_bar import KeyBar


@dataclass(frozen=True, slots=True)
class Taken:
    """What the user took."""

    pack: Pack
    prompts: tuple[Prompt, ...]
    """One, or with `whole` those of the pack."""
    whole: bool = False

    def order(self, infos: Sequence[ModelInfo], seats: int) -> Order:
        """A queue of these prompts, one round each. They are read when they are complete."""
        title, seats = f"pack {self.pack.name}", min(seats, len(infos))
        return Order(self.prompts, tuple(infos), len(self.prompts), seats, title, Pace.WHOLE)


class PromptsScreen(Dialog[Taken | None]):
    """Every prompt of every pack, with its text below."""

    AUTO_FOCUS = "#packs"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Take", tooltip="Into the box", priority=True, id="prompts.take"),
        Binding("f5", "play", "Play the pack", tooltip="One round a prompt, played while you judge", id="prompts.play"),
        Binding("slash", "search", "Search", id="prompts.search"),
        Binding("escape", "back", "Back", id="prompts.back"),
    ]

    def __init__(self, packs: Sequence[Pack], faults: Sequence[str] = ()) -> None:
        """`faults`: what is wrong with packs that could not be read."""
        super().__init__()
        self._packs = packs
        self._faults = faults
        self._listed: list[tuple[Pack, Prompt] | None] = []

    def compose(self) -> ComposeResult:
        """Search, list, text of the prompt under the cursor."""
        with Vertical(id="prompts-dialog", classes="dialog"):
            yield Static(Content.styled(_("Prompts"), "bold"), markup=False)
            if self._faults:
                told = "\n".join(clean_line(fault, 300) for fault in self._faults)
                yield Static(Content.styled(told, "$error"), markup=False, id="pack-faults")
            yield Input(placeholder=_("/ searches"), id="prompt-search")
            yield OptionList(id="packs", markup=False)
            yield Static(markup=False, id="prompt-preview")
        yield KeyBar()

    def on_mount(self) -> None:
        """List them all."""
        self._list("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list while typing."""
        self._list(event.value)

    def on_option_list_option_highlighted(self) -> None:
        """Show the text under the cursor."""
        if at := self._at_cursor:
            self._say_below(clean_line(at[1].text, 500))

    def on_option_list_option_selected(self) -> None:
        """A click takes it."""
        self.action_take()

    def action_take(self) -> None:
        """Take the prompt under the cursor; from the search, go to the list first."""
        if self.focused is self.query_one("#prompt-search"):
            self._options.focus()
        elif at := self._at_cursor:
            self.dismiss(Taken(at[0], (at[1],)))

    def action_play(self) -> None:
        """Have the pack under the cursor played, as far as it is listed."""
        if at := self._at_cursor:
            listed = (each for each in self._listed if each is not None)
            self.dismiss(Taken(at[0], tuple(prompt for pack, prompt in listed if pack is at[0]), whole=True))

    def action_search(self) -> None:
        """Go to the search."""
        self.query_one("#prompt-search", Input).focus()

    def action_back(self) -> None:
        """From the search to the list, from the list back."""
        if self.focused is self.query_one("#prompt-search"):
            self._options.focus()
        else:
            self.dismiss(None)

    @property
    def _options(self) -> OptionList:
        return self.query_one("#packs", OptionList)

    @property
    def _at_cursor(self) -> tuple[Pack, Prompt] | None:
        at = self._options.highlighted
        return None if at is None else self._listed[at]

    def _list(self, search: str) -> None:
        words = search.casefold().split()
        self._options.clear_options()
        self._listed = []
        for pack in self._packs:
            found = [prompt for prompt in pack.prompts if all(word in _searched(pack, prompt) for word in words)]
            if not found:
                continue
            count = plural("{n} prompt", "{n} prompts", len(found))
            head = f"{clean_line(pack.name, 40)}  {clean_line(pack.title, 60)}  {count}"
            self._options.add_option(Option(Content.styled(head, "bold $accent"), disabled=True))
            self._options.add_options(Option(f"  {clean_line(prompt.title or prompt.text, 80)}") for prompt in found)
            self._listed += [None, *((pack, prompt) for prompt in found)]
        self._options.highlighted = 1 if self._listed else None
        if not self._listed:
            self._say_below(_("nothing found"))

    def _say_below(self, text: str) -> None:
        self.query_one("#prompt-preview", Static).update(Content.styled(text, "$text-muted"))


def _searched(pack: Pack, prompt: Prompt) -> str:
    return " ".join((pack.name, prompt.title, prompt.text, *prompt.tags)).casefold()
