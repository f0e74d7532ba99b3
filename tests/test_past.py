"""Past rounds in the store: found by what they were, judged again beside their vote, deleted with all of it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from arena.core.errors import ArenaError, SealedError
from arena.core.past import DealtAgain, Ending
from arena.core.prompts import Prompt
from arena.core.rounds import RoundState
from arena.core.votes import Kind, Verdict, Vote
from arena.engine.deal import deal_further
from arena.store.ledger import SqliteLedger
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, ready, vote


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def judged(ledger: SqliteLedger, text: str, *players, says: str = "a", **facts) -> str:
    key = ready(ledger, *(players or (ALPHA, BETA)), text=text, **facts)
    vote(ledger, key, says)
    ledger.mark_revealed(key)
    return key


def rows_of(ledger: SqliteLedger, table: str) -> int:
    return ledger._connection.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]  # noqa: S608


def found(ledger: SqliteLedger, **wanted) -> set[str]:
    return {line.id for line in ledger.history(**wanted)}


def test_rounds_are_found_by_what_became_of_them(ledger: SqliteLedger):
    waiting = ready(ledger, text="Q1")
    best, tie = judged(ledger, "Q2"), judged(ledger, "Q3", says="tie")
    bad, skipped = judged(ledger, "Q4", says="bad"), judged(ledger, "Q5", says="skip")
    top_tie, ranked = (judged(ledger, f"Q{says}", ALPHA, BETA, GAMMA, says=says) for says in ("a=b>c", "a>b=c"))
    peeked, void = ready(ledger, text="Q6"), ready(ledger, text="Q7")
    ledger.reveal_unvoted(peeked)
    ledger.void(void, "cancelled")
    ledger.annotate(bad, "Both ran away")
    ends = {
        Ending.WAITING: {waiting},
        Ending.DECIDED: {best, ranked},
        Ending.TIE: {tie, top_tie},
        Ending.BAD: {bad},
        Ending.SKIPPED: {skipped},
        Ending.PEEKED: {peeked},
        Ending.VOID: {void},
        Ending.NOTED: {bad},
    }
    assert ends.keys() == set(Ending)
    for ending, keys in ends.items():
        assert found(ledger, ending=ending) == keys, ending


def test_a_contestant_finds_no_sealed_round(ledger: SqliteLedger):
    known, sealed = judged(ledger, "Q1", ALPHA, GAMMA), ready(ledger, ALPHA, BETA, text="Q2")
    for name in (ALPHA.fingerprint, str(ALPHA.ref)):
        assert found(ledger, model=name) == {known}
    assert found(ledger, model=BETA.fingerprint) == set()
    assert ledger.past_facets() == (
        ["general"],
        {ALPHA.fingerprint: str(ALPHA.ref), GAMMA.fingerprint: str(GAMMA.ref)},
    )
    vote(ledger, sealed, "a")
    assert found(ledger, model=BETA.fingerprint) == set(), "the vote is cast, and the names are not out"
    ledger.mark_revealed(sealed)
    assert found(ledger, model=BETA.fingerprint) == {sealed}


def test_a_note_is_found_by_its_words(ledger: SqliteLedger):
    key, _ = judged(ledger, "Q1"), judged(ledger, "Q2")
    ledger.annotate(key, "왼쪽이 한국어를 잘해요")
    assert found(ledger, search="한국어") == {key}
    assert found(ledger, search="잘해요", ending=Ending.NOTED) == {key}
    assert found(ledger, search="일본어") == set()


def test_a_second_verdict_stands_beside_the_vote_and_never_rates(ledger: SqliteLedger):
    key = judged(ledger, "Q1", ALPHA, BETA, GAMMA, says="a>b=c")
    before = ledger.verdicts(), ledger.stages()
    first = ledger.round(key).vote
    for says in ("c", "bad"):
        ledger.judge_again(Vote(key, Verdict.parse(says, 3), decided_ms=900), [2, 0, 1])
    record = ledger.round(key)
    assert record.vote == first
    assert [str(vote.verdict) for vote in record.again] == ["c", "bad"]
    assert [vote.decided_ms for vote in record.again] == [900, 900]
    assert not any(vote.blind for vote in record.again)
    assert (ledger.verdicts(), ledger.stages()) == before
    with pytest.raises(ArenaError, match="no verdict"):
        ledger.judge_again(Vote(key, Verdict(Kind.RANKING)), [0, 1, 2])


def test_only_what_was_judged_is_judged_again(ledger: SqliteLedger):
    key = ready(ledger)
    with pytest.raises(SealedError):
        ledger.judge_again(Vote(key, Verdict.parse("a", 2)), [0, 1])
    ledger.reveal_unvoted(key)
    with pytest.raises(ArenaError, match="no vote"):
        ledger.judge_again(Vote(key, Verdict.parse("a", 2)), [0, 1])


@pytest.mark.parametrize("seed", range(6))
def test_labels_of_a_round_that_is_dealt_again_are_others_and_the_verdict_finds_its_seats(ledger, seed):
    round_ = a_round(ALPHA, BETA, GAMMA)
    ledger.open_round(round_)
    for seat in range(3):
        ledger.save_answer(round_.id, an_answer(seat, f"answer {seat}"))
    ledger.close_round(round_.id, RoundState.READY)
    order = random.Random(seed).sample(range(3), 3)
    dealt = DealtAgain.of(ledger.sealed(round_.id), order)
    texts = [answer.text for answer in dealt.sealed.answers]
    assert texts == [f"answer {seat}" for seat in order]
    assert [answer.seat for answer in dealt.sealed.answers] == [0, 1, 2]
    best = dealt.verdict(Verdict.parse("b", 3))
    assert texts[1] == f"answer {best.winners[0]}"
    assert dealt.verdict(Verdict.parse("bad", 3)) == Verdict.parse("bad", 3)


def test_a_deleted_round_leaves_nothing_behind(ledger: SqliteLedger):
    kept = judged(ledger, "the one that stays")
    tables = ("rounds", "prompts", "seats", "answers", "votes", "choices", "revotes")
    before = {table: rows_of(ledger, table) for table in tables}, ledger.verdicts()
    gone = judged(ledger, "a secret question")
    ledger.choose(gone, Verdict.parse("b", 2))
    ledger.judge_again(Vote(gone, Verdict.parse("b", 2)), [1, 0])
    going = ledger.going(gone[:-2])
    assert (going.rounds, going.answers, going.votes, going.rated) == ((gone,), 2, 3, True)
    assert found(ledger, search="secret") == {gone}
    ledger.delete(gone)
    assert ({table: rows_of(ledger, table) for table in tables}, ledger.verdicts()) == before
    assert found(ledger) == {kept}
    assert found(ledger, search="secret") == set()
    with ledger._connection.writing() as db:  # the search index agrees with its tables
        for index in ("answers_fts", "prompts_fts"):
            db.execute(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")  # noqa: S608
    with pytest.raises(ArenaError, match="no round"):
        ledger.round(gone)


def test_a_prompt_that_another_round_has_stays(ledger: SqliteLedger):
    one, two = judged(ledger, "the same"), judged(ledger, "the same", says="b")
    ledger.delete(two)
    assert found(ledger, search="same") == {one}
    assert [judged.round_id for judged in ledger.verdicts()] == [one], "the older vote counts again"


def test_a_conversation_goes_as_a_whole(ledger: SqliteLedger):
    first = ready(ledger, text="first")
    turns = [first]
    for text in ("had anew", "second"):
        turn = deal_further(ledger.round(first).round, text)
        ledger.open_round(turn)
        for seat in range(2):
            ledger.save_answer(turn.id, an_answer(seat))
        ledger.close_round(turn.id, RoundState.READY)
        turns.append(turn.id)
        if text == "had anew":
            ledger.void(turn.id, "rerolled")
    assert ledger.going(turns[1]).rounds == (turns[1],), "a void turn goes alone"
    assert set(ledger.going(turns[2]).rounds) == set(turns)
    assert not ledger.going(turns[2]).rated
    ledger.delete(turns[2])
    assert rows_of(ledger, "rounds") == rows_of(ledger, "prompts") == 0


def test_what_is_still_played_is_not_deleted(ledger: SqliteLedger):
    round_ = a_round()
    ledger.open_round(round_)
    with pytest.raises(ArenaError, match="still to be played"):
        ledger.delete(round_.id)
    ledger.plan_queue("night", [a_round(text="queued")])
    (planned,) = ledger.history(state=RoundState.PLANNED, search="queued")
    with pytest.raises(ArenaError, match="call its queue off"):
        ledger.going(planned.id)


def test_korean_is_found_with_its_particles(ledger: SqliteLedger):
    key = ready(ledger, text="서울의 날씨는 어떤가요?")
    assert ledger.round(key).round.prompt == Prompt("서울의 날씨는 어떤가요?", tags=("general",))
    for words in ("서울", "날씨", "서울 어떤"):
        assert found(ledger, search=words) == {key}
