"""Every screen in both languages, narrow and wide: as it is kept in tests/screens, and with nothing cut off.

ARENA_DRAW=1 pytest tests/test_screens.py    writes them anew.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable
from difflib import unified_diff
from pathlib import Path

import pytest
from rich.cells import cell_len
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList
from textual.widgets._footer import FooterKey

from arena.tui import language
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.copy import CopyScreen
from arena.tui.screens.difference import DifferenceScreen
from arena.tui.screens.help import HelpScreen
from arena.tui.screens.history import HistoryScreen
from arena.tui.screens.line import LineScreen
from arena.tui.screens.picker import PickerScreen
from arena.tui.screens.prompts import PromptsScreen
from arena.tui.screens.pull import PullScreen
from arena.tui.screens.variant import VariantScreen
from arena.tui.widgets.vote_bar import VoteBar
from stage import CAST, NAMES, arena_on, screen_text, until
from test_board_screen import fill, open_board
from test_pictures import Metronome, Workstation

FOLDER = Path(__file__).with_name("screens")
SIZES = [(80, 24), (160, 45)]
_PASSING = re.compile(r"\b[0-9a-hjkmnp-tv-z]{14}\b|\d\d-\d\d \d\d:\d\d")
"""Ids of rounds and moments."""
_NAMES = re.compile(
    r"arena|garage(/\S+)?|(zephyr|kestrel|ocelot|moa)-\d?\w*|\w*…\S*|I?Q\d_\w+|(The answer |It |)is|41|[Ff]orty.one"
    r"|NVIDIA GeForce RTX 4070|AMD Ryzen 7 7700|[GCV]PU|V?RAM|GiB|TTFT|ms|CSV|JSON|Ollama|GGUF|fg"
    r"|qwen3:8b|ENDPOINT/NAME|`[^`]*`|\.gguf|gguf_folders|\[endpoints\.NAME\]|[Ee]nter|[Tt]ab|[Ee]sc|Ctrl|space|f\d"
    r"|\b\w\b|context|min_p|repeat_penalty|system|temperature|top_[kp]",
    re.ASCII,
)
"""What is English on a Korean screen, too: names, keys, units, and what models say."""
_ENGLISH = re.compile("[A-Za-z]+")
_BARS = ("#phase-bar", "#vote-bar", "#progress", "#seat-strip", "#board-head", "#picker-title")


@pytest.fixture(params=language.LANGUAGES)
def lang(request):
    language.use(request.param)
    yield request.param
    language.use("en")


async def opened(pilot: Pilot, screen: type, what: Callable[[], object] = lambda: True) -> None:
    await until(pilot, lambda: isinstance(pilot.app.screen, screen) and what())


async def welcomed(pilot: Pilot) -> None:
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await until(pilot, lambda: "zephyr" in screen_text(pilot))


async def tour_of_the_dialogs(pilot: Pilot) -> AsyncIterator[str]:
    """What there is before a round."""
    app = pilot.app
    await welcomed(pilot)
    yield "welcome"
    await pilot.press("escape")
    yield "keys"
    await pilot.press("question_mark")
    await opened(pilot, HelpScreen)
    yield "help"
    await pilot.press("escape", "ctrl+o")
    await opened(pilot, CommandPalette, lambda: app.screen.query_one(OptionList).option_count > 10)
    yield "palette"
    await pilot.press("escape", "p")
    await opened(pilot, PromptsScreen)
    yield "prompts"
    await pilot.press("escape", "m")
    await opened(pilot, PickerScreen, lambda: app.screen.query_one(OptionList).option_count == 3)
    yield "picker"
    await pilot.press("p")
    await opened(pilot, PullScreen)
    yield "pull"
    await pilot.press("escape", "v")
    await opened(pilot, VariantScreen)
    yield "variant"


async def tour_of_a_round(pilot: Pilot) -> AsyncIterator[str]:
    """From the vote to the history."""
    app = pilot.app
    await welcomed(pilot)
    await pilot.press(*"67 - 26?", "enter")
    await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.VOTING)
    yield "voting"
    if not app.screen.query_one("#seat-strip").display:  # of the one pane that is seen there is no choice
        await pilot.press("y")
        await opened(pilot, CopyScreen)
        yield "copy"
        await pilot.press("escape")
    await pilot.press("D")
    await opened(pilot, DifferenceScreen, lambda: app.screen._comparison.rows)
    yield "difference"
    await pilot.press("escape", "slash")
    await until(pilot, lambda: isinstance(app.focused, Input))
    yield "find"
    await pilot.press("escape", "f")
    await until(pilot, lambda: app.screen.phase is Phase.FOLLOWING)
    yield "following"
    await pilot.press("escape", "a", *(["enter"] if len(app.screen.query_one(VoteBar).seats) > 2 else []))
    await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
    await until(pilot, lambda: app.screen._board and app.screen._board.votes == 1)
    yield "revealed"
    await pilot.press("o")
    await opened(pilot, LineScreen)
    yield "note"
    await pilot.press("escape", "h")
    await opened(pilot, HistoryScreen, lambda: "41" in screen_text(pilot))
    yield "history"


async def tour_of_the_board(pilot: Pilot) -> AsyncIterator[str]:
    """Its five views."""
    await open_board(pilot.app, pilot)
    for number in range(1, 6):
        await pilot.press(str(number))
        yield f"board-{number}"


async def settled(pilot: Pilot, wanted: str) -> str:
    """The screen, painted until it is `wanted` or stands still: panels are filled from other threads."""
    shown, still = "", 0
    for _ in range(60):
        await pilot.pause(0.05)
        before, shown = shown, _PASSING.sub(lambda found: "·" * len(found[0]), screen_text(pilot))
        shown = "\n".join(line.rstrip() for line in shown.splitlines())
        still = still + 1 if shown == before else 0
        if shown == wanted or (still >= 12 and not wanted):
            break
    return shown


def left_over(shown: str) -> list[str]:
    """English words that are no names."""
    return _ENGLISH.findall(_NAMES.sub(" ", shown))


def cut_off(pilot: Pilot) -> list[str]:
    """What has no room on the screen: keys of the footer, and bars that would need more lines."""
    screen, width = pilot.app.screen, pilot.app.size.width
    keys = [key.description for key in screen.query(FooterKey) if key.region.right > width or not key.region.width]
    shown = [widget for place in _BARS for widget in screen.query(place) if widget.region.height]
    bars = [
        str(widget.visual)
        for widget in shown
        if sum(-(-cell_len(line) // widget.size.width) for line in str(widget.visual).splitlines()) > widget.size.height
    ]
    return [*keys, *bars]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("tour", [tour_of_the_dialogs, tour_of_a_round, tour_of_the_board])
async def test_every_screen_is_as_it_is_kept_and_nothing_is_cut_off(tmp_path, lang, size, tour):
    seats = 3 if size[0] == 80 else 2  # the most keys where there is least room
    with arena_on(tmp_path, CAST, seed=3, seats=seats, probe=Workstation(), clock=Metronome()) as arena:
        if tour is tour_of_the_board:
            fill(arena)
        async with ArenaApp(arena, NAMES).run_test(size=size) as pilot:
            async for name in tour(pilot):
                kept = FOLDER / lang / f"{name}-{size[0]}.txt"
                wanted = kept.read_text("utf-8") if kept.exists() and not os.environ.get("ARENA_DRAW") else ""
                shown = await settled(pilot, wanted)
                assert {cell_len(line) for line in screen_text(pilot).splitlines()} == {size[0]}, name
                if lang == "ko":
                    assert not cut_off(pilot), name
                    behind = (
                        isinstance(pilot.app.screen, ModalScreen) and size[0] > 80
                    )  # words that are covered in part
                    assert name == "prompts" or behind or not left_over(shown), name
                if not wanted:
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    kept.write_text(shown, "utf-8")
                    continue
                changed = "\n".join(unified_diff(wanted.splitlines(), shown.splitlines(), lineterm="", n=0))
                assert shown == wanted, f"ARENA_DRAW=1 pytest tests/test_screens.py writes {kept} anew\n{changed}"
