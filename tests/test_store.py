"""The ledger: the life of a round, undo, peeking, refusals. The builders here serve the other tests of the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from arena.core.errors import ArenaError, SealedError
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Outcome, Pace, Round, RoundState, Seat, new_round_id
from arena.core.timing import Metrics
from arena.core.votes import Verdict, Vote
from arena.store.ledger import SqliteLedger


def contestant(name: str, quantization: str = "Q4_K_M") -> Contestant:
    return Contestant(ModelRef("ollama", name, name.encode().hex().ljust(16, "f")), quantization=quantization)


ALPHA, BETA, GAMMA = contestant("alpha:7b"), contestant("beta:8b"), contestant("gamma:9b", "Q8_0")


def a_round(*players: Contestant, text: str = "Why is the sky blue?", round_id: str = "", **facts: object) -> Round:
    seats = tuple(Seat(i, player, len(players) - 1 - i) for i, player in enumerate(players or (ALPHA, BETA)))
    prompt = Prompt(text, tags=("general",))
    created = "2026-01-02T03:04:05.678+00:00"
    known = {"prompt": prompt, "sampling": Sampling(), "created_at": created, **facts}
    return Round(id=round_id or new_round_id(), seats=seats, **known)  # type: ignore[arg-type]


def an_answer(seat: int, text: str = "Rayleigh scattering.", **metrics: object) -> Answer:
    figures = {"out_chars": len(text), "token_source": "server", **metrics}
    return Answer(seat, text, metrics=Metrics(**figures))  # type: ignore[arg-type]


def ready(ledger: SqliteLedger, *players: Contestant, **facts: object) -> str:
    round_ = a_round(*players, **facts)
    ledger.open_round(round_)
    for seat in round_.seats:
        ledger.save_answer(round_.id, an_answer(seat.index))
    ledger.close_round(round_.id, RoundState.READY)
    return round_.id


def vote(ledger: SqliteLedger, round_id: str, text: str, **facts: object) -> None:
    seats = len(ledger.round(round_id).round.seats)
    ledger.cast(Vote(round_id, Verdict.parse(text, seats), **facts))  # type: ignore[arg-type]


def decide(ledger: SqliteLedger, round_id: str, text: str, **facts: object) -> None:
    """Vote, and open the names: from then on the vote counts."""
    vote(ledger, round_id, text, **facts)
    ledger.mark_revealed(round_id)


def ran_alongside(ledger: SqliteLedger, round_id: str) -> dict[int, list[str]]:
    """By seat, the fingerprints of those that answered on the same machine meanwhile."""
    found = ledger._connection.rows("SELECT seat, ran_alongside FROM answers WHERE round = :id", id=round_id)
    return {row["seat"]: json.loads(row["ran_alongside"]) for row in found}


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def state(ledger: SqliteLedger, round_id: str) -> RoundState:
    return ledger.round(round_id).state


def test_a_round_lives_from_dealing_to_the_reveal(ledger: SqliteLedger):
    round_ = a_round(ALPHA, BETA, GAMMA)
    ledger.open_round(round_)
    assert state(ledger, round_.id) is RoundState.PLANNED
    ledger.begin_round(round_.id)
    assert state(ledger, round_.id) is RoundState.GENERATING
    for seat in (2, 0, 1):
        ledger.save_answer(round_.id, an_answer(seat))
    ledger.close_round(round_.id, RoundState.READY, ("speed_visible",))
    assert [view.id for view in ledger.waiting(9)] == [round_.id]
    vote(ledger, round_.id, "b>a=c", decided_ms=4200, note="메모", cast_at="2026-01-02T03:05:00+00:00")
    ledger.mark_revealed(round_.id)
    record = ledger.revealed(round_.id)
    assert record.round == round_
    assert [seat.contestant.fingerprint for seat in record.round.seats] == [
        seat.contestant.fingerprint for seat in round_.seats
    ]
    assert record.answers == tuple(an_answer(seat) for seat in range(3))
    assert record.state is RoundState.VOTED
    assert record.flags == ("speed_visible",)
    assert record.vote == Vote(
        round_.id, Verdict.parse("b>a=c", 3), decided_ms=4200, note="메모", cast_at="2026-01-02T03:05:00+00:00"
    )
    assert ledger.waiting() == []


def test_the_first_answer_starts_a_planned_round(ledger: SqliteLedger):
    round_ = a_round()
    ledger.open_round(round_)
    ledger.save_answer(round_.id, an_answer(1), ran_alongside=[ALPHA.fingerprint])
    assert state(ledger, round_.id) is RoundState.GENERATING
    assert ran_alongside(ledger, round_.id) == {1: [ALPHA.fingerprint]}
    ledger.save_answer(round_.id, an_answer(1, "again"))
    assert [answer.text for answer in ledger.round(round_.id).answers] == ["again"]


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.EMPTY, Outcome.CANCELLED, Outcome.TRUNCATED])
def test_no_answer_is_lost_silently(ledger: SqliteLedger, outcome: Outcome):
    round_ = a_round()
    ledger.open_round(round_)
    ledger.save_answer(round_.id, an_answer(0))
    ledger.save_answer(round_.id, Answer(1, "", outcome=outcome, error="the server went away"))
    ledger.close_round(round_.id, RoundState.READY)
    assert ledger.round(round_.id).flags == (outcome.value,)


def test_the_same_prompt_with_the_same_models_is_flagged(ledger: SqliteLedger):
    first = ready(ledger, ALPHA, BETA)
    again = ready(ledger, BETA, ALPHA)
    other = ready(ledger, ALPHA, GAMMA)
    assert [ledger.round(key).flags for key in (first, again, other)] == [(), ("repeated",), ()]


def test_what_is_refused(ledger: SqliteLedger):
    planned, waiting, void, done = a_round(), ready(ledger), ready(ledger), ready(ledger)
    ledger.open_round(planned)
    ledger.void(void, "mistake")
    vote(ledger, done, "a")
    ledger.mark_revealed(done)
    tie = Verdict.parse("tie", 2)
    for refused, word in ((planned.id, "not ready"), (void, "void"), (done, "locked"), ("nowhere", "no round")):
        with pytest.raises(ArenaError, match=word) as caught:
            ledger.cast(Vote(refused, tie))
        assert caught.value.hint
    for verdict in (Verdict.parse("c", 3), Verdict(tie.kind, ((0, 0),)), Verdict(tie.kind)):
        with pytest.raises(ArenaError, match="no verdict"):
            ledger.cast(Vote(waiting, verdict))
    with pytest.raises(ArenaError, match="already"):
        ledger.open_round(planned)
    with pytest.raises(ArenaError, match="no seat"):
        ledger.save_answer(planned.id, an_answer(2))
    with pytest.raises(ArenaError, match="0 of 2"):
        ledger.close_round(planned.id, RoundState.READY)
    with pytest.raises(ArenaError, match="not voted"):
        ledger.close_round(planned.id, RoundState.VOTED)
    with pytest.raises(ArenaError, match="final"):
        ledger.save_answer(waiting, an_answer(0, "better"))
    with pytest.raises(SealedError, match="no vote yet"):
        ledger.mark_revealed(waiting)
    assert state(ledger, waiting) is RoundState.READY
    assert ledger.verdicts()[0].round_id == done


def test_a_second_vote_replaces_the_first_until_the_reveal(ledger: SqliteLedger):
    key = ready(ledger)
    vote(ledger, key, "a")
    vote(ledger, key, "b")
    record = ledger.round(key)
    assert record.vote is not None
    assert str(record.vote.verdict) == "b"
    kept = ledger._connection.rows("SELECT verdict, retracted_at IS NULL AS stands FROM votes ORDER BY id")
    assert [tuple(row) for row in kept] == [("a", 0), ("b", 1)]
    ledger.mark_revealed(key)
    ledger.mark_revealed(key)
    with pytest.raises(ArenaError, match="locked"):
        vote(ledger, key, "a")


def test_a_vote_can_be_taken_back_until_the_reveal(ledger: SqliteLedger):
    key = ready(ledger)
    with pytest.raises(ArenaError, match="no vote to take back"):
        ledger.retract(key)
    vote(ledger, key, "a")
    ledger.retract(key)
    assert ledger.round(key).vote is None
    assert len(ledger.waiting()) == 1
    assert ledger.stages() == []
    vote(ledger, key, "b")
    ledger.mark_revealed(key)
    with pytest.raises(ArenaError, match="locked"):
        ledger.retract(key)


def test_voters_are_kept_apart(ledger: SqliteLedger):
    key = ready(ledger)
    vote(ledger, key, "a")
    vote(ledger, key, "b", voter="judge")
    ledger.retract(key)
    assert state(ledger, key) is RoundState.VOTED
    vote(ledger, key, "b", voter="judge")
    ledger.mark_revealed(key)
    assert [str(judged.verdict) for judged in ledger.verdicts()] == ["a"]
    assert [str(judged.verdict) for judged in ledger.verdicts(voter="judge")] == ["b"]
    assert len(ledger.verdicts(voter="")) == 2


def test_peeking_unblinds_for_good(ledger: SqliteLedger):
    key = ready(ledger)
    with pytest.raises(SealedError):
        ledger.revealed(key)
    ledger.reveal_unvoted(key)
    ledger.reveal_unvoted(key)
    ledger.mark_revealed(key)  # nothing is sealed any more: it stays open to a vote that is not rated
    assert ledger.revealed(key).round.seats[0].contestant == ALPHA
    vote(ledger, key, "a")
    record = ledger.round(key)
    assert record.state is RoundState.UNBLINDED
    assert record.vote is not None
    assert not record.vote.blind
    assert (ledger.stages(), ledger.verdicts()) == ([], [])
    voted = ready(ledger)
    vote(ledger, voted, "a")
    with pytest.raises(ArenaError, match="voted"):
        ledger.reveal_unvoted(voted)


def test_a_peek_during_generation_and_an_open_round_end_unblinded(ledger: SqliteLedger):
    peeked, open_ = a_round(), a_round(blind=False)
    for round_ in (peeked, open_):
        ledger.open_round(round_)
    ledger.reveal_unvoted(peeked.id)
    assert state(ledger, peeked.id) is RoundState.PLANNED
    for round_ in (peeked, open_):
        for seat in (0, 1):
            ledger.save_answer(round_.id, an_answer(seat))
        ledger.close_round(round_.id, RoundState.READY)
        assert state(ledger, round_.id) is RoundState.UNBLINDED
        vote(ledger, round_.id, "a")
    assert ledger.waiting() == []
    assert ledger.stages() == []


def test_a_void_round_counts_nowhere_and_keeps_its_record(ledger: SqliteLedger):
    key = ready(ledger)
    vote(ledger, key, "a")
    ledger.void(key, "named")
    record = ledger.round(key)
    assert (record.state, record.flags) == (RoundState.VOID, ("named",))
    assert record.vote is not None
    assert (ledger.stages(), ledger.shown_counts()) == ([], {})
    with pytest.raises(ArenaError):
        ledger.retract(key)
    ledger.mark_revealed(key)
    assert ledger.revealed(key).answers


def test_a_round_is_found_by_the_beginning_or_the_end_of_its_id(ledger: SqliteLedger):
    for key in ("01abcdefgh0001", "01abcdefgh0002"):
        ready(ledger, round_id=key)
    assert ledger.round("0002").round.id == "01abcdefgh0002"
    assert ledger.round(" 01ABCDEFGH0001 ").round.id == "01abcdefgh0001"
    for wrong, word in (("01abc", "several"), ("", "No round"), ("%", "no round"), ("\0", "no round")):
        with pytest.raises(ArenaError, match=word):
            ledger.round(wrong)


def test_a_round_in_work_is_interrupted_once_its_process_is_gone(ledger: SqliteLedger):
    round_, done = a_round(), ready(ledger)
    ledger.open_round(round_)
    assert ledger.interrupted() == []
    owners = [
        ({"pid": 2**22 + 1, "token": "x", "at": "2999-01-01T00:00:00+00:00"}, True),  # no such process
        ({"pid": 1, "token": "x", "at": "2999-01-01T00:00:00+00:00"}, False),  # it lives
        ({"pid": 1, "token": "x", "at": "2020-01-01T00:00:00+00:00"}, True),  # something of that id lives, years later
    ]
    for owner, gone in owners:
        with ledger._connection.writing() as db:
            db.execute("UPDATE rounds SET owner_pid = :pid, owner_token = :token, owned_at = :at", owner)
        assert ledger.interrupted() == ([round_.id] if gone else [])
    ledger.begin_round(round_.id)
    assert ledger.interrupted() == []
    assert state(ledger, done) is RoundState.READY


def test_a_prompt_keeps_its_name_and_gets_new_tags(ledger: SqliteLedger):
    pack = Prompt("Hi", slug="demo/hi", title="Greeting", tags=("old",))
    key = ready(ledger, prompt=pack)
    ready(ledger, prompt=Prompt("Hi"))
    assert ledger.round(key).round.prompt == pack
    newer = Prompt("Hi", slug="demo/hi", title="Greeting", tags=("new",))
    ready(ledger, prompt=newer)
    assert ledger.round(key).round.prompt == newer
    assert [line.id for line in ledger.history(search="greeting")] == [line.id for line in ledger.history()]


def test_models_are_described_beside_their_identity(ledger: SqliteLedger):
    info = ModelInfo(ALPHA.ref, family="llama", parameters=7_000_000_000, quantization="Q4_K_M", size_bytes=2**63)
    ledger.open_round(a_round(ALPHA, BETA, pace=Pace.WHOLE), {ALPHA.ref: info})
    ledger.open_round(a_round(ALPHA, GAMMA), {GAMMA.ref: ModelInfo(GAMMA.ref, family="qwen3", size_bytes=5)})
    infos = ledger.infos()
    assert (infos[ALPHA.fingerprint].family, infos[ALPHA.fingerprint].size_bytes) == ("llama", None)
    assert infos[GAMMA.fingerprint].size_bytes == 5
    assert ledger.contestants() == {each.fingerprint: each for each in (ALPHA, BETA, GAMMA)}
