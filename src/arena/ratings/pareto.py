"""Quality against cost: who is beaten on both by nothing that one owns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from arena.core.ratings import Board


def unbeaten(points: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Those of whom no other is at least as good on both sides and better on one, best first on the first side.

    `points` are two figures for each, of both of which more is better. Equal points stand together.
    """
    found: list[str] = []
    best = (float("-inf"), float("-inf"))
    for key, (first, second) in sorted(points.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])):
        # Whoever came before is as good on the first side or better, so only the second one decides.
        if second > best[1] or (first, second) == best:
            found.append(key)
            best = (first, second)
    return tuple(found)


def with_frontiers(board: Board) -> Board:
    """The board with its unbeaten contestants: by score and speed, and by score and memory.

    Who has no votes, or whose cost is unknown, neither is unbeaten nor beats anybody; likewise who is not here, unless
    nobody is. Nor is anybody beaten by one with whom it was never compared.
    """
    voted = [line for line in board.standings if line.votes]
    able = {line.key: line for line in [line for line in voted if line.here] or voted}
    by_speed: list[str] = []
    by_memory: list[str] = []
    for group in board.components:
        lines = [able[key] for key in group if key in able]
        speeds = {line.key: (line.score, line.tally.chars_s) for line in lines if line.tally.chars_s is not None}
        sizes = {line.key: (line.score, -line.tally.vram_bytes) for line in lines if line.tally.vram_bytes is not None}
        by_speed += unbeaten(speeds)
        by_memory += unbeaten(sizes)
    return replace(board, unbeaten_for_speed=tuple(by_speed), unbeaten_for_memory=tuple(by_memory))
