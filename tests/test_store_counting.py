"""What the leaderboard is made from: which votes count, and which runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from arena.core.errors import ArenaError
from arena.core.models import Contestant
from arena.core.prompts import Prompt
from arena.core.ratings import Tally
from arena.core.rounds import Answer, Outcome, RoundState
from arena.core.timing import Metrics
from arena.core.votes import Stage, Verdict, Vote
from arena.store.ledger import SqliteLedger
from test_store import ALPHA, BETA, GAMMA, a_round, an_answer, decide, ready, vote

A, B, C = (player.fingerprint for player in (ALPHA, BETA, GAMMA))


@pytest.fixture
def ledger(tmp_path: Path):
    with SqliteLedger(tmp_path / "arena.db") as opened:
        yield opened


def test_stages_are_those_of_the_verdicts(ledger: SqliteLedger):
    one = ready(ledger, BETA, ALPHA, text="1")
    two = ready(ledger, ALPHA, BETA, GAMMA, text="2")
    three = ready(ledger, GAMMA, ALPHA, text="3")
    decide(ledger, two, "c>a>b")
    decide(ledger, three, "bad")
    decide(ledger, one, "a")
    long = len("Rayleigh scattering.")
    assert ledger.stages() == [
        Stage((A, B, C), (C,), two, chars=(long,) * 3),
        Stage((A, B), (A,), two, chars=(long,) * 2),
        Stage((C, A), (C, A), three, both_bad=True, chars=(long,) * 2),
        Stage((B, A), (B,), one, chars=(long,) * 2),
    ]
    judged = ledger.verdicts()[0]
    assert (judged.round_id, judged.keys, str(judged.verdict), judged.tags) == (two, (A, B, C), "c>a>b", ("general",))
    assert judged.chars == (len("Rayleigh scattering."),) * 3


def test_a_skip_says_nothing(ledger: SqliteLedger):
    decide(ledger, ready(ledger), "skip")
    assert (ledger.verdicts(), ledger.stages()) == ([], [])
    assert ledger.waiting() == []


def test_a_vote_that_says_it_saw_is_not_rated(ledger: SqliteLedger):
    decide(ledger, ready(ledger), "a", blind=False)
    assert ledger.verdicts() == []


def test_a_repeated_prompt_with_the_same_models_counts_once(ledger: SqliteLedger):
    first, again = ready(ledger, ALPHA, BETA), ready(ledger, BETA, ALPHA)
    other_models, other_prompt = ready(ledger, ALPHA, GAMMA), ready(ledger, ALPHA, BETA, text="Another one?")
    for key in (first, again, other_models, other_prompt):
        decide(ledger, key, "a")
    assert [judged.round_id for judged in ledger.verdicts()] == [again, other_models, other_prompt]
    late = ready(ledger, ALPHA, BETA)
    vote(ledger, late, "a")
    vote(ledger, late, "b", cast_at="2999-01-01T00:00:00+00:00")  # decided anew: the newest vote, not the newest round
    ledger.mark_revealed(late)
    decide(ledger, ready(ledger, BETA, ALPHA), "a")
    assert [judged.round_id for judged in ledger.verdicts()] == [other_models, other_prompt, late]
    decide(ledger, ready(ledger, BETA, ALPHA), "skip", cast_at="2999-01-02T00:00:00+00:00")
    assert late in [judged.round_id for judged in ledger.verdicts()], "no opinion pushes no opinion out"
    assert len(ledger.stages()) == 3


def test_flags_keep_a_round_out(ledger: SqliteLedger):
    for flag in ("named", "truncated", "empty", "speed_visible"):
        round_ = a_round(text=flag)
        ledger.open_round(round_)
        for seat in (0, 1):
            ledger.save_answer(round_.id, an_answer(seat))
        ledger.close_round(round_.id, RoundState.READY, (flag,))
        decide(ledger, round_.id, "a")
    assert len(ledger.verdicts()) == 3
    assert len(ledger.verdicts(without=())) == 4


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.CANCELLED])
def test_a_seat_that_did_not_answer_is_left_out_of_the_vote_of_the_others(ledger: SqliteLedger, outcome: Outcome):
    round_ = a_round(ALPHA, BETA, GAMMA)
    ledger.open_round(round_)
    for seat in (0, 1, 2):
        answer = an_answer(seat)
        ledger.save_answer(round_.id, replace(answer, outcome=outcome) if seat == 1 else answer)
    ledger.close_round(round_.id, RoundState.READY)
    with pytest.raises(ArenaError, match="no verdict"):
        ledger.cast(Vote(round_.id, Verdict.parse("b", 3)))
    ledger.cast(Vote(round_.id, Verdict.parse("c>a", [0, 2])), reveal=True)
    (judged,) = ledger.verdicts()
    assert (judged.keys, str(judged.verdict)) == ((A, C), "b>a")
    assert [(stage.shown, stage.chosen) for stage in ledger.stages()] == [((A, C), (C,))]


def test_a_contestant_against_itself_is_a_control(ledger: SqliteLedger):
    decide(ledger, ready(ledger, ALPHA, ALPHA), "a")
    assert ledger.verdicts() == []
    assert ledger.stages() == []
    assert [judged.keys for judged in ledger.controls()] == [(A, A)]
    assert ledger.shown_counts() == {A: 1}
    assert ledger.pair_counts() == {}


def test_tags_narrow(ledger: SqliteLedger):
    decide(ledger, ready(ledger, prompt=Prompt("한국의 수도는?", tags=("korean", "general"))), "a")
    decide(ledger, ready(ledger), "b")
    assert [len(ledger.verdicts(tag=tag)) for tag in ("", "general", "korean", "kor")] == [2, 2, 1, 0]
    assert len(ledger.stages(tag="korean")) == 1


@pytest.mark.parametrize(
    "prompt",
    [
        Prompt("What is the capital of Korea?"),
        Prompt("한국의 수도는?"),
        Prompt("Translate 가 please"),
        Prompt("힣"),
        Prompt("日本の首都は？"),
        Prompt("Wie spät ist es?", language="de"),
        Prompt("한국어로 답해 줘.", language="en"),
        Prompt("[가-힣]* is a pattern"),
        Prompt("ㅎㅎ"),
    ],
    ids=lambda prompt: prompt.text,
)
def test_the_language_of_a_prompt_is_what_the_prompt_says_it_is(ledger: SqliteLedger, prompt: Prompt):
    decide(ledger, ready(ledger, prompt=prompt), "a")
    found = [language for language in ("en", "ko", "de", "fr", "") if ledger.verdicts(language=language)]
    assert found == [prompt.guessed_language, ""]
    assert ledger.facets() == ([], [prompt.guessed_language])


def test_a_period_begins_with_its_first_moment(ledger: SqliteLedger):
    for day in (1, 2, 3):
        decide(ledger, ready(ledger, text=str(day)), "a", cast_at=f"2026-01-0{day}T00:00:00.000+00:00")
    moments = ("", "2026-01-02T00:00:00.000+00:00", "2026-01-02T00:00:00.001+00:00", "2027")
    assert [len(ledger.verdicts(since=since)) for since in moments] == [3, 2, 1, 0]
    assert len(ledger.stages(since="2026-01-03")) == 1


def test_who_was_shown_with_whom(ledger: SqliteLedger):
    ready(ledger, ALPHA, BETA)
    ready(ledger, GAMMA, BETA, ALPHA)
    ledger.open_round(a_round(ALPHA, GAMMA))  # in work
    ledger.void(ready(ledger, BETA, GAMMA), "mistake")
    assert ledger.shown_counts() == {A: 3, B: 2, C: 2}
    assert ledger.pair_counts() == {
        tuple(sorted(pair)): 2 if C not in pair or B not in pair else 1 for pair in ((A, B), (A, C), (B, C))
    }
    assert ledger.played(Prompt("Why is the sky blue?")) == {
        tuple(sorted((A, B))),
        tuple(sorted((A, B, C))),
        tuple(sorted((A, C))),
    }
    assert ledger.played(Prompt("Never asked.")) == set()


def run(ledger: SqliteLedger, player: Contestant, outcome: Outcome = Outcome.ANSWERED, **metrics: object) -> str:
    round_ = a_round(player, GAMMA, text=f"{outcome} {metrics}")
    ledger.open_round(round_)
    ledger.save_answer(round_.id, Answer(0, "x", metrics=Metrics(**metrics), outcome=outcome))  # type: ignore[arg-type]
    ledger.save_answer(round_.id, Answer(1, "", outcome=Outcome.EMPTY))
    ledger.close_round(round_.id, RoundState.READY)
    return round_.id


def test_tallies_are_medians_of_clean_runs(ledger: SqliteLedger):
    counted = {"token_source": "server"}
    wrong = {"decode_tps": 999.0, "ttft_ms": 999.0, **counted}
    keys = [run(ledger, ALPHA, decode_tps=x, chars_per_s=4 * x, ttft_ms=x, **counted) for x in (10.0, 20.0, 60.0)]
    keys.append(run(ledger, ALPHA, Outcome.TRUNCATED, decode_tps=40.0, **counted))
    keys += [run(ledger, ALPHA, **wrong, **{spoiled: True}) for spoiled in ("cold", "contended", "cached")]
    keys += [run(ledger, ALPHA, outcome, **wrong) for outcome in (Outcome.FAILED, Outcome.CANCELLED, Outcome.EMPTY)]
    keys.append(run(ledger, ALPHA, decode_tps=998.0))  # an estimate, while counted runs are there
    keys.append(run(ledger, BETA, decode_tps=7.0))
    for key in keys:
        decide(ledger, key, "skip")
    assert ledger.tallies() == {A: Tally(tok_s=30.0, chars_s=80.0, ttft_ms=20.0), B: Tally(tok_s=7.0)}


def test_tallies_do_not_move_with_a_sealed_round(ledger: SqliteLedger):
    key = run(ledger, ALPHA, decode_tps=10.0)
    assert ledger.tallies() == {}
    ledger.reveal_unvoted(key)
    assert ledger.tallies() == {A: Tally(tok_s=10.0)}
