"""Who counts as one: contestants at several addresses, merging, taking it back, finding one by what it is called."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arena.core.errors import ArenaError
from arena.core.models import Contestant, ModelRef
from arena.core.prompts import Prompt
from arena.core.ratings import Tally
from arena.core.rounds import RoundState
from arena.core.votes import Stage
from arena.store.ledger import SqliteLedger
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, decide, ready, vote

DELTA = Contestant(ModelRef("desk", "delta"), context=8192)
PLAYERS = (ALPHA, BETA, GAMMA, DELTA)
A, B, C, D = (player.fingerprint for player in PLAYERS)


def at(player: Contestant, endpoint: str, name: str) -> Contestant:
    """The same contestant, reached elsewhere."""
    return replace(player, ref=ModelRef(endpoint, name, player.ref.digest), fingerprint="")


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def everything(ledger: SqliteLedger) -> dict[str, Any]:
    """All that merges have a say in."""
    return {
        "contestants": list(ledger.contestants().items()),
        "verdicts": ledger.verdicts(),
        "controls": ledger.controls(),
        "stages": ledger.stages(),
        "tallies": ledger.tallies(),
        "shown": ledger.shown_counts(),
        "pairs": ledger.pair_counts(),
        "played": ledger.played(Prompt("prompt 1")),
    }


def keys_at(ledger: SqliteLedger, address: str) -> list[str]:
    return [key for key, _ in ledger.contestant_keys(address)]


def raw_rows(ledger: SqliteLedger) -> list[list[tuple[object, ...]]]:
    queries = (
        "SELECT * FROM contestants",
        "SELECT * FROM rounds",
        "SELECT * FROM seats",
        "SELECT * FROM answers",
        "SELECT * FROM votes",
        "SELECT * FROM leaderboard_votes",
    )
    return [[tuple(row) for row in ledger._connection.rows(query)] for query in queries]


def test_a_seat_remembers_where_it_was_answered(ledger: SqliteLedger):
    elsewhere = at(ALPHA, "desk", "alpha-q4")
    assert elsewhere.fingerprint == A
    first, second = ready(ledger, ALPHA, BETA, text="1"), ready(ledger, BETA, elsewhere, text="2")
    assert ledger.contestants() == {A: ALPHA, B: BETA}
    assert keys_at(ledger, "desk/alpha-q4") == [], "the second round is sealed"
    for key in (first, second):
        vote(ledger, key, "a")
        ledger.mark_revealed(key)
    assert ledger.revealed(first).round.seats[0].contestant.ref == ALPHA.ref
    assert ledger.revealed(second).round.seats[1].contestant == elsewhere
    assert ledger.history()[0].models == ("ollama/beta:8b", "desk/alpha-q4")
    cast = ledger._connection.rows("SELECT * FROM leaderboard_votes WHERE round = :round", round=second)[0]
    assert (cast["model_b"], cast["fingerprint_b"]) == ("desk/alpha-q4", A)
    assert keys_at(ledger, "desk/alpha-q4") == keys_at(ledger, "ollama/alpha:7b") == [A]
    assert [judged.keys for judged in ledger.verdicts()] == [(A, B), (B, A)]


def test_a_seat_without_an_address_has_that_of_its_contestant(ledger: SqliteLedger):
    key = ready(ledger, ALPHA, BETA)
    with ledger._connection.writing() as db:  # as an earlier arena writes, which still has the file open
        db.execute("UPDATE seats SET endpoint = '', name = ''")
    ledger.reveal_unvoted(key)
    assert [seat.contestant for seat in ledger.revealed(key).round.seats] == [ALPHA, BETA]
    assert ledger.history()[0].models == ("ollama/alpha:7b", "ollama/beta:8b")
    assert keys_at(ledger, "ollama/alpha:7b") == [A]


def test_a_member_counts_for_its_leader(ledger: SqliteLedger):
    one, two = ready(ledger, ALPHA, GAMMA, text="1"), ready(ledger, GAMMA, BETA, text="2")
    for key in (one, two):
        vote(ledger, key, "a")
        ledger.mark_revealed(key)
    before = raw_rows(ledger)
    ledger.merge(B, A)
    assert ledger.merges() == {B: A}
    assert ledger.contestants() == {A: ALPHA, C: GAMMA}
    assert keys_at(ledger, "ollama/beta:8b") == [B], "it is still found by its own name"
    assert [replace(stage, chars=()) for stage in ledger.stages()] == [
        Stage((A, C), (A,), one),
        Stage((C, A), (C,), two),
    ]
    assert ledger.shown_counts() == {A: 2, C: 2}
    assert ledger.pair_counts() == {(min(A, C), max(A, C)): 2}
    assert ledger.played(Prompt("2")) == {tuple(sorted((A, C)))}
    assert ledger.infos().keys() == {A, B, C}
    # A past round stays what it was.
    assert raw_rows(ledger) == before
    assert ledger.revealed(two).round.seats[1].contestant == BETA
    assert ledger.history()[0].models == ("ollama/gamma:9b", "ollama/beta:8b")


def test_merged_runs_are_one_set(ledger: SqliteLedger):
    for player, speeds in ((ALPHA, (10.0, 20.0)), (BETA, (60.0,))):
        for speed in speeds:
            round_ = a_round(player, GAMMA, text=f"{speed}")
            ledger.open_round(round_)
            ledger.save_answer(round_.id, an_answer(0, decode_tps=speed))
            ledger.save_answer(round_.id, an_answer(1))
            ledger.close_round(round_.id, RoundState.READY)
            decide(ledger, round_.id, "a")
    ledger.merge(A, B)
    assert ledger.tallies() == {B: Tally(tok_s=20.0), C: Tally()}


def test_merged_contestants_that_met_are_no_comparison_and_no_control(ledger: SqliteLedger):
    met = ready(ledger, ALPHA, BETA, text="same")
    all_three = ready(ledger, ALPHA, GAMMA, BETA, text="same")
    control = ready(ledger, ALPHA, ALPHA, text="same")
    other_control = ready(ledger, BETA, BETA, text="same")
    for key in (control, other_control, met, all_three):
        decide(ledger, key, "a")
    before = everything(ledger)
    ledger.merge(B, A)
    assert (ledger.verdicts(), ledger.stages()) == ([], [])
    # The two controls are one prompt put twice; the newer vote on `met` is no reason to drop them.
    assert [(judged.round_id, judged.keys) for judged in ledger.controls()] == [(other_control, (A, A))]
    assert ledger.shown_counts() == {A: 4, C: 1}
    assert ledger.pair_counts() == {(min(A, C), max(A, C)): 1}
    ledger.unmerge(B)
    assert everything(ledger) == before
    assert [judged.round_id for judged in ledger.verdicts()] == [met, all_three]


def test_a_prompt_put_to_members_of_one_leader_counts_once(ledger: SqliteLedger):
    first, again = ready(ledger, ALPHA, GAMMA), ready(ledger, GAMMA, BETA)
    for key in (first, again):
        decide(ledger, key, "a")
    ledger.merge(B, A)
    assert [judged.round_id for judged in ledger.verdicts()] == [again]
    ready_later = ready(ledger, BETA, GAMMA)
    ledger.unmerge(B)
    assert [judged.round_id for judged in ledger.verdicts()] == [first, again]
    assert ledger.round(ready_later).flags == ("repeated",)
    assert ledger.round(again).flags == ()


def test_leaders_that_are_merged_themselves_are_followed(ledger: SqliteLedger):
    for player in PLAYERS:
        ledger.open_round(a_round(player, player, text=str(player.ref)))
    ledger.merge(C, B)
    ledger.merge(B, A)
    ledger.merge(D, C)
    assert ledger.merges() == {C: A, B: A, D: A}
    ledger.unmerge(B)
    assert ledger.merges() == {C: B, D: A}
    history = ledger._connection.rows("SELECT member, leader, undone_at IS NULL AS stands FROM merges ORDER BY id")
    assert [tuple(row) for row in history] == [(C, B, 1), (B, A, 0), (D, A, 1)]
    ledger.merge(B, A)
    assert ledger.merges()[C] == A
    assert len(ledger._connection.rows("SELECT 1 FROM merges")) == 4


def test_what_is_refused(ledger: SqliteLedger):
    ready(ledger, ALPHA, BETA, GAMMA)
    ledger.merge(B, A)
    ledger.merge(C, B)
    refusals = [
        (lambda: ledger.merge("0000", A), "No contestant has the fingerprint '0000'"),
        (lambda: ledger.merge(A, "0000"), "No contestant has the fingerprint '0000'"),
        (lambda: ledger.unmerge("0000"), "No contestant has the fingerprint '0000'"),
        (lambda: ledger.merge(A, A), "alpha:7b can't be merged with itself"),
        (lambda: ledger.merge(A, B), "beta:8b counts for ollama/alpha:7b already"),
        (lambda: ledger.merge(A, C), "gamma:9b counts for ollama/alpha:7b already"),
        (lambda: ledger.merge(B, C), "beta:8b counts for ollama/alpha:7b already"),
        (lambda: ledger.unmerge(A), "alpha:7b is not merged"),
    ]
    for refused, sentence in refusals:
        with pytest.raises(ArenaError, match=sentence) as caught:
            refused()
        assert caught.value.hint
    assert ledger.merges() == {B: A, C: A}


def test_contestants_are_found_by_what_they_are_called(ledger: SqliteLedger):
    long = replace(ALPHA, context=16384, fingerprint="")
    key = ready(ledger, ALPHA, at(BETA, "desk", "b"), text="1")
    ready(ledger, long, BETA, text="2")

    def found(text: str) -> list[str]:
        return [key for key, _ in ledger.contestant_keys(text)]

    assert found(A) == found(A[:8]) == found(f" {A[:4].upper()} ") == [A]
    assert found(A[:3]) == []
    assert sorted(found("ollama/alpha:7b")) == sorted([A, long.fingerprint])
    assert found("ollama/alpha:7b context=16384") == [long.fingerprint]
    assert found("desk/b") == [B]
    assert found("ollama/beta:8b") == []  # played there in a round that is sealed
    for nobody in ("", "desk", "desk/c", "%", "\0", "\ud800", "' OR 1"):
        assert found(nobody) == []
    assert ledger.contestant_keys(B) == [(B, at(BETA, "desk", "b"))]
    ledger.reveal_unvoted(key)
    other = ready(ledger, BETA, GAMMA, text="3")
    ledger.reveal_unvoted(other)
    assert found("ollama/beta:8b") == [B]
    # Once merged, the leader is called by its address alone on the leaderboard; the member is found all the same.
    ledger.merge(long.fingerprint, A)
    assert found("ollama/alpha:7b") == [A]
    assert found("ollama/alpha:7b context=16384") == [long.fingerprint]


def fill(ledger: SqliteLedger) -> None:
    """Forty rounds of four contestants on six prompts, most of them voted."""
    rng = random.Random(7)
    for number in range(40):
        players = rng.choices(PLAYERS, k=2) if number % 8 == 0 else rng.sample(PLAYERS, rng.choice((2, 3)))
        round_ = a_round(*players, text=f"prompt {rng.randrange(6)}")
        ledger.open_round(round_)
        for seat in round_.seats:
            ledger.save_answer(round_.id, an_answer(seat.index, decode_tps=rng.uniform(1, 99)))
        ledger.close_round(round_.id, RoundState.READY)
        if number % 5:
            verdict = rng.choice(("a", "b", "tie", "bad", "b>a"))
            vote(ledger, round_.id, verdict, cast_at=f"2026-03-01T00:00:00.{number:03d}+00:00")
            ledger.mark_revealed(round_.id)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory):
    with SqliteLedger(tmp_path_factory.mktemp("merges") / "arena.db") as opened:
        fill(opened)
        yield opened


def expected_keys(ledger: SqliteLedger, led: Mapping[str, str]) -> list[tuple[str, tuple[str, ...]]]:
    """The comparisons, from the records alone: (round id, leaders by seat), the newest of equal ones."""
    records = [ledger.round(line.id) for line in ledger.history(limit=10**6)]
    voted = sorted((record for record in records if record.vote), key=lambda each: each.vote.cast_at)  # type: ignore[union-attr]
    newest: dict[object, tuple[str, tuple[str, ...]]] = {}
    for record in voted:
        keys = [seat.contestant.fingerprint for seat in record.round.seats]
        leaders = tuple(led.get(key, key) for key in keys)
        if len(set(leaders)) == len(leaders):
            same = record.round.prompt.text, frozenset(leaders)
            newest.pop(same, None)
            newest[same] = record.round.id, leaders
    return list(newest.values())


fingerprints = st.sampled_from((A, B, C, D))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(fingerprints, fingerprints), max_size=6), st.permutations((A, B, C, D)))
def test_merging_and_taking_it_back_changes_nothing(
    filled: SqliteLedger, wishes: list[tuple[str, str]], back: list[str]
):
    for member in filled.merges():  # what a failed example left
        filled.unmerge(member)
    before, rows_before = everything(filled), raw_rows(filled)
    up: dict[str, str] = {}  # what it has to be: each member's leader, chains not followed

    def top(key: str) -> str:
        return top(up[key]) if key in up else key

    for member, leader in wishes:
        if member in up or top(leader) == member:
            with pytest.raises(ArenaError):
                filled.merge(member, leader)
        else:
            filled.merge(member, leader)
            up[member] = top(leader)
    led = filled.merges()
    assert led == {member: top(member) for member in up}
    leaders = {A, B, C, D} - up.keys()
    assert filled.contestants().keys() == leaders
    assert filled.tallies().keys() | filled.shown_counts().keys() == leaders
    assert [(judged.round_id, judged.keys) for judged in filled.verdicts()] == expected_keys(filled, led)
    assert {key for stage in filled.stages() for key in stage.shown} <= leaders
    assert raw_rows(filled) == rows_before
    for member in back:
        if member in up:
            filled.unmerge(member)
    assert filled.merges() == {}
    assert everything(filled) == before
