"""What the store tells of a round before its vote: views, history, search and waiting rounds name nobody."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
from sqlite_utils import Database

from arena.core.models import ModelInfo
from arena.core.ports import RoundRecord
from arena.core.rounds import Answer, Outcome, Pace, RoundState
from arena.store.ledger import SqliteLedger
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, decide, ready, vote

VIEWS = {"open_rounds", "seats_revealed", "leaderboard_votes", "waiting_rounds", "answers_revealed", "speed"}
SPEED = "1234.5"
INFOS = {
    player.ref: ModelInfo(player.ref, family=family, size_bytes=4_650_000_123)
    for player, family in ((ALPHA, "llama"), (BETA, "qwen3"))
}


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def a_telling_round(ledger: SqliteLedger, upto: RoundState) -> str:
    """A round in which everything that could tell, tells, as far as that state."""
    round_ = a_round(ALPHA, BETA)
    ledger.open_round(round_, INFOS)
    if upto is not RoundState.PLANNED:
        for seat in (0, 1):
            times = dict.fromkeys(("decode_tps", "ttft_ms", "server_e2e_ms"), float(SPEED))
            answer = an_answer(seat, "a secret handshake", **times)
            error = f"{ALPHA.ref} ran out of memory"
            answer = Answer(seat, answer.text, "my thinking", answer.metrics, Outcome.TRUNCATED, error)
            ledger.save_answer(round_.id, answer, ran_alongside=[ALPHA.fingerprint])
    if upto not in (RoundState.PLANNED, RoundState.GENERATING):
        ledger.close_round(round_.id, RoundState.READY)
    if upto is RoundState.VOTED:
        vote(ledger, round_.id, "a")
    return round_.id


def telling() -> set[str]:
    words = {"llama", "qwen3", "4650000123", "handshake", "my thinking", "memory", SPEED, "truncated"}
    for player in (ALPHA, BETA):
        words |= {str(player.ref), player.ref.name, player.fingerprint, player.ref.digest[:8], player.quantization}
    return words


def grep(cells: list[object]) -> list[tuple[str, object]]:
    return [(word, cell) for cell in cells for word in telling() if word.lower() in str(cell).lower()]


def everything_in_views(ledger: SqliteLedger) -> list[object]:
    names = {row["name"] for row in ledger._connection.rows("SELECT name FROM sqlite_master WHERE type = 'view'")}
    assert names == VIEWS
    return [
        cell for name in names for row in Database(ledger._connection._conn).view(name).rows for cell in row.values()
    ]


# Voted and not revealed: the vote can be taken back, so names would let a second, seeing vote pass for a blind one.
@pytest.mark.parametrize("upto", [RoundState.PLANNED, RoundState.GENERATING, RoundState.READY, RoundState.VOTED])
def test_no_view_tells_before_the_reveal(ledger: SqliteLedger, upto: RoundState):
    a_telling_round(ledger, upto)
    assert grep(everything_in_views(ledger)) == []


def test_views_tell_after_the_reveal(ledger: SqliteLedger):
    key = a_telling_round(ledger, RoundState.VOTED)
    ledger.mark_revealed(key)
    (cast,) = ledger._connection.rows("SELECT * FROM leaderboard_votes")
    assert (cast["model_a"], cast["model_b"], cast["model_c"]) == ("ollama/alpha:7b", "ollama/beta:8b", None)
    assert (cast["verdict"], cast["blind"], cast["round"]) == ("a", 1, key)
    answers = ledger._connection.rows("SELECT * FROM answers_revealed ORDER BY label")
    assert [(row["label"], row["model"]) for row in answers] == [("A", "ollama/alpha:7b"), ("B", "ollama/beta:8b")]
    assert [row["decode_tps"] for row in ledger._connection.rows("SELECT * FROM speed")] == [float(SPEED)] * 2
    for query in ("SELECT * FROM answers_revealed", "SELECT * FROM speed"):
        figures = ledger._connection.rows(query)
        assert [row["server_e2e_ms"] for row in figures] == [float(SPEED)] * 2
        assert {"server_load_ms", "server_prompt_ms", "server_decode_ms"} < set(figures[0].keys())
    assert {word for word, _ in grep(everything_in_views(ledger))} > {ALPHA.fingerprint, "handshake", SPEED}


def test_speed_shows_clean_runs_only(ledger: SqliteLedger):
    for flag in ("cold", "contended", "cached", "speed_visible"):
        round_ = a_round(text=flag)
        ledger.open_round(round_)
        for seat in (0, 1):
            ledger.save_answer(round_.id, an_answer(seat, flag, **{flag: True}))
        ledger.close_round(round_.id, RoundState.READY)
        ledger.reveal_unvoted(round_.id)
    assert len(ledger._connection.rows("SELECT * FROM speed")) == 2  # speed that was seen is a fair measurement


def test_a_waiting_round_is_shown_by_its_prompt(ledger: SqliteLedger):
    key = ready(ledger, GAMMA, ALPHA, BETA, pace=Pace.WHOLE)
    (row,) = ledger._connection.rows("SELECT * FROM waiting_rounds")
    assert (row["round"], row["prompt"], row["seats"]) == (key, "Why is the sky blue?", 3)
    (view,) = ledger.waiting(5)
    assert (view.id, view.labels, view.pace) == (key, ("A", "B", "C"), Pace.WHOLE)
    assert ledger.view(key) == view
    assert ledger.waiting(0) == []


def test_answers_before_the_vote_are_text_alone(ledger: SqliteLedger):
    key = a_telling_round(ledger, RoundState.READY)
    assert ledger.sealed(key).answers == tuple(
        Answer(seat, "a secret handshake", outcome=Outcome.TRUNCATED) for seat in (0, 1)
    )


@pytest.mark.parametrize("upto", [RoundState.GENERATING, RoundState.READY, RoundState.VOTED])
def test_history_names_nobody_before_the_reveal(ledger: SqliteLedger, upto: RoundState):
    key = a_telling_round(ledger, upto)
    (line,) = ledger.history()
    cells = [getattr(line, field.name) for field in fields(line)]
    words = telling() - ({"truncated"} if upto is RoundState.VOTED else set())
    assert line.sealed
    assert [(word, cell) for word, cell in grep(cells) if word in words] == []
    assert (line.id, line.labels, line.state) == (key, ("A", "B"), upto)


def test_history_names_everybody_after_the_reveal(ledger: SqliteLedger):
    key = a_telling_round(ledger, RoundState.VOTED)
    ledger.mark_revealed(key)
    (line,) = ledger.history()
    assert not line.sealed
    assert line.models == ("ollama/alpha:7b", "ollama/beta:8b")
    assert (str(line.verdict), line.flags) == ("a", ("truncated",))
    peeked = a_telling_round(ledger, RoundState.READY)
    ledger.reveal_unvoted(peeked)
    assert ledger.history(state=RoundState.UNBLINDED)[0].models == line.models


def test_search_finds_beginnings_of_words_in_both_languages(ledger: SqliteLedger):
    def said(text: str, prompt: str) -> str:
        round_ = a_round(text=prompt)
        ledger.open_round(round_)
        for seat in (0, 1):
            ledger.save_answer(round_.id, an_answer(seat, text))
        ledger.close_round(round_.id, RoundState.READY)
        decide(ledger, round_.id, "tie")
        return round_.id

    korean = said("대한민국의 수도는 서울입니다.", "수도가 어디야?")
    english = said("Naïve Bayes, of course.", "Which classifier?")

    def found(search: str) -> list[str]:
        return [line.id for line in ledger.history(search=search)]

    assert found("서울") == found("수도 서울") == found("수도가") == [korean]
    assert found("naive BAY") == found("classifier") == [english]
    assert found("  ") == [english, korean]
    for nothing in ('"', "NOT", "* OR", "text:서울", "서울\0naive", "(", "\ud800", "'; --", "민국"):
        assert found(nothing) == []
    assert ledger.history(search="서울", tag="general")
    assert ledger.history(search="서울", tag="coding") == []
    assert ledger.history(limit=1, offset=1)[0].id == korean


@pytest.mark.parametrize("upto", [RoundState.GENERATING, RoundState.READY, RoundState.VOTED])
def test_no_figure_moves_before_the_reveal(ledger: SqliteLedger, upto: RoundState):
    key = a_telling_round(ledger, upto)
    assert (ledger.stages(voter=""), ledger.tallies(), ledger.sights(voter="")) == ([], {}, ([], []))
    if upto is RoundState.VOTED:
        ledger.mark_revealed(key)
        assert ledger.stages()
        assert ledger.sights()[0]


@pytest.mark.parametrize("upto", [RoundState.GENERATING, RoundState.READY, RoundState.VOTED])
def test_search_does_not_look_into_sealed_answers(ledger: SqliteLedger, upto: RoundState):
    key = a_telling_round(ledger, upto)
    assert ledger.history(search="handshake") == []
    assert [line.id for line in ledger.history(search="sky")] == [key]


def test_the_index_survives_a_vacuum(ledger: SqliteLedger):
    keys = [ready(ledger, text=f"word{number}") for number in range(4)]
    with ledger._connection.writing() as db:
        db.execute("DELETE FROM answers WHERE round = ?", [keys[0]])
    ledger._connection.rows("VACUUM")
    assert [line.id for line in ledger.history(search="word2")] == [keys[2]]


def test_a_record_is_the_only_thing_that_names(ledger: SqliteLedger):
    record = ledger.round(a_telling_round(ledger, RoundState.READY))
    assert isinstance(record, RoundRecord)
    assert record.round.seats[0].contestant == ALPHA
