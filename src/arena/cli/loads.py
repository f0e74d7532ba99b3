"""What `arena fit --check` prints: predicted against measured, for every past load."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from arena.cli.reports import table
from arena.core.loads import RAM, Load
from arena.core.machine import human_bytes

if TYPE_CHECKING:
    from arena.wiring import Arena

NOTHING = "No load was measured yet: play a round."
_HEAD = ("when (UTC)", "model", "device", "context", "KV", "predicted", "±", "measured", "difference", "", "by")
_ON_RAM = (
    "On RAM a process is charged only for pages that it has touched: what was measured there is a lower bound, and no"
    " prediction is lowered by it."
)
_SEALED = (
    "Only the day is told, in the order of names, while a round waits for its vote: the order of loads would tell on"
    " it."
)
_DAY = len("2026-01-31")
_DIFFERENCE = "The difference is measured less predicted, in percent of the measured."


def past_loads(arena: Arena, names: Sequence[str]) -> list[Load]:
    """The loads of the models of these names (`ENDPOINT/NAME`), or all. Raises ArenaError."""
    found = arena.loads().result()
    return [load for load in found if not names or str(load.ref) in names]


def as_json(loads: Sequence[Load]) -> dict[str, Any]:
    """All that is known of each; bytes, percent."""
    return {"loads": [_facts(load) for load in loads]}


def _facts(load: Load) -> dict[str, Any]:
    facts = asdict(load)
    ref = facts.pop("ref")
    percent = load.difference_percent
    return {
        **facts,
        "model": str(load.ref),
        "digest": ref["digest"],
        "difference_bytes": load.difference_bytes,
        "difference_percent": None if percent is None else round(percent, 2),
    }


def as_text(loads: Sequence[Load]) -> str:
    """A table for a person."""
    if not loads:
        return NOTHING
    lines = [table(_HEAD, [_row(load) for load in loads]), "", _DIFFERENCE]
    if any(load.device == RAM for load in loads):
        lines.append(_ON_RAM)
    if any(len(load.at) == _DAY for load in loads):
        lines.append(_SEALED)
    return "\n".join(lines)


def _row(load: Load) -> tuple[str, ...]:
    percent = load.difference_percent
    return (
        load.at[:16].replace("T", " "),
        str(load.ref),
        load.device_name or load.device,
        str(load.context),
        load.kv_type,
        human_bytes(load.predicted_bytes),
        human_bytes(load.predicted_sigma_bytes),
        human_bytes(load.measured_bytes),
        f"{'+' if load.difference_bytes > 0 else ''}{human_bytes(load.difference_bytes)}",
        "-" if percent is None else f"{percent:+.1f} %",
        load.method,
    )
