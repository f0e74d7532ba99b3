"""The README's picture is what the program draws: this test makes it, and fails when it has gone stale.

ARENA_DRAW=1 pytest tests/test_pictures.py    writes it anew.
"""

from __future__ import annotations

import os
from difflib import unified_diff
from pathlib import Path

from arena.backends.scripted import Script
from arena.core.machine import GIB, Gpu, Machine
from arena.core.models import ModelInfo, ModelRef
from arena.hardware.probe import MachineProbe
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from stage import arena_on, until

PICTURE = Path(__file__).parent.parent / "docs" / "round.svg"
QUESTION = "Explain what an index does in a database."
LEFT = """An index is like the **register of a book**: the database looks a value up there instead of reading every row.

1. Without it, a query reads the *whole table*.
2. With it, it follows a few pages of a tree.

```sql
CREATE INDEX by_name ON people (name);
```

It costs room, and every insert has to keep it up to date.
"""
RIGHT = """A database index speeds up queries.

- Good for columns in `WHERE` and `JOIN`
- Bad for small tables

Databases have many indexes, and you should think about which ones you need before you add them.
"""
THIRD = """An index is a **sorted copy of a column** with pointers to the rows.

| | without | with |
|---|---|---|
| find one name | all rows | a few pages |
| insert | fast | a bit slower |

Use one where you *search or sort* often.
"""


def words(text: str, name: str, family: str, size_bytes: int) -> Script:
    """A model that says this text word by word."""
    info = ModelInfo(ModelRef("gguf", name), family, quantization="Q4_K_M", size_bytes=size_bytes)
    return Script([f"{word} " for word in text.split(" ")], info=info)


CAST = {
    "qwen3-8b": words(LEFT, "qwen3-8b", "qwen3", 5_200_000_000),
    "gemma3-4b": words(RIGHT, "gemma3-4b", "gemma3", 3_300_000_000),
    "llama3.1-8b": words(THIRD, "llama3.1-8b", "llama", 4_900_000_000),
}


class Workstation(MachineProbe):
    """A machine that always reads the same."""

    def read(self) -> Machine:
        gpu = Gpu(0, "NVIDIA GeForce RTX 4070", "GPU-1", 12 * GIB, int(9.1 * GIB), 400 << 20, 3, 41, 22)
        return Machine((gpu,), 64 * GIB, 47 * GIB, "AMD Ryzen 7 7700", 8, 4.0)


class Metronome:
    """A clock that goes on by 9 ms each time it is read."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        self.now += 9_000_000
        return self.now


async def draw(folder: Path, wanted: str) -> str:
    """Three rounds, the last one just revealed, as SVG; painted until it is `wanted`, or for some seconds."""
    with arena_on(folder, CAST, endpoint="gguf", seed=3, probe=Workstation(), clock=Metronome()) as arena:
        app = ArenaApp(arena, [f"gguf/{name}" for name in CAST])
        async with app.run_test(size=(144, 34)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            for votes, question in enumerate(("One", "Two", QUESTION), 1):
                await pilot.press(*question, "enter")
                await until(pilot, lambda: app.screen.phase is Phase.VOTING)
                await pilot.press("a")
                await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
                await until(pilot, lambda wanted=votes: app.screen._board and app.screen._board.votes == wanted)
                await pilot.pause()
                if votes < 3:
                    await pilot.press("n")
                    await until(pilot, lambda: app.screen.phase is Phase.ASKING)
            for _ in range(40):  # panels are filled from other threads, and a busy machine paints late
                await pilot.pause(0.1)
                drawn = app.export_screenshot(title="arena")
                if drawn == wanted:
                    break
            return drawn


async def test_the_picture_in_the_readme_is_what_the_program_draws(tmp_path):
    wanted = PICTURE.read_text("utf-8")
    drawn = await draw(tmp_path, wanted)
    if os.environ.get("ARENA_DRAW"):
        PICTURE.write_text(drawn, "utf-8")
        return
    changed = "\n".join(unified_diff(wanted.splitlines(), drawn.splitlines(), lineterm="", n=0))[:3000]
    assert drawn == wanted, f"ARENA_DRAW=1 pytest tests/test_pictures.py writes it anew\n{changed}"


def test_the_readme_shows_it():
    readme = (PICTURE.parent.parent / "README.md").read_text("utf-8")
    assert "docs/round.svg" in readme
