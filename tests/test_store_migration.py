"""Files of an earlier arena: everything in them goes on, and old votes are for the models that are played today."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

import arena.demo
from arena.backends.llamacpp import LlamaCppBackend
from arena.core.loads import Load
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState
from arena.core.votes import Verdict, Vote
from arena.store import migrations, schema
from arena.store.ledger import SqliteLedger
from test_store import ran_alongside

SAMPLER = tuple((name, getattr(Sampling(), name)) for name in sorted(("temperature", "top_p", "top_k", "min_p")))
"""top_k is an integer here, as somebody may have written it."""
DIGEST = "ab" * 32


def old_fingerprint(player: Contestant) -> str:
    """The rule of the time, written out: everything in it, the address included."""
    facts = asdict(player)
    del facts["fingerprint"]
    canonical = json.dumps(facts, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "replace")).hexdigest()[:16]


def old(endpoint: str, name: str, digest: str = DIGEST, **facts: Any) -> Contestant:
    """A contestant as it was made then."""
    player = Contestant(ModelRef(endpoint, name, digest), "Q4_K_M", sampler=SAMPLER, **facts)
    return replace(player, fingerprint=old_fingerprint(player))


def today(player: Contestant) -> Contestant:
    """The same model as it is made now."""
    sampler = tuple((name, float(value)) for name, value in player.sampler)
    return replace(player, sampler=sampler, fingerprint="")


HERE, COPY = old("gguf", "qwen3"), old("demo", "also-qwen3")
NAMELESS = old("gguf", "no/digest", digest="")
SHORT = old("gguf", "qwen3", context=1024)
PLAYERS = (HERE, COPY, NAMELESS, SHORT)


def insert(conn: sqlite3.Connection, table: str, **row: object) -> None:
    marks = ", ".join(f":{column}" for column in row)
    conn.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", row)  # noqa: S608


def keep_player(conn: sqlite3.Connection, player: Contestant, day: int, **facts: object) -> None:
    row = asdict(player)
    ref = row.pop("ref")
    row |= {"sampler": json.dumps(player.sampler), "first_seen": f"2026-01-{day:02d}T00:00:00.000+00:00"}
    insert(conn, "contestants", **ref, **row, **facts)


def keep_round(conn: sqlite3.Connection, key: str, players: Sequence[Contestant], company: Sequence[str] = ()) -> None:
    """A voted round on its own prompt, won by the first seat, its names out."""
    prompt = Prompt(f"Question {key}")
    texts = {"slug": "", "title": "", "system": "", "tags": '["general"]', "language": ""}
    insert(conn, "prompts", sha256=prompt.sha256, text=prompt.text, **texts)
    day = "2026-02-01T00:00:00.000+00:00"
    owner = {"owner_pid": 1, "owner_token": "x", "owned_at": day}
    known = {"state": "voted", "blind": 1, "pace": "even", "schedule": "turn", "revealed_at": day, **owner}
    sampling = json.dumps(asdict(Sampling()))
    insert(conn, "rounds", id=key, prompt=prompt.sha256, created_at=day, sampling=sampling, **known)
    flags = dict.fromkeys(("cold", "contended", "cached", "speed_visible"), 0)
    for seat, player in enumerate(players):
        insert(conn, "seats", round=key, seat=seat, contestant=player.fingerprint, run_order=seat)
        said = {"text": f"answer{seat}", "thought": "", "outcome": "answered", "error": "", "out_chars": 7}
        figures = {"decode_tps": 10.0 + seat, "token_source": "server", "finish": "stop"}
        beside = json.dumps(list(company))
        insert(conn, "answers", round=key, seat=seat, ran_alongside=beside, **said, **figures, **flags)
    judged = {"verdict": "a", "kind": "ranking", "ranking": "[[0]]", "blind": 1, "note": "", "voter": "me"}
    insert(conn, "votes", round=key, cast_at=f"2026-02-02T00:00:{key[-2:]}", **judged)


def an_old_file(path: Path, steps: int, *, empty: bool = False) -> None:
    """A file after that many steps of the schema."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA foreign_keys = ON")
        migrations.ARENA.apply(Database(conn, execute_plugins=False), stop_before=schema.STEPS[steps])
        conn.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        conn.execute(f"PRAGMA user_version = {steps}")
        if empty:
            return
        keep_player(conn, HERE, 2, family="")
        keep_player(conn, COPY, 1, family="qwen3", size_bytes=5)
        keep_player(conn, NAMELESS, 3)
        keep_player(conn, SHORT, 4)
        keep_round(conn, "r01", [HERE, NAMELESS], [NAMELESS.fingerprint])
        keep_round(conn, "r02", [NAMELESS, COPY], [COPY.fingerprint, HERE.fingerprint, "unknown"])
        keep_round(conn, "r03", [SHORT, COPY, NAMELESS])
        keep_round(conn, "r04", [HERE, COPY])


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as conn:
        return list(conn.iterdump())


