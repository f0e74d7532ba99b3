"""A program for a terminal of the tests: the real screen, played by scripted contestants.

    python pty_app.py FOLDER CAST [--stock]

CAST is short, stream, hostile, wide, corpus or large. `--stock` draws with Textual's own output, for a comparison.
Textual is imported only after the look at the terminal, as the program does it.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import hostile_corpus

COUNT, RATE = int(os.environ.get("TEST_TOKENS", "400")), float(os.environ.get("TEST_RATE", "100"))
"""For the cast `stream`: tokens of each answer, and how many a second."""

PROSE = (
    "The scheduler keeps a queue of **pending** requests and batches them whenever the device has free memory. "
    "스케줄러는 대기 중인 요청을 큐에 보관하고 메모리가 비면 **배치**로 묶어 처리합니다.\n\n"
    "- First, measure the `baseline` with one request\n- Second, raise the batch size\n\n"
    "```python\ndef pick(queue, budget):\n    return [each for each in queue if each.bytes < budget]\n```\n\n"
    "| model | tok/s |\n|---|---:|\n| one | 92.1 |\n| two | 88.4 |\n\n"
)
HOSTILE = (
    "a\x1b[2Jb\x1b]52;c;aGk=\x07c\x1bP+q\x1b\\d\x9b31me\u202ef\x00g\x05h\x0ei\x7fj\ufeffk\U000e0041l"
    " &#x202e;m \x1b[?1049l \x1bc"
)
WIDE = "가족 👨‍👩‍👧‍👦 국기 🇰🇷 주의 ⚠️ 1️⃣ 손 👍🏽 하트 ❤️ क्षि é ก็ שלום عالم 끝"


def tokens(count: int, seed: int) -> list[str]:
    """Pieces of about 3.5 characters, as a model says them."""
    rng, text, pieces, at = random.Random(seed), "", [], 0
    while len(pieces) < count:
        if at >= len(text):
            text, at = PROSE.replace("one", f"one {len(pieces)}"), 0
        size = rng.choice((1, 2, 2)) if ord(text[at]) > 0x1100 else rng.choice((2, 3, 4, 4, 5, 6))
        pieces.append(text[at : at + size])
        at += size
    return pieces


def corpus(seed: int):
    """Half of the texts of the corpus: every second one is thought."""
    from arena.core.events import Chunk

    texts = list(hostile_corpus.SMALL.values())[seed % 2 :: 2]
    return [Chunk(f"{text}\n\n", ("answer", "thought")[at % 2]) for at, text in enumerate(texts)]


def scripts(cast: str):
    """Contestant by name."""
    import stage

    said = {
        "short": lambda seed: stage.CAST[list(stage.CAST)[seed]].chunks,
        "stream": lambda seed: tokens(COUNT, seed),
        "hostile": lambda _: [HOSTILE],
        "wide": lambda _: [WIDE],
        "corpus": corpus,
        "large": lambda _: [hostile_corpus.LARGE[os.environ["TEST_LARGE"]]],
    }[cast]
    gap_s = 1 / RATE if cast == "stream" else 0.0
    return {
        name: replace(script, chunks=said(seed), gap_s=gap_s) for seed, (name, script) in enumerate(stage.CAST.items())
    }


def main(folder: Path, cast: str, *, stock: bool) -> None:
    """Run the screen as the program does."""
    from arena.tui.terminal import check_terminal

    check_terminal()
    import stage
    from arena.cli.commands import show_ui

    if stock:
        from arena.tui.wire import wired_app

        wired_app.why_stock = lambda _: "a comparison"
    if os.environ.get("TEST_CRASH"):
        from arena.tui.screens.round import RoundScreen

        def breaks(_):
            raise RuntimeError("it broke")

        RoundScreen.on_mount = breaks
    with stage.arena_on(folder, scripts(cast), seats=3 if cast == "stream" else 2) as arena:
        show_ui(arena, stage.NAMES)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], stock="--stock" in sys.argv)
