"""The model picker: who may sit in a round."""

from __future__ import annotations

from asyncio import wrap_future
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from arena.core.endpoints import down
from arena.core.fit import Together, TogetherVerdict
from arena.core.machine import Fits, FitVerdict, human_bytes
from arena.core.models import ModelInfo
from arena.core.text import clean_line
from arena.core.variants import Variant
from arena.tui.cells import left, name_in
from arena.tui.choice import Choice
from arena.tui.language import N_, _
from arena.tui.screens.base import Dialog
from arena.tui.screens.pull import PullScreen
from arena.tui.screens.variant import VariantScreen
from arena.tui.widgets.hardware_panel import STATES
from arena.tui.widgets.key_bar import KeyBar
from arena.wiring import Arena

_WIDE = 80
_LACKING = frozenset({Fits.TIGHT, Fits.PARTIAL, Fits.NO})
_TOLD = 14
_TOGETHER = {
    TogetherVerdict.FITS: N_("together"),
    TogetherVerdict.SWAPS: N_("Ollama swaps"),
    TogetherVerdict.NO: N_("in turn"),
    TogetherVerdict.UNKNOWN: "",
}
_MORE = N_(
    "More: p fetches one, a .gguf path with `arena -m FILE.gguf`, gguf_folders and [endpoints.NAME] in the config."
)


class PickerScreen(Dialog[Choice | None]):
    """Space marks a model, 2 and 3 set the seats, Enter takes the choice."""

    AUTO_FOCUS = "#models"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "Mark", priority=True, id="picker.mark"),
        Binding("enter", "take", "Take these", priority=True, id="picker.take"),
        Binding("2", "seats(2)", "Two", tooltip="Two of them sit in each round", id="picker.two"),
        Binding("3", "seats(3)", "Three", tooltip="Three of them sit in each round", id="picker.three"),
        Binding("p", "pull", "Fetch", tooltip="Fetch a model through Ollama", id="picker.pull"),
        Binding("v", "variant", "Settings", tooltip="The same model with other settings", id="picker.variant"),
        Binding("escape", "dismiss(None)", "Back", id="picker.back"),
    ]

    def __init__(self, arena: Arena, choice: Choice) -> None:
        """Begin with what is chosen already."""
        super().__init__()
        self._arena = arena
        self._seats = choice.seats
        self._chosen = [_key(info) for info in choice.infos]
        self._variants = [info for info in choice.infos if info.variant != Variant()]
        self._infos: dict[str, ModelInfo] = {}
        self._fits: dict[str, FitVerdict] = {}
        self._beside: dict[str, Together] = {}
        self._hint = _("Looking for models…")
        self._would_fit = ""

    def compose(self) -> ComposeResult:
        """Title, list, hint."""
        with Vertical(id="picker", classes="dialog"):
            yield Static(markup=False, id="picker-title")
            yield OptionList(id="models", markup=False)
            yield Static(markup=False, id="picker-hint")
        yield KeyBar()

    def on_mount(self) -> None:
        """Look for models."""
        self._draw()
        self._look_again()

    def on_resize(self) -> None:
        """Use the width there is."""
        self._draw_rows()

    def _look_again(self) -> None:
        self.run_worker(self._look(), group="look", exclusive=True)

    async def _look(self) -> None:
        reached = await wrap_future(self._arena.lineup.reach())
        infos = [info for found in reached for info in found.infos] + self._variants
        fits = await wrap_future(self._arena.watch.fits(infos))
        at = self._list.highlighted or 0
        self._infos = {_key(info): info for info in infos}
        self._fits = dict(zip(map(_key, infos), fits, strict=True))
        self._list.clear_options()
        self._list.add_options(Option("", key, disabled=bool(info.note)) for key, info in self._infos.items())
        self._list.highlighted = min(at, len(infos) - 1) if infos else None
        broken = [f"{info.ref}: {info.note}" for info in infos if info.note]
        self._hint = "\n".join([*broken[:2], *down(reached, _), _(_MORE)])
        self._draw()
        self._draw_rows()
        self._compare()

    def _compare(self) -> None:
        """Ask what fits next to what is chosen."""
        self.run_worker(self._look_beside(), group="beside", exclusive=True)

    async def _look_beside(self) -> None:
        chosen = [self._infos[key] for key in self._chosen if key in self._infos]
        infos = list(self._infos.values())
        found = await wrap_future(self._arena.watch.beside(infos, chosen, self._seats))
        self._beside = {key: each for key, each in zip(self._infos, found, strict=True) if each is not None}
        self._draw_rows()

    @property
    def _list(self) -> OptionList:
        return self.query_one("#models", OptionList)

    def _draw_rows(self) -> None:
        width = max(40, self._list.size.width - 4)
        for key, info in self._infos.items():
            row = _row(info, self._fits[key], self._beside.get(key), width, marked=key in self._chosen)
            self._list.replace_option_prompt(key, row)

    def _draw(self) -> None:
        seats = _("{seats} of the marked ones sit in each round").format(seats=self._seats)
        title = Content.assemble((_("Contestants"), "bold"), (f"    {seats}", "$text-muted"))
        self.query_one("#picker-title", Static).update(title)
        lines = [Content.styled(clean_line(line, 300), "$text-muted") for line in self._hint.split("\n")]
        if self._would_fit:
            lines.insert(0, Content.styled(clean_line(self._would_fit, 300), "$warning"))
        self.query_one("#picker-hint", Static).update(Content("\n").join(lines))

    def on_option_list_option_highlighted(self) -> None:
        """Of a model that does not fit, say what would make it."""
        key = self._under_cursor
        self._would_fit = ""
        self._draw()
        if key in self._fits and self._fits[key].verdict in _LACKING:
            self.run_worker(self._look_for_levers(self._infos[key]), group="levers", exclusive=True)

    async def _look_for_levers(self, info: ModelInfo) -> None:
        (levers,) = await wrap_future(self._arena.watch.levers([info]))
        helping = [lever.what for lever in levers if lever.makes_it_fit][:2]
        if helping:
            told = _("{model} would fit with: {levers}.")
            self._would_fit = told.format(model=info.ref, levers=_(" or: ").join(helping))
            self._draw()

    @property
    def _under_cursor(self) -> str | None:
        at = self._list.highlighted
        return None if at is None else self._list.get_option_at_index(at).id

    def action_mark(self) -> None:
        """Mark or unmark the model under the cursor."""
        key = self._under_cursor
        if key is not None:
            if key in self._chosen:
                self._chosen.remove(key)
            else:
                self._chosen.append(key)
            self._draw_rows()
            self._compare()

    def action_seats(self, seats: int) -> None:
        """Set how many sit in a round."""
        self._seats = seats
        self._draw()
        self._compare()

    def action_pull(self) -> None:
        """Fetch a model."""
        self.app.push_screen(PullScreen(self._arena), self._fetched)

    def action_variant(self) -> None:
        """Add the model under the cursor with other settings."""
        key = self._under_cursor
        if key is not None:
            self.app.push_screen(VariantScreen(self._infos[key]), self._varied)

    def _fetched(self, info: ModelInfo | None) -> None:
        if info is not None:
            self._chosen.append(_key(info))
        self._look_again()

    def _varied(self, info: ModelInfo | None) -> None:
        if info is not None and _key(info) not in self._infos:
            self._variants.append(info)
            self._chosen.append(_key(info))
            self._look_again()

    def action_take(self) -> None:
        """Take the marked ones."""
        marked = [info for key, info in self._infos.items() if key in self._chosen]
        if len(marked) < 2:
            self.app.notify(_("Mark at least two models with space."), severity="warning", markup=False)
            return
        self.dismiss(Choice(tuple(marked), min(self._seats, len(marked))))