# All steps of a release run in one transaction: no file was ever left after the first one alone with rows in it.
@pytest.mark.parametrize("steps", range(2, schema.STEPS.index("m004_contestants") + 1))
def test_an_old_file_goes_on(tmp_path: Path, steps: int):
    path = tmp_path / "arena.db"
    an_old_file(path, steps)
    model, nameless, short = (today(player).fingerprint for player in (COPY, NAMELESS, SHORT))
    with SqliteLedger(path) as ledger:
        ask = ledger._connection.rows
        assert ask("PRAGMA foreign_key_check") == []
        assert [row[0] for row in ask("PRAGMA integrity_check")] == ["ok"]
        with ledger._connection.writing() as db:
            db.execute("INSERT INTO answers_fts (answers_fts, rank) VALUES ('integrity-check', 1)")
        # Joined by the digest, under the address that was seen first, with what was known of either.
        known = ledger.contestants()
        assert known == {model: today(COPY), nameless: today(NAMELESS), short: today(SHORT)}
        assert (ledger.infos()[model].family, ledger.infos()[model].size_bytes) == ("qwen3", 5)
        # Every round with the addresses it was played with.
        for key, players in (("r01", (HERE, NAMELESS)), ("r03", (SHORT, COPY, NAMELESS)), ("r04", (HERE, COPY))):
            record = ledger.revealed(key)
            assert [seat.contestant.ref for seat in record.round.seats] == [player.ref for player in players]
            assert record.state is RoundState.VOTED
            assert [answer.text for answer in record.answers] == [f"answer{seat}" for seat in range(len(players))]
            line = next(line for line in ledger.history() if line.id == key)
            assert line.models == tuple(str(player.ref) for player in players)
            assert [seat.contestant.fingerprint for seat in record.round.seats] == [
                today(player).fingerprint for player in players
            ]
        assert list(ledger._addresses()[model]) == [str(COPY.ref), str(HERE.ref)]
        assert ran_alongside(ledger, "r02") == {0: [model, "unknown"], 1: [model, "unknown"]}
        assert ran_alongside(ledger, "r01")[0] == [nameless]
        # The votes count on. Whoever met a copy of itself met itself.
        assert [judged.keys for judged in ledger.verdicts()] == [
            (model, nameless),
            (nameless, model),
            (short, model, nameless),
        ]
        assert [judged.round_id for judged in ledger.controls()] == ["r04"]
        assert ledger.tallies()[model].tok_s == 11.0
        assert [line.id for line in ledger.history(search="answer2")] == ["r03"]


def test_no_row_of_an_old_file_is_lost(tmp_path: Path):
    path = tmp_path / "arena.db"
    an_old_file(path, 3)
    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = sqlite3.Row
        before = {row["fingerprint"]: dict(row) for row in conn.execute("SELECT * FROM contestants")}
    with SqliteLedger(path) as ledger:
        rows = ledger._connection.rows("SELECT * FROM former_contestants")
        assert {row["fingerprint"]: json.loads(row["record"]) for row in rows} == before
        for player in PLAYERS:  # a fingerprint of then still finds its contestant
            assert [key for key, _ in ledger.contestant_keys(player.fingerprint)] == [today(player).fingerprint]


@pytest.mark.parametrize("steps", range(1, len(schema.STEPS)))
def test_an_empty_old_file_is_brought_up_to_date(tmp_path: Path, steps: int):
    an_old_file(tmp_path / "old.db", steps, empty=True)
    for name in ("old.db", "new.db"):
        with SqliteLedger(tmp_path / name) as ledger:
            assert ledger.contestants() == {}

    def shape(name: str) -> list[str]:
        return [line for line in dump(tmp_path / name) if line.startswith(("CREATE", "PRAGMA"))]

    assert sorted(shape("old.db")) == sorted(shape("new.db"))


