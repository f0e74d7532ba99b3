"""What is exported comes back as the same votes: by JSON and by CSV, at home and in another database."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arena.core.battles import Winner, duels
from arena.core.rounds import Answer, Outcome, RoundState
from arena.core.votes import Verdict
from arena.store.battle_files import write_csv
from arena.store.ledger import SqliteLedger
from battle_files import everything, exported, opened, take
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, ready, vote

A, B, C = (player.fingerprint for player in (ALPHA, BETA, GAMMA))
OF_TWO = ("a", "b", "tie", "bad", "a>b", "b>a", "skip")
OF_THREE = (*OF_TWO, "c", "a=b", "b=c>a", "c>a=b", "c>a>b", "b>a", "a>c")


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened_:
        yield opened_


@pytest.fixture
def other(tmp_path: Path):
    with SqliteLedger(tmp_path / "other.db") as opened_:
        yield opened_


@st.composite
def judged_rounds(draw: st.DrawFn) -> tuple[object, ...]:
    players = draw(st.lists(st.sampled_from((ALPHA, BETA, GAMMA)), min_size=2, max_size=3))
    verdict = draw(st.sampled_from(OF_TWO if len(players) == 2 else OF_THREE))
    text = draw(st.sampled_from(("Why?", "=1+1", "'quoted", '"a,b"\r\nc', "가\0나", "\ufeff-")))
    flag = draw(st.sampled_from(("", "", "", "named", "speed_visible")))
    day = draw(st.integers(1, 3))
    return players, verdict, text, flag, f"2026-01-0{day}T00:00:00.000+00:00"


def play(ledger: SqliteLedger, judged: tuple[object, ...]) -> None:
    players, verdict, text, flag, cast_at = judged
    round_ = a_round(*players, text=text)
    ledger.open_round(round_)
    for seat in round_.seats:
        ledger.save_answer(round_.id, an_answer(seat.index, "x" * seat.index))
    ledger.close_round(round_.id, RoundState.READY, (flag,) if flag else ())
    vote(ledger, round_.id, verdict, cast_at=cast_at)
    ledger.mark_revealed(round_.id)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(judged_rounds(), max_size=8), st.sampled_from(("jsonl", "csv")), st.booleans())
def test_another_database_counts_an_export_as_this_one_counts_its_rounds(rounds, form, unrated):
    with tempfile.TemporaryDirectory() as folder:
        home, away = SqliteLedger(Path(folder) / "home.db"), SqliteLedger(Path(folder) / "away.db")
        for judged in rounds:
            play(home, judged)
        data = exported(home, form, unrated=unrated)
        if data.count(b"\n") > (form == "csv"):
            found = take(away, data)
            assert (found.bad, found.known, found.own) == ((), 0, 0)
        assert away.stages(voter="anna") == home.stages()
        assert away.verdicts(voter="anna") == home.verdicts()
        assert away.stages(voter="anna", tag="general") == home.stages(tag="general")
        assert away.stages() == []
        if unrated:  # then the flags decide there as they do here
            assert away.stages(voter="anna", without=()) == home.stages(without=())
            assert away.controls(voter="anna") == home.controls()
        home.close()
        away.close()


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_ones_own_export_adds_nothing_at_home(ledger, form):
    for verdict in ("c>a", "bad"):
        key = ready(ledger, ALPHA, BETA, GAMMA, text=verdict)
        vote(ledger, key, verdict)
        ledger.mark_revealed(key)
    before, own = ledger.stages(voter=""), everything(ledger)
    found = take(ledger, exported(ledger, form))
    assert (found.id, found.rounds, found.own, found.known) == (None, 0, 2, 0)
    assert ledger.stages(voter="") == before
    assert everything(ledger) == own
    assert ledger.imports() == []


def test_the_same_export_twice_adds_nothing_under_whatever_name(ledger, other):
    keys = [ready(ledger, ALPHA, BETA, text=text) for text in "123"]
    for key in keys[:2]:
        vote(ledger, key, "a")
        ledger.mark_revealed(key)
    assert take(other, exported(ledger)).rounds == 2
    again = take(other, exported(ledger, "csv"), voter="somebody else")
    assert (again.id, again.rounds, again.known) == (None, 0, 2)
    vote(ledger, keys[2], "b")
    ledger.mark_revealed(keys[2])
    more = take(other, exported(ledger))
    assert (more.rounds, more.known) == (1, 2)
    assert other.stages(voter="anna") == ledger.stages()


def test_imported_rounds_follow_the_rules_of_this_database(ledger, other):
    """A repeated prompt counts once, and a merge leads imported votes too."""
    for text, players in (("same", (ALPHA, BETA)), ("other", (GAMMA, BETA))):
        key = ready(ledger, *players, text=text)
        vote(ledger, key, "a")
        ledger.mark_revealed(key)
    first = exported(ledger)
    again = ready(ledger, BETA, ALPHA, text="same")
    vote(ledger, again, "a")
    ledger.mark_revealed(again)
    take(other, first)
    take(other, exported(ledger))
    assert len(other.verdicts(voter="anna")) == 2, "both exports hold the prompt that was put twice"
    ready(other, ALPHA, GAMMA)  # now they are known here
    other.merge(C, A)
    assert [judged.keys for judged in other.verdicts(voter="anna")] == [(A, B), (B, A)]


def test_a_sealed_round_is_never_exported(ledger):
    waiting, voted = ready(ledger, text="waiting"), ready(ledger, text="voted")
    vote(ledger, voted, "a")
    assert exported(ledger, unrated=True) == b"", "voted, and the names not out yet"
    ledger.mark_revealed(voted)
    rows = [json.loads(line) for line in exported(ledger, unrated=True).splitlines()]
    assert [row["round"] for row in rows] == [voted]
    assert waiting not in exported(ledger, unrated=True).decode()
    ledger.void(voted, "mistake")
    assert exported(ledger, unrated=True) == b""


def test_votes_that_are_not_rated_are_exported_on_request_and_marked(ledger, other):
    open_ = ready(ledger, text="open")
    ledger.reveal_unvoted(open_)
    vote(ledger, open_, "a")
    rated = ready(ledger, text="rated")
    vote(ledger, rated, "b")
    ledger.mark_revealed(rated)
    skipped = ready(ledger, text="skipped")
    vote(ledger, skipped, "skip")
    ledger.mark_revealed(skipped)
    rows = [json.loads(line) for line in exported(ledger, unrated=True).splitlines()]
    assert [(row["round"], row["rated"], row["blind"]) for row in rows] == [(open_, False, False), (rated, True, True)]
    assert [json.loads(line)["round"] for line in exported(ledger).splitlines()] == [rated]
    assert take(other, exported(ledger, unrated=True)).rounds == 2
    assert [judged.round_id for judged in other.verdicts(voter="anna", without=())] == [rated]


def test_a_vote_beside_an_answer_that_broke_off_is_not_exported(ledger):
    round_ = a_round()
    ledger.open_round(round_)
    ledger.save_answer(round_.id, an_answer(0))
    ledger.save_answer(round_.id, Answer(1, "", outcome=Outcome.FAILED))
    ledger.close_round(round_.id, RoundState.READY)
    vote(ledger, round_.id, "a")
    ledger.mark_revealed(round_.id)
    assert exported(ledger, unrated=True) == b""


def test_a_further_turn_is_not_the_same_prompt_again(ledger, other):
    """It has the prompt of another round, and another conversation before it."""
    first, second = ready(ledger, text="and now?"), ready(ledger, text="why?")
    ledger._connection._conn.execute("UPDATE rounds SET continues = ? WHERE id = ?", [first, second])
    third = ready(ledger, text="why?")
    for key in (first, second, third):
        vote(ledger, key, "a")
        ledger.mark_revealed(key)
    take(other, exported(ledger, unrated=True))
    assert len(other.verdicts(voter="anna")) == 3


def test_a_round_of_three_is_a_row_for_each_pair_that_the_verdict_orders(ledger):
    key = ready(ledger, ALPHA, BETA, GAMMA)
    vote(ledger, key, "b", decided_ms=1234, note="close")
    ledger.mark_revealed(key)
    rows = [json.loads(line) for line in exported(ledger).splitlines()]
    told = [(row["pair"], row["model_a"], row["model_b"], row["winner"]) for row in rows]
    alpha, beta, gamma = "ollama/alpha:7b", "ollama/beta:8b", "ollama/gamma:9b"
    assert told == [("AB", alpha, beta, "model_b"), ("BC", beta, gamma, "model_a")]
    assert {(row["round"], row["verdict"], row["voter"], row["decided_ms"]) for row in rows} == {(key, "b", "me", 1234)}
    assert [seat["fingerprint"] for seat in rows[0]["seats"]] == [A, B, C]
    assert (rows[1]["fingerprint_a"], rows[1]["quantization_b"]) == (B, "Q8_0")
    assert (rows[0]["prompt"], rows[0]["note"], rows[0]["tags"]) == ("Why is the sky blue?", "close", ["general"])
    (bare, _) = [json.loads(line) for line in exported(ledger, texts=False).splitlines()]
    assert (bare["prompt"], bare["note"], bare["system"]) == (None, None, None)
    assert bare["prompt_sha256"] == rows[0]["prompt_sha256"]


def test_speeds_are_those_of_clean_runs(ledger):
    round_ = a_round()
    ledger.open_round(round_)
    ledger.save_answer(round_.id, an_answer(0, decode_tps=10.0, chars_per_s=40.0, ttft_ms=5.0))
    ledger.save_answer(round_.id, an_answer(1, decode_tps=10.0, chars_per_s=40.0, ttft_ms=5.0, cold=True))
    ledger.close_round(round_.id, RoundState.READY)
    vote(ledger, round_.id, "a")
    ledger.mark_revealed(round_.id)
    (row,) = [json.loads(line) for line in exported(ledger).splitlines()]
    assert [row[name] for name in ("tok_s_a", "chars_s_a", "ttft_ms_a")] == [10.0, 40.0, 5.0]
    assert [row[name] for name in ("tok_s_b", "chars_s_b", "ttft_ms_b")] == [None, None, None]


@given(st.integers(2, 3).flatmap(lambda seats: st.tuples(st.just(seats), st.sampled_from(OF_THREE))))
def test_pairs_of_a_verdict_agree_with_its_order(case):
    seats, text = case
    if seats == 2 and "c" in text:
        return
    verdict = Verdict.parse(text, seats)
    found = list(duels(verdict, seats))
    assert len({(a, b) for a, b, _ in found}) == len(found)
    for a, b, winner in found:
        assert a < b
        places = [next((i for i, group in enumerate(verdict.ranking) if seat in group), 9) for seat in (a, b)]
        if text == "bad":
            assert winner is Winner.BOTH_BAD
        else:
            higher = (places[0] < places[1]) - (places[0] > places[1])
            assert winner is (Winner.TIE, Winner.MODEL_A, Winner.MODEL_B)[higher]
            assert places != [9, 9]


CELLS = st.text(st.characters(codec="utf-8"), max_size=8)
DANGEROUS = st.builds(lambda start, rest: start + rest, st.sampled_from("=+-@\t\r\n＝＋－＠'"), CELLS)


@settings(deadline=None)
@given(st.lists(CELLS | DANGEROUS, min_size=1, max_size=5))
def test_no_cell_of_a_csv_is_a_formula_and_each_comes_back_as_it_was(texts):
    columns = ("model_a", "model_b", "winner", "round", "verdict", "seats", "prompt")
    out = io.StringIO(newline="")
    write_csv([dict.fromkeys(columns, "x") | {"prompt": text} for text in texts], columns, out)
    for row in csv.reader(io.StringIO(out.getvalue(), newline="")):
        assert not row[-1].startswith(tuple("=+-@\t\r\n＝＋－＠"))
    found = [row for _, row in opened(out.getvalue().encode()).rows()]
    assert [row["prompt"] if isinstance(row, dict) else row for row in found] == texts


def test_a_quote_that_begins_a_cell_of_a_foreign_csv_stays(ledger):
    take(ledger, b"model_a,model_b,winner\n'ant,bee,tie\n")
    stages = ledger.stages(voter="anna")
    assert set(ledger.shown_names(stages).values()) == {"'ant", "bee"}