def _key(info: ModelInfo) -> str:
    """Two files of one name in different folders are two models, and so is one model with other settings."""
    return f"{info} {info.location}"


def _row(info: ModelInfo, fit: FitVerdict, beside: Together | None, width: int, *, marked: bool) -> Content:
    """A mark, the name, what is known of the model, and what fits, as far as the width goes."""
    state, style = STATES[fit.verdict] if info.local else (N_("elsewhere"), "$text-muted")
    state = _(state)
    facts = f"{clean_line(info.quantization, 8):<8} {human_bytes(info.size_bytes):>9}  "
    if width >= _WIDE:
        facts = f"{'' if info.parameters is None else _count(info.parameters):>7}  {facts}"
    told = _beside(beside) if beside is not None and info.local else ""
    state, told = left(state, 10), left(told, _TOLD)
    room = max(8, width - len(facts) - 10 - _TOLD - 3)
    name = left(name_in(str(info), room), room)
    return Content.assemble(
        ("● " if marked else "○ ", "$accent" if marked else "$text-muted"),
        (name, "bold" if marked else ""),
        (f" {facts}", "$text-muted"),
        (state, style),
        (told, "$text-muted"),
    )


def _beside(found: Together) -> str:
    """What happens when it is played with the marked ones."""
    if found.verdict is TogetherVerdict.CONTEXT:
        return _("both at {tokens}").format(tokens=f"{found.max_context or 0:,}")
    return _(_TOGETHER[found.verdict])


def _count(parameters: int) -> str:
    for unit, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if parameters >= size:
            return f"{parameters / size:.1f} {unit}"
    return str(parameters)
