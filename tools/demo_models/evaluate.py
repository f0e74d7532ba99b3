"""Score the finished demo models through llama.cpp and write the figures into the card.

Run on its own, this needs llama-cpp-python and nothing else:

    python tools/demo_models/evaluate.py

The sections of ``CARD.md`` between the ``figures`` and the ``mistakes`` marks
are written anew; the rest of the card is left as it is.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import corpus

if TYPE_CHECKING:
    from llama_cpp import Llama

DEMO = Path(__file__).resolve().parents[2] / "src" / "arena" / "demo"
MODELS = ("small", "medium", "large")


@dataclass
class Score:
    """How one model did on the held-out questions."""

    name: str
    metadata: dict[str, str]
    right: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    asked: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    mistakes: list[tuple[str, str, str, str]] = field(default_factory=list)
    tokens_per_second: float = 0.0
    size: int = 0

    @property
    def percent(self) -> float:
        """The share of right answers over all questions."""
        return 100 * sum(self.right.values()) / sum(self.asked.values())


def write_held_out(path: Path) -> None:
    """Write the held-out questions, one JSON object on each line."""
    lines = [
        json.dumps(
            {
                "kind": question.kind,
                "language": question.language,
                "prompt": question.prompt,
                "rule": question.rule,
                "expected": question.expected,
            },
            ensure_ascii=False,
        )
        for question in corpus.held_out_questions()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_held_out(path: Path) -> list[dict[str, str]]:
    """Read the held-out questions."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def open_model(path: Path) -> Llama:
    """Open a model with llama-cpp-python."""
    from llama_cpp import Llama  # noqa: PLC0415 - only needed here

    return Llama(str(path), n_ctx=512, n_threads=1, n_batch=512, verbose=False)


def ask(model: Llama, prompt: str, max_tokens: int = 128) -> tuple[str, int]:
    """Ask one question greedily; return the answer and the number of its tokens."""
    reply = model.create_chat_completion([{"role": "user", "content": prompt}], temperature=0.0, max_tokens=max_tokens)
    return str(reply["choices"][0]["message"]["content"]), int(reply["usage"]["completion_tokens"])


def score(name: str, model: Llama, questions: list[dict[str, str]]) -> Score:
    """Ask a model all held-out questions."""
    result = Score(name, dict(model.metadata))
    started, written = time.time(), 0
    for question in questions:
        answer, count = ask(model, question["prompt"])
        written += count
        kind = question["kind"]
        result.asked[kind] += 1
        if corpus.is_right(answer, question["rule"], question["expected"]):
            result.right[kind] += 1
        else:
            result.mistakes.append((kind, question["prompt"], question["expected"], answer))
    result.tokens_per_second = written / (time.time() - started)
    return result


def figures_section(scores: list[Score]) -> str:
    """The tables of the card."""
    names = " | ".join(s.name for s in scores)
    dashes = " | ".join("---:" for _ in scores)

    def line(title: str, cells: list[str]) -> str:
        return f"| {title} | " + " | ".join(cells) + " |"

    def meta(s: Score, key: str) -> float:
        return float(s.metadata[f"arena.training.{key}"])

    rows = [
        f"| | {names} |",
        f"| --- | {dashes} |",
        line("parameters", [f"{meta(s, 'parameters'):,.0f}" for s in scores]),
        line("file size in bytes", [f"{s.size:,}" for s in scores]),
        line("layers", [s.metadata["llama.block_count"] for s in scores]),
        line("width", [s.metadata["llama.embedding_length"] for s in scores]),
        line("attention heads", [s.metadata["llama.attention.head_count"] for s in scores]),
        line("feed-forward width", [s.metadata["llama.feed_forward_length"] for s in scores]),
        line("training tokens", [f"{meta(s, 'million_tokens'):.1f} million" for s in scores]),
        line("training minutes", [f"{meta(s, 'minutes'):.0f}" for s in scores]),
        "",
        f"| right answers in % (number of questions) | {names} |",
        f"| --- | {dashes} |",
    ]
    for kind, asked in scores[0].asked.items():
        cells = [f"{100 * s.right[kind] / asked:.0f}" for s in scores]
        rows.append(line(f"{kind} ({asked})", cells))
    total = sum(scores[0].asked.values())
    rows.append(line(f"**all** ({total})", [f"**{s.percent:.1f}**" for s in scores]))
    return "\n".join(rows)


def mistakes_section(scores: list[Score], each: int = 6) -> str:
    """Real wrong answers, from different kinds for each model."""
    rows = ["| model | question | expected | answer |", "| --- | --- | --- | --- |"]

    def cell(text: str) -> str:
        shortened = text if len(text) <= 90 else text[:87] + "..."
        return shortened.replace("\n", " ⏎ ").replace("|", "\\|")

    for s in scores:
        kinds: set[str] = set()
        for kind, prompt, expected, answer in s.mistakes:
            if kind not in kinds and len(kinds) < each:
                kinds.add(kind)
                rows.append(f"| {s.name} | {cell(prompt)} | {cell(expected)} | {cell(answer)} |")
    return "\n".join(rows)


def replace_section(card: str, name: str, text: str) -> str:
    """Put a new text between the marks of a section."""
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(card):
        raise ValueError(f"the card has no section {name!r}")
    return pattern.sub(lambda match: match[1] + text + "\n" + match[2], card)


def evaluate(demo: Path, card_path: Path | None) -> list[Score]:
    """Score all three models and, given a card, write the figures into it."""
    questions = read_held_out(demo / "held_out.jsonl")
    scores = []
    for name in MODELS:
        path = demo / f"{name}.gguf"
        scores.append(score(name, open_model(path), questions))
        scores[-1].size = path.stat().st_size
    for s in scores:
        print(f"{s.name}: {s.percent:.1f} % right, {s.tokens_per_second:,.0f} tokens/s")
        for kind, asked in s.asked.items():
            print(f"    {kind}: {s.right[kind]}/{asked}")
    if card_path is not None:
        card = card_path.read_text(encoding="utf-8")
        card = replace_section(card, "figures", figures_section(scores))
        card = replace_section(card, "mistakes", mistakes_section(scores))
        card_path.write_text(card, encoding="utf-8")
    return scores


def main() -> None:
    """Score the models in a folder."""
    parser = argparse.ArgumentParser(description="Score arena's demo models.")
    parser.add_argument("--demo", type=Path, default=DEMO, help="folder of the models")
    parser.add_argument("--no-card", action="store_true", help="leave the card as it is")
    parser.add_argument("--new-questions", action="store_true", help="write held_out.jsonl anew")
    options = parser.parse_args()
    if options.new_questions:
        write_held_out(options.demo / "held_out.jsonl")
    evaluate(options.demo, None if options.no_card else options.demo / "CARD.md")


if __name__ == "__main__":
    main()
