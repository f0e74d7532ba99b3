"""Stories at the model picker: who is there, what is down, fetching one, one model at two settings."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.widgets import Input, OptionList

from arena.backends.scripted import Script, ScriptedBackend
from arena.core.endpoints import Endpoint, PullProgress, Wire
from arena.core.errors import ArenaError, NotThereError
from arena.core.machine import Gpu
from arena.core.models import ModelInfo, ModelRef
from arena.core.variants import Variant
from arena.hardware.probe import MachineProbe
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.picker import PickerScreen
from arena.tui.screens.pull import PullScreen
from arena.tui.screens.variant import VariantScreen
from stage import CAST, NAMES, arena_on, screen_text, until


class Shop(ScriptedBackend):
    """Fetches `lynx-7b` in steps, and nothing else."""

    def __init__(self, *, waits: bool = False) -> None:
        super().__init__({}, "shop")
        self.at = Endpoint("shop", Wire.OLLAMA, "http://127.0.0.1:1")
        self.waits = waits
        self.stopped = False

    async def pull(self, name):
        if name != "lynx-7b":
            raise ArenaError(f"There is no model {name} in the library.", "Look at the spelling.")
        try:
            for part in range(1, 5):
                yield PullProgress("pulling", part << 28, 4 << 28)
                await asyncio.sleep(30 if self.waits else 0.01)
        except GeneratorExit:
            self.stopped = True
            raise
        except asyncio.CancelledError:
            self.stopped = True
            raise
        self._scripts[name] = Script(["Forty-one."], info=ModelInfo(ModelRef("shop", name, "cc" * 32)))


class Down(ScriptedBackend):
    """A server that is not there."""

    def __init__(self, name, *, wanted) -> None:
        super().__init__({}, name)
        self.at = Endpoint(name, Wire.OPENAI, "http://127.0.0.1:9/v1", wanted=wanted)

    async def models(self):
        raise NotThereError("Nothing listens at http://127.0.0.1:9/v1.", "Start the server.")


async def open_picker(pilot):
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await until(pilot, lambda: "zephyr-9b" in screen_text(pilot))  # it is known who plays
    await pilot.press("escape", "m")
    await until(pilot, lambda: isinstance(pilot.app.screen, PickerScreen))


def picker_of(pilot):
    return pilot.app.screen.query_one("#models", OptionList)


async def test_the_picker_says_what_is_down_and_what_to_do(tmp_path):
    others = [Down("cluster", wanted=True), Down("lmstudio", wanted=False)]
    with arena_on(tmp_path, others=others) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await open_picker(pilot)
            await until(pilot, lambda: "cluster: Nothing listens at" in screen_text(pilot))
            await until(pilot, lambda: "Start the server." in screen_text(pilot))
            await until(pilot, lambda: "Not running on their usual ports: lmstudio." in screen_text(pilot))
            assert picker_of(pilot).option_count == 3, "what is there stays choosable"


async def test_a_model_is_fetched_and_marked(tmp_path):
    with arena_on(tmp_path, others=[Shop()]) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await open_picker(pilot)
            await pilot.press("p")
            await until(pilot, lambda: isinstance(pilot.app.screen, PullScreen))
            await pilot.press(*"shop/lynx-7b", "enter")
            await until(
                pilot, lambda: isinstance(pilot.app.screen, PickerScreen) and picker_of(pilot).option_count == 4
            )
            await until(pilot, lambda: "● shop/lynx-7b" in screen_text(pilot))


async def test_fetching_can_be_stopped(tmp_path):
    shop = Shop(waits=True)
    with arena_on(tmp_path, others=[shop]) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(80, 24)) as pilot:
            await open_picker(pilot)
            await pilot.press("p")
            await until(pilot, lambda: isinstance(pilot.app.screen, PullScreen))
            await pilot.press(*"lynx-7b", "enter")
            await until(pilot, lambda: "256 MiB of 1.0 GiB" in screen_text(pilot))
            await pilot.press("escape")
            await until(pilot, lambda: isinstance(pilot.app.screen, PickerScreen))
            await until(pilot, lambda: shop.stopped)


async def test_what_can_not_be_fetched_is_said_and_can_be_corrected(tmp_path):
    with arena_on(tmp_path, others=[Shop()]) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(80, 24)) as pilot:
            await open_picker(pilot)
            await pilot.press("p")
            await until(pilot, lambda: isinstance(pilot.app.screen, PullScreen))
            await until(pilot, lambda: "Take these" not in screen_text(pilot))  # its own keys, not those below
            await pilot.press(*"links-7b", "enter")
            await until(pilot, lambda: "There is no model links-7b in the library." in screen_text(pilot))
            name = pilot.app.screen.query_one("#pull-name", Input)
            await until(pilot, lambda: name.has_focus and not name.disabled)


async def test_the_same_model_meets_itself_at_other_settings(tmp_path):
    with arena_on(tmp_path, {"zephyr-9b": CAST["zephyr-9b"]}) as arena:
        async with ArenaApp(arena).run_test(size=(120, 36)) as pilot:
            await open_picker(pilot)
            await until(pilot, lambda: picker_of(pilot).option_count == 1)
            await pilot.press("v")
            await until(pilot, lambda: isinstance(pilot.app.screen, VariantScreen))
            await until(pilot, lambda: "Take these" not in screen_text(pilot))  # its own keys, not those below
            await pilot.press(*"temprature=0", "enter")
            await until(pilot, lambda: "Did you mean temperature?" in screen_text(pilot))
            pilot.app.screen.query_one(Input).value = "temperature=0"
            await pilot.press("enter")
            await until(
                pilot, lambda: isinstance(pilot.app.screen, PickerScreen) and picker_of(pilot).option_count == 2
            )
            await until(pilot, lambda: screen_text(pilot).count("● garage/zep") == 2)
            await pilot.press("enter")
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)
            assert "temperature" not in screen_text(pilot)
            await pilot.press("a")
            await until(pilot, lambda: "temperature=0.7" in screen_text(pilot))
            await until(pilot, lambda: "temperature=0 " in screen_text(pilot))
            assert len(arena.board().result().standings) == 2


class SmallCard:
    """An NVIDIA driver that shows one card of 6 GiB."""

    multiprocessors: ClassVar = {"u0": 20}

    def read(self):
        return (Gpu(0, "Small card", "u0", 6 << 30, 6 << 30),), ()

    def close(self):
        pass


async def test_what_does_not_fit_comes_with_what_would_make_it(tmp_path):
    ref, wanted = ModelRef("garage", "qwen3:8b", "dd" * 32), Variant(context=32768)
    long = ModelInfo(ref, "qwen3", 8_190_735_360, None, "Q4_K_M", None, 40960, variant=wanted)
    probe = MachineProbe(SmallCard(), others=())
    with arena_on(tmp_path, {**CAST, "qwen3:8b": Script(["Hm."], info=long)}, probe=probe) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await open_picker(pilot)
            await until(pilot, lambda: picker_of(pilot).option_count == 4)
            await until(pilot, lambda: "in part" in screen_text(pilot))
            await pilot.press("end")
            await until(pilot, lambda: "garage/qwen3:8b would fit with: " in screen_text(pilot))
            await pilot.press("home")
            await until(pilot, lambda: "qwen3:8b would fit" not in screen_text(pilot))
