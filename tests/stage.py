"""What several tests play with: scripted contestants, an arena on them, and a way to wait for a state."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from textual.pilot import Pilot

from arena.backends.scripted import Script, ScriptedBackend
from arena.config import load
from arena.core.models import ModelInfo, ModelRef
from arena.core.ports import Backend
from arena.wiring import Arena

ENDPOINT = "garage"
"""No word of it stands anywhere else on a screen."""


def info(name: str, family: str = "", quantization: str = "", size_bytes: int = 5_000_000_000) -> ModelInfo:
    """A model of the scripted endpoint."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    ref = ModelRef(ENDPOINT, name, digest)
    return ModelInfo(ref, family, 8_000_000_000, None, quantization, size_bytes, 8192, template_hash="77ab")


CAST = {
    "zephyr-9b": Script(["The answer ", "is **41**."], info=info("zephyr-9b", "zephyrus", "Q4_K_M")),
    "kestrel-3b": Script(["It is ", "forty-one."], info=info("kestrel-3b", "kestrelian", "Q8_0")),
    "ocelot-1b": Script(["Forty ", "one."], info=info("ocelot-1b", "ocelotine", "IQ4_XS")),
}
NAMES = tuple(f"{ENDPOINT}/{name}" for name in CAST)


@contextmanager
def arena_on(
    folder: Path,
    scripts: Mapping[str, Script] = CAST,
    *,
    endpoint: str = ENDPOINT,
    seed: int = 7,
    seats: int = 2,
    others: Sequence[Backend] = (),
    **options,
):
    """An arena with these contestants, `others` beside them, and a database in `folder`."""
    settings = replace(load(db=folder / "arena.db"), seats=seats, controls=0.0, reveal_after_s=0.0)
    arena = Arena(settings, [ScriptedBackend(scripts, endpoint), *others], rng=random.Random(seed), **options)
    try:
        yield arena
    finally:
        arena.close()


async def until(pilot: Pilot, what: Callable[[], object], seconds: float = 20.0) -> None:
    """Wait for a state, never for a time."""
    for _ in range(int(seconds / 0.02)):
        if what():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"it never came: {what}")


def screen_text(pilot: Pilot) -> str:
    """Everything that is on the screen now."""
    app = pilot.app
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in lines[:height])[: (width + 1) * height * 4]
