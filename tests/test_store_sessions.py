"""Queues, further turns, the strength of a vote, the second vote: what is kept of them, and what of it tells."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from arena.core.errors import ArenaError, SealedError
from arena.core.loads import Load
from arena.core.naming import MASK
from arena.core.rounds import RoundState
from arena.core.votes import Strength, Verdict, Vote
from arena.engine.deal import deal_further
from arena.store.ledger import SqliteLedger
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, decide, ready, state, vote


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def answered(ledger: SqliteLedger, round_, texts=("one", "two")):
    for seat, text in enumerate(texts):
        ledger.save_answer(round_.id, an_answer(seat, text))
    ledger.close_round(round_.id, RoundState.READY)


def further(ledger: SqliteLedger, round_id: str, text: str = "And why?"):
    """A further turn, dealt and not played."""
    round_ = deal_further(ledger.round(round_id).round, text, random.Random(3))
    ledger.open_round(round_)
    return round_


# Further turns


def test_a_further_turn_keeps_seats_tags_and_settings(ledger: SqliteLedger):
    first = ledger.round(ready(ledger, ALPHA, BETA, GAMMA)).round
    second = deal_further(first, "And why?")
    assert [seat.contestant for seat in second.seats] == [seat.contestant for seat in first.seats]
    assert (second.prompt.tags, second.sampling, second.continues) == (first.prompt.tags, first.sampling, first.id)
    orders = {tuple(seat.run_order for seat in deal_further(first, "Why?").seats) for _ in range(60)}
    assert len(orders) == 6, "the running order is drawn anew"


def test_the_vote_on_the_last_turn_stands_for_the_conversation(ledger: SqliteLedger):
    first = ready(ledger)
    second = further(ledger, first)
    assert state(ledger, first) is RoundState.CONTINUED
    with pytest.raises(ArenaError, match="further turn"):
        vote(ledger, first, "a")
    answered(ledger, second)
    assert [view.id for view in ledger.waiting()] == [second.id]
    sealed = ledger.sealed(second.id)
    assert [turn.question for turn in sealed.earlier] == ["Why is the sky blue?"]
    assert [answer.text for answer in sealed.earlier[0].answers] == ["Rayleigh scattering."] * 2
    assert not any(answer.metrics.out_chars for answer in sealed.earlier[0].answers)
    vote(ledger, second.id, "b")
    with pytest.raises(SealedError):
        ledger.revealed(first)
    ledger.mark_revealed(second.id)
    assert [judged.round_id for judged in ledger.verdicts()] == [second.id]
    assert ledger.revealed(first).state is RoundState.CONTINUED
    assert ledger.revealed(second.id).earlier[0].answers[0].metrics.out_chars
    (line,) = ledger.history()
    assert (line.id, line.further) == (second.id, True)
    assert ledger.shown_counts() == {ALPHA.fingerprint: 1, BETA.fingerprint: 1}


def test_what_was_said_in_an_earlier_turn_finds_the_conversation(ledger: SqliteLedger):
    first = ready(ledger, text="What is a quokka?")
    second = further(ledger, first)
    answered(ledger, second)
    assert [line.id for line in ledger.history(search="quokka")] == [second.id]
    assert ledger.history(search="rayleigh") == []
    vote(ledger, second.id, "a")
    ledger.mark_revealed(second.id)
    assert [line.id for line in ledger.history(search="rayleigh")] == [second.id]


@pytest.mark.parametrize("how", ["void", "close"])
def test_where_a_further_turn_fails_the_one_before_waits_for_its_vote_again(ledger: SqliteLedger, how: str):
    first = ready(ledger)
    second = further(ledger, first)
    if how == "void":
        ledger.void(second.id, "interrupted")
    else:
        ledger.close_round(second.id, RoundState.VOID, ("failed",))
    assert state(ledger, first) is RoundState.READY
    third = further(ledger, first)  # and may be asked something else
    answered(ledger, third)
    vote(ledger, third.id, "a")


def test_only_a_round_that_waits_takes_a_further_turn_and_only_one(ledger: SqliteLedger):
    first = ready(ledger)
    further(ledger, first)
    with pytest.raises(ArenaError, match="wait for a vote"):
        further(ledger, first)
    voted = ready(ledger, text="2")
    vote(ledger, voted, "a")
    with pytest.raises(ArenaError, match="wait for a vote"):
        further(ledger, voted)


def test_peeking_at_a_conversation_opens_all_of_it(ledger: SqliteLedger):
    first = ready(ledger)
    second = further(ledger, first)
    answered(ledger, second)
    ledger.reveal_unvoted(second.id)
    assert ledger.revealed(first)
    assert ledger.revealed(second.id).state is RoundState.UNBLINDED
    assert ledger.verdicts() == []


def test_two_conversations_that_end_in_the_same_words_both_count(ledger: SqliteLedger):
    for text in ("one?", "two?"):
        second = further(ledger, ready(ledger, text=text))
        answered(ledger, second)
        decide(ledger, second.id, "a")
        assert "repeated" not in ledger.round(second.id).flags
    assert len(ledger.verdicts()) == 2


def test_a_further_turn_that_failed_opens_nothing_of_the_turns_before(ledger: SqliteLedger):
    first = ready(ledger)
    second = further(ledger, first)
    ledger.close_round(second.id, RoundState.VOID, ("failed",))
    ledger.mark_revealed(second.id)
    with pytest.raises(SealedError):
        ledger.revealed(first)
    decide(ledger, first, "a")
    assert [judged.round_id for judged in ledger.verdicts()] == [first]


def test_what_is_asked_later_unmasks_no_earlier_answer(ledger: SqliteLedger):
    round_ = a_round()
    ledger.open_round(round_)
    for seat, text in enumerate(("Hello! Alpha 7B says hi.", "Hello.")):
        ledger.save_answer(round_.id, an_answer(seat, text))
    ledger.close_round(round_.id, RoundState.READY, ("named",))
    assert MASK in ledger.sealed(round_.id).answers[0].text
    second = further(ledger, round_.id, "Which language models do you know? Alpha?")
    answered(ledger, second)
    assert MASK in ledger.sealed(second.id).earlier[0].answers[0].text
    assert "named" in ledger.round(second.id).flags, "the conversation as a whole has told a name"
    vote(ledger, second.id, "a")
    assert ledger.verdicts() == []


def test_void_answers_of_sealed_models_move_no_figure_and_are_found_by_nobody(ledger: SqliteLedger):
    key = ready(ledger, text="1")
    ledger.open_again(key, a_round(text="1"))
    assert ledger.tallies() == {}
    assert ledger.history(search="rayleigh") == []
    with pytest.raises(ArenaError, match="does not wait"):
        ledger.open_again(key, a_round(text="1"))


def test_a_prompt_that_became_a_conversation_was_played(ledger: SqliteLedger):
    first = ready(ledger)
    answered(ledger, further(ledger, first))
    assert ledger.played(ledger.round(first).round.prompt) == {tuple(sorted((ALPHA.fingerprint, BETA.fingerprint)))}


def test_the_hour_of_a_load_of_the_first_turn_is_told_only_with_the_names(ledger: SqliteLedger):
    first = ready(ledger)
    second = further(ledger, first)
    answered(ledger, second)
    with ledger._connection.writing() as db:
        db.execute("UPDATE rounds SET created_at = '2026-03-02T00:00:00' WHERE id = ?", [second.id])
    known = {"context": 4096, "kv_type": "f16", "gpu_layers": -1, "method": "header", "runtime": "embedded"}
    sizes = {"predicted_bytes": 5, "predicted_sigma_bytes": 1, "measured_bytes": 6, "buffers_bytes": 4}
    load = Load("2026-03-01T08:15:00", "gpu:x", "Card", ref=ALPHA.ref, build="CUDA 1", **known, **sizes)
    ledger.note_load(load)
    assert [each.at for each in ledger.open_loads()] == ["2026-03-01"]
    vote(ledger, second.id, "a")
    assert [each.at for each in ledger.open_loads()] == ["2026-03-01"], "the vote can still be taken back"
    ledger.mark_revealed(second.id)
    assert ledger.open_loads() == [load]


# Queues


def planned(ledger: SqliteLedger, count: int = 3) -> tuple[int, list[str]]:
    rounds = [a_round(text=f"question {number}") for number in range(count)]
    return ledger.plan_queue("some", rounds), [round_.id for round_ in rounds]


def test_a_queue_is_played_in_its_order_until_nothing_is_left(ledger: SqliteLedger):
    queue, ids = planned(ledger)
    played = []
    while (round_ := ledger.take_planned(queue)) is not None:
        assert state(ledger, round_.id) is RoundState.GENERATING
        answered(ledger, round_)
        played.append(round_.id)
    assert played == ids
    (told,) = ledger.queues()
    assert (told.title, told.rounds, told.left, told.ready) == ("some", 3, 0, 3)


def test_planned_rounds_of_a_queue_are_no_interrupted_ones(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as ledger:
        queue, ids = planned(ledger)
        taken = ledger.take_planned(queue)
        ledger.save_answer(taken.id, an_answer(0))
        with ledger._connection.writing() as db:  # as if the machine had been restarted
            db.execute("UPDATE rounds SET owner_token = 'another'")
        assert ledger.interrupted() == []
        again = ledger.take_planned(queue)
        assert again.id == ids[0], "what was half played comes first"
        assert ledger.round(again.id).answers == ()


def test_two_that_play_one_queue_never_get_the_same_round(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as one, SqliteLedger(tmp_path / "arena.db") as other:
        queue, ids = planned(one, 4)
        taken = [each.take_planned(queue).id for each in (one, other, other, one)]
        assert taken == ids
        assert one.take_planned(queue) is None


def test_a_round_that_was_called_off_is_planned_again(ledger: SqliteLedger):
    queue, ids = planned(ledger, 1)
    round_ = ledger.take_planned(queue)
    ledger.save_answer(round_.id, an_answer(0))
    ledger.put_back(round_.id)
    assert ledger.take_planned(queue).id == ids[0]
    assert ledger.round(ids[0]).answers == ()


def test_calling_a_queue_off_keeps_what_was_played(ledger: SqliteLedger):
    queue, ids = planned(ledger)
    answered(ledger, ledger.take_planned(queue))
    assert ledger.end_queue(queue) == 2
    assert ledger.take_planned(queue) is None
    assert [view.id for view in ledger.waiting()] == ids[:1]
    (told,) = ledger.queues()
    assert (told.ended, told.left) == (True, 0)
    assert ledger.round(ids[0]).state is RoundState.READY
    with pytest.raises(ArenaError, match="no queue 99"):
        ledger.end_queue(99)


def test_what_was_half_played_when_its_queue_was_called_off_does_not_come_back(ledger: SqliteLedger):
    queue, ids = planned(ledger)
    taken = ledger.take_planned(queue)
    ledger.end_queue(queue)
    ledger.put_back(taken.id)
    assert ledger.take_planned(queue) is None
    assert (state(ledger, ids[0]), ledger.round(ids[0]).flags) == (RoundState.VOID, ("cancelled",))


def test_a_crash_and_then_a_queue_called_off_leaves_nothing_to_play(ledger: SqliteLedger):
    queue, ids = planned(ledger)
    ledger.take_planned(queue)
    with ledger._connection.writing() as db:
        db.execute("UPDATE rounds SET owner_token = 'gone'")
    ledger.end_queue(queue)
    assert ledger.queue(queue).left == 0
    assert state(ledger, ids[0]) is RoundState.VOID


def test_a_queue_that_another_program_plays_is_left_to_it(ledger: SqliteLedger):
    queue, _ = planned(ledger)
    ledger.take_planned(queue)
    with ledger._connection.writing() as db:  # the first process of this machine lives, and is not this one
        db.execute("UPDATE rounds SET owner_token = 'other', owner_pid = 1")
    assert ledger.take_planned(queue) is None
    assert ledger.queue(queue).left == 3


# Votes


def test_strength_and_note_are_kept_and_change_no_rating(ledger: SqliteLedger):
    one, two = ready(ledger, text="1"), ready(ledger, text="2")
    ledger.cast(Vote(one, Verdict.parse("a", 2), strength=Strength.CLEARLY), reveal=True)
    ledger.cast(Vote(two, Verdict.parse("a", 2)), reveal=True)
    ledger.annotate(one, "잘했다")
    assert (ledger.round(one).vote.strength, ledger.round(one).vote.note) == (Strength.CLEARLY, "잘했다")
    assert ledger.round(two).vote.strength is None
    assert replace(ledger.stages()[0], round_id="") == replace(ledger.stages()[1], round_id="")
    with pytest.raises(ArenaError, match="no vote"):
        ledger.annotate(ready(ledger, text="3"), "x")


def test_the_second_vote_comes_after_the_names_and_is_never_rated(ledger: SqliteLedger):
    key = ready(ledger)
    with pytest.raises(SealedError):
        ledger.choose(key, Verdict.parse("b", 2))
    vote(ledger, key, "a")
    with pytest.raises(SealedError):
        ledger.choose(key, Verdict.parse("b", 2))
    ledger.mark_revealed(key)
    before = ledger.stages()
    ledger.choose(key, Verdict.parse("a", 2))
    ledger.choose(key, Verdict.parse("b", 2))
    assert str(ledger.round(key).second) == "b"
    assert str(ledger.round(key).vote.verdict) == "a"
    assert ledger.stages() == before
    assert len(ledger._connection.rows("SELECT * FROM choices")) == 2, "what was said before stays in the file"
    with pytest.raises(ArenaError, match="no verdict"):
        ledger.choose(key, Verdict.parse("c", 3))


def test_what_was_voted_on_and_not_opened_is_opened_later(ledger: SqliteLedger):
    key = ready(ledger)
    vote(ledger, key, "a")
    with pytest.raises(SealedError):
        ledger.revealed(key)
    assert (ledger.reveal_voted(), ledger.reveal_voted()) == (1, 0)
    assert ledger.revealed(key).vote.verdict == Verdict.parse("a", 2)