def test_a_file_that_knows_no_loads_goes_on(tmp_path: Path):
    path, players = tmp_path / "arena.db", (today(HERE), today(NAMELESS))
    an_old_file(path, schema.STEPS.index("m005_loads"), empty=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        for day, player in enumerate(players, start=1):
            keep_player(conn, player, day)
        keep_round(conn, "r01", players)
    known = {"context": 4096, "kv_type": "f16", "gpu_layers": -1, "method": "header", "runtime": "embedded"}
    sizes = {"predicted_bytes": 5, "predicted_sigma_bytes": 1, "measured_bytes": 6, "buffers_bytes": 4}
    load = Load("2026-03-01T00:00:00.000+00:00", "gpu:x", "Card", ref=HERE.ref, build="CUDA 1", **known, **sizes)
    with SqliteLedger(path) as ledger:
        assert ledger.verdicts()[0].keys == tuple(player.fingerprint for player in players)
        assert ledger.loads() == []
        ledger.note_load(load)
    with SqliteLedger(path) as ledger:
        assert ledger.loads() == ledger.open_loads() == [load]


def test_a_row_that_follows_the_rule_already_is_left(tmp_path: Path):
    path = tmp_path / "arena.db"
    player = Contestant(ModelRef("gguf", "new", DIGEST), sampler=(("temperature", 0.5),))
    an_old_file(path, 3, empty=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        keep_player(conn, player, 1)
    with SqliteLedger(path) as ledger:
        assert ledger.contestants() == {player.fingerprint: player}
        assert ledger._connection.rows("SELECT * FROM former_contestants") == []


def test_a_failed_step_leaves_an_old_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "arena.db"
    an_old_file(path, 3)
    before = dump(path)

    def fail(*_: object) -> None:
        raise RuntimeError("a power cut")

    with monkeypatch.context() as patched:
        patched.setattr("arena.store.identity._rename_company", fail)
        with pytest.raises(RuntimeError, match="power cut"):
            SqliteLedger(path)
    assert dump(path) == before
    SqliteLedger(path).close()


def test_votes_on_the_embedded_models_count_on(tmp_path: Path):
    # Every old row has the context of the round and a cache of f16: the endpoint has to go on saying so.
    async def listed() -> list[ModelInfo]:
        backend = LlamaCppBackend(Path(arena.demo.__file__).parent, [])
        try:
            return list(await backend.models())
        finally:
            await backend.close()

    def as_of_old(info: ModelInfo) -> Contestant:
        names = ("min_p", "repeat_penalty", "temperature", "top_k", "top_p")
        player = Contestant(
            info.ref,
            info.quantization,
            context=min(Sampling().context, info.context or Sampling().context),
            template_hash=info.template_hash,
            sampler=tuple((name, float(getattr(Sampling(), name))) for name in names),
        )
        return replace(player, fingerprint=old_fingerprint(player))

    infos = asyncio.run(listed())
    assert len(infos) == 3
    path = tmp_path / "arena.db"
    an_old_file(path, 3, empty=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        for info in infos:
            keep_player(conn, as_of_old(info), 1)
        keep_round(conn, "r01", [as_of_old(info) for info in infos])
    with SqliteLedger(path) as ledger:
        assert ledger.verdicts()[0].keys == tuple(Contestant.of(info, Sampling()).fingerprint for info in infos)


def test_a_file_from_before_rounds_were_judged_again_keeps_every_row(tmp_path: Path):
    path = tmp_path / "arena.db"
    an_old_file(path, schema.STEPS.index("m008_revotes"))

    def data(file: Path) -> list[str]:
        return [line for line in dump(file) if line.startswith("INSERT") and "migrations" not in line]

    before = data(path)
    with SqliteLedger(path) as ledger:
        first = ledger.round("r01").vote
        ledger.judge_again(Vote("r01", Verdict.parse("b", 2)), [1, 0])
        assert ledger.round("r01").vote == first
    (copy,) = tmp_path.glob("*before-m008*")
    assert data(copy) == before
    assert set(before) <= set(data(path))
