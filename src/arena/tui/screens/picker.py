"""The model picker: who may sit in a round."""

from __future__ import annotations

from asyncio import wrap_future
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Footer, SelectionList, Static
from textual.widgets.selection_list import Selection

from arena.core.errors import ArenaError
from arena.core.machine import FitVerdict, human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.wiring import Arena


@dataclass(frozen=True, slots=True)
class Choice:
    """Who was chosen, and how many of them sit in a round."""

    infos: tuple[ModelInfo, ...]
    seats: int


class PickerScreen(ModalScreen[Choice | None]):
    """Space marks a model, 2 and 3 set the seats, Enter takes the choice."""

    AUTO_FOCUS = "#models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", priority=True, id="picker.mark"),
        Binding("enter", "take", "Take these", priority=True, id="picker.take"),
        Binding("2", "seats(2)", "2 a round", id="picker.two"),
        Binding("3", "seats(3)", "3 a round", id="picker.three"),
        Binding("escape", "dismiss(None)", "Back", id="picker.back"),
    ]

    def __init__(self, arena: Arena, choice: Choice) -> None:
        """Begin with what is chosen already."""
        super().__init__()
        self._arena = arena
        self._chosen = {_key(info) for info in choice.infos}
        self._seats = choice.seats
        self._infos: dict[str, ModelInfo] = {}

    def compose(self) -> ComposeResult:
        """Title, list, hint."""
        with Vertical(id="picker", classes="dialog"):
            yield Static(markup=False, id="picker-title")
            yield SelectionList[str](id="models")
            yield Static("Looking for models…", markup=False, id="picker-hint")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Look for models."""
        self._draw_title()
        self.run_worker(self._look())

    async def _look(self) -> None:
        hint = self.query_one("#picker-hint", Static)
        try:
            infos = await wrap_future(self._arena.lineup.models())
            fits = await wrap_future(self._arena.watch.fits(infos))
        except ArenaError as fault:
            hint.update(Content(clean_line(str(fault), 300)))
            return
        self._infos = {_key(info): info for info in infos}
        listing = self.query_one("#models", SelectionList)
        for info, fit in zip(infos, fits, strict=True):
            key = _key(info)
            listing.add_option(Selection(_row(info, fit), key, key in self._chosen, disabled=bool(info.note)))
        listing.highlighted = 0 if infos else None
        broken = next((info.note for info in infos if info.note), "")
        hint.update(
            Content.styled(
                clean_line(broken, 200)
                or "More models: a .gguf path with `arena -m FILE.gguf`, or gguf_folders in the config.",
                "$text-muted",
            )
        )

    def _draw_title(self) -> None:
        self.query_one("#picker-title", Static).update(
            Content.assemble(
                ("Contestants", "bold"), (f"    {self._seats} of the marked ones sit in each round", "$text-muted")
            )
        )

    def action_mark(self) -> None:
        """Mark or unmark the model under the cursor."""
        listing = self.query_one("#models", SelectionList)
        if listing.highlighted is not None:
            listing.toggle(listing.get_option_at_index(listing.highlighted))

    def action_seats(self, seats: int) -> None:
        """Set how many sit in a round."""
        self._seats = seats
        self._draw_title()

    def action_take(self) -> None:
        """Take the marked ones."""
        marked = [self._infos[name] for name in self.query_one("#models", SelectionList).selected]
        if len(marked) < 2:
            self.app.notify("Mark at least two models with space.", severity="warning", markup=False)
            return
        self.dismiss(Choice(tuple(marked), min(self._seats, len(marked))))


def _key(info: ModelInfo) -> str:
    """Two files of one name in different folders are two models."""
    return f"{info.ref} {info.location}"


def _row(info: ModelInfo, fit: FitVerdict) -> Content:
    parameters = "" if info.parameters is None else _count(info.parameters)
    name = clean_line(str(info.ref), 36)
    name += " " * (36 - Content(name).cell_length)
    facts = f"{parameters:>7}  {clean_line(info.quantization, 8):<8}  {human_bytes(info.size_bytes):>9}"
    return Content.assemble((name, "bold"), (facts, "$text-muted"), f"   {fit.verdict.value}")


def _count(parameters: int) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return str(parameters)
