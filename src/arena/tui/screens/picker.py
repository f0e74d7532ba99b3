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

from arena.core.endpoints import down
from arena.core.machine import FitVerdict, human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line, clean_name
from arena.core.variants import Variant
from arena.tui.screens.pull import PullScreen
from arena.tui.screens.variant import VariantScreen
from arena.wiring import Arena

_MORE = "More: p fetches one, a .gguf path with `arena -m FILE.gguf`, gguf_folders and [endpoints.NAME] in the config."


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
        Binding("p", "pull", "Fetch", tooltip="Fetch a model through Ollama", id="picker.pull"),
        Binding("v", "variant", "Settings", tooltip="The same model with other settings", id="picker.variant"),
        Binding("escape", "dismiss(None)", "Back", id="picker.back"),
    ]

    def __init__(self, arena: Arena, choice: Choice) -> None:
        """Begin with what is chosen already."""
        super().__init__()
        self._arena = arena
        self._seats = choice.seats
        self._chosen = {_key(info) for info in choice.infos}
        self._variants = [info for info in choice.infos if info.variant != Variant()]
        self._infos: dict[str, ModelInfo] = {}
        self._hint = "Looking for models…"

    def compose(self) -> ComposeResult:
        """Title, list, hint."""
        with Vertical(id="picker", classes="dialog"):
            yield Static(markup=False, id="picker-title")
            yield SelectionList[str](id="models")
            yield Static(markup=False, id="picker-hint")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Look for models."""
        self._draw()
        self._look_again()

    def _look_again(self) -> None:
        self.run_worker(self._look(), group="look", exclusive=True)

    async def _look(self) -> None:
        reached = await wrap_future(self._arena.lineup.reach())
        infos = [info for found in reached for info in found.infos] + self._variants
        fits = await wrap_future(self._arena.watch.fits(infos))
        listing = self.query_one("#models", SelectionList)
        at = listing.highlighted or 0
        chosen = {*self._chosen, *listing.selected}
        listing.clear_options()
        self._infos = {_key(info): info for info in infos}
        for info, fit in zip(infos, fits, strict=True):
            key = _key(info)
            listing.add_option(Selection(_row(info, fit), key, key in chosen, disabled=bool(info.note)))
        listing.highlighted = min(at, len(infos) - 1) if infos else None
        broken = [f"{info.ref}: {info.note}" for info in infos if info.note]
        self._hint = "\n".join([*broken[:2], *down(reached), _MORE])
        self._draw()

    def _draw(self) -> None:
        title = ("Contestants", "bold"), (f"    {self._seats} of the marked ones sit in each round", "$text-muted")
        self.query_one("#picker-title", Static).update(Content.assemble(*title))
        lines = [Content.styled(clean_line(line, 300), "$text-muted") for line in self._hint.split("\n")]
        self.query_one("#picker-hint", Static).update(Content("\n").join(lines))

    def action_mark(self) -> None:
        """Mark or unmark the model under the cursor."""
        listing = self.query_one("#models", SelectionList)
        if listing.highlighted is not None:
            listing.toggle(listing.get_option_at_index(listing.highlighted))

    def action_seats(self, seats: int) -> None:
        """Set how many sit in a round."""
        self._seats = seats
        self._draw()

    def action_pull(self) -> None:
        """Fetch a model."""
        self.app.push_screen(PullScreen(self._arena), self._fetched)

    def action_variant(self) -> None:
        """Add the model under the cursor with other settings."""
        listing = self.query_one("#models", SelectionList)
        if listing.highlighted is not None:
            info = self._infos[listing.get_option_at_index(listing.highlighted).value]
            self.app.push_screen(VariantScreen(info), self._varied)

    def _fetched(self, info: ModelInfo | None) -> None:
        if info is not None:
            self._chosen.add(_key(info))
        self._look_again()

    def _varied(self, info: ModelInfo | None) -> None:
        if info is not None and _key(info) not in self._infos:
            self._variants.append(info)
            self._chosen.add(_key(info))
            self._look_again()

    def action_take(self) -> None:
        """Take the marked ones."""
        marked = [self._infos[name] for name in self.query_one("#models", SelectionList).selected]
        if len(marked) < 2:
            self.app.notify("Mark at least two models with space.", severity="warning", markup=False)
            return
        self.dismiss(Choice(tuple(marked), min(self._seats, len(marked))))


def _key(info: ModelInfo) -> str:
    """Two files of one name in different folders are two models, and so is one model with other settings."""
    return f"{info} {info.location}"


def _row(info: ModelInfo, fit: FitVerdict) -> Content:
    parameters = "" if info.parameters is None else _count(info.parameters)
    name = clean_name(str(info), 36)
    name += " " * (36 - Content(name).cell_length)
    facts = f"{parameters:>7}  {clean_line(info.quantization, 8):<8}  {human_bytes(info.size_bytes):>9}"
    state = fit.verdict.value if info.local else "elsewhere"
    return Content.assemble(
        (name, "bold"), (facts, "$text-muted"), f"   {state}", ("  loaded" if info.resident_bytes else "", "$success")
    )


def _count(parameters: int) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return str(parameters)
