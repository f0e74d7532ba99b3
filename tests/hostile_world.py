"""A database and prompt packs in which everything that can come from a stranger is a text of the corpus."""

from __future__ import annotations

import json
from pathlib import Path

from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Outcome, Round, RoundState, Seat
from arena.core.text import storable
from arena.core.timing import Metrics
from arena.core.votes import Verdict, Vote
from arena.store.ledger import SqliteLedger
from hostile_corpus import FORMULAS, SMALL

TEXTS = [*SMALL.values(), *FORMULAS]
SEATS = 3
FAST = Metrics(ttft_ms=9.0, e2e_ms=90.0, out_tokens=9, out_chars=30, decode_tps=100.0, chars_per_s=400.0)


def hostile_info(text: str) -> ModelInfo:
    """A model that is called so, of such a family and quantization."""
    return ModelInfo(ModelRef("garage", text, text), text, 8_000_000_000, None, text, 5_000_000_000, 8192, text)


def hostile_database(path: Path, texts: list[str] = TEXTS) -> list[str]:
    """Rounds with every text as name, prompt, answer, thought, error and note. Returns their ids.

    Each contestant is called by three of them: with as many contestants as texts a board takes its time.
    """
    texts = texts + texts[: -len(texts) % SEATS]
    names = [" ".join(texts[number : number + SEATS]) for number in range(0, len(texts), SEATS)]
    keys = []
    with SqliteLedger(path) as ledger:
        for number in range(0, len(texts), SEATS):
            said = texts[number : number + SEATS]
            infos = [hostile_info(names[(number + at) % len(names)]) for at in range(SEATS)]
            seats = tuple(Seat(at, Contestant.of(info, Sampling()), at) for at, info in enumerate(infos))
            prompt = Prompt(said[0], f"x/{number}", said[1], said[2], (storable(said[0])[:40],), "")
            round_ = Round(
                f"01hostile{number:05}", prompt, seats, Sampling(seed=1), created_at="2026-05-01T08:00:00+00:00"
            )
            ledger.open_round(round_, {info.ref: info for info in infos})
            for at, text in enumerate(said):
                outcome = Outcome.TRUNCATED if at else Outcome.ANSWERED
                ledger.save_answer(round_.id, Answer(at, text, text, FAST, outcome, text))
            ledger.close_round(round_.id, RoundState.READY)
            if number % 2 == 0:
                ledger.cast(Vote(round_.id, Verdict.parse("a>b>c", SEATS), note=said[1]), reveal=True)
            keys.append(round_.id)
    return keys


def hostile_packs(folder: Path) -> None:
    """Packs whose titles, descriptions, system messages and prompts are the texts."""
    folder.mkdir(parents=True)

    def toml(text: str) -> str:
        return json.dumps(storable(text) or "x").replace("\x7f", "\\u007f")

    for number in range(0, len(TEXTS), 50):
        texts = TEXTS[number : number + 50]
        head = [f"{key} = {toml(text)}" for key, text in zip(("title", "description", "system"), texts, strict=False)]
        prompts = [
            f'[[prompts]]\nslug = "s{at}"\ntitle = {toml(text)}\ntext = {toml(text)}' for at, text in enumerate(texts)
        ]
        (folder / f"pack{number}.toml").write_text("\n".join([*head, *prompts]), "utf-8")
        (folder / f"broken{number}.toml").write_text(f"{toml(texts[3])} = 1\n", "utf-8")
