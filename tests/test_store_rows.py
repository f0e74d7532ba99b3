"""Every noun survives the trip to the disk and back, whatever its text holds."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt
from arena.core.rounds import Answer, Outcome, Pace, Round, RoundState, Schedule, Seat, new_round_id
from arena.core.text import storable
from arena.core.timing import Metrics
from arena.core.votes import Kind, Verdict, Vote
from arena.store.ledger import SqliteLedger

texts = st.one_of(
    st.text(st.characters(), max_size=40),  # lone surrogates and NUL are among them
    st.sampled_from(
        ["", "한국어 답변 입니다", "👩‍👩‍👧‍👦 \U0001f600", "\ud83d\ude00", "\udfff", "a\0b", "';--", "\x1b[31m"]
    ),
)
floats = st.none() | st.floats(-1e12, 1e12)
counts = st.none() | st.integers(0, 2**40)
metrics = st.builds(
    Metrics,
    **{field.name: floats for field in fields(Metrics) if field.type == "float | None"},
    **{field.name: counts for field in fields(Metrics) if field.type == "int | None"},
    **{field.name: st.booleans() for field in fields(Metrics) if field.type == "bool"},
    out_chars=st.integers(0, 2**40),
    token_source=st.sampled_from(["usage", "server", "estimate"]),
    finish=texts,
)
samplers = st.dictionaries(texts, st.floats(0, 5), max_size=3).map(lambda pairs: tuple(sorted(pairs.items())))
contestants = st.builds(
    Contestant,
    ref=st.builds(ModelRef, texts.filter(bool), texts.filter(bool), texts),  # a seat without an address has none
    quantization=texts,
    context=st.integers(1, 2**20),
    kv_type=texts,
    template_hash=texts,
    sampler=samplers,
    system=texts,
    thinking=texts,
)
prompts = st.builds(Prompt, texts, texts, texts, texts, st.lists(texts, max_size=3).map(tuple), texts)
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    top_k=st.integers(0, 1000),
    min_p=st.floats(0, 1),
    repeat_penalty=st.floats(0, 2),
    seed=st.integers(-(2**70), 2**70),
    max_tokens=st.integers(1, 2**30),
    context=st.integers(1, 2**30),
)


@st.composite
def rounds(draw: st.DrawFn) -> Round:
    players = draw(st.lists(contestants, min_size=2, max_size=3))
    order = draw(st.permutations(range(len(players))))
    return Round(
        id=new_round_id(),
        prompt=draw(prompts),
        seats=tuple(Seat(i, player, order[i]) for i, player in enumerate(players)),
        sampling=draw(samplings),
        schedule=draw(st.sampled_from(Schedule)),
        pace=draw(st.sampled_from(Pace)),
        blind=draw(st.booleans()),
        propensity=draw(st.none() | st.floats(0, 1)),
        created_at=draw(texts.filter(bool)),
    )


def clean(player: Contestant) -> Contestant:
    """What comes back: lone surrogates replaced, the fingerprint as it was given."""
    text = {
        name: storable(getattr(player, name))
        for name in ("quantization", "kv_type", "template_hash", "system", "thinking")
    }
    ref = ModelRef(storable(player.ref.endpoint), storable(player.ref.name), storable(player.ref.digest))
    sampler = tuple((storable(name), value) for name, value in player.sampler)
    return replace(player, ref=ref, sampler=sampler, **text)


def clean_prompt(prompt: Prompt) -> Prompt:
    text = {name: storable(getattr(prompt, name)) for name in ("text", "slug", "title", "system", "language")}
    return replace(prompt, tags=tuple(map(storable, prompt.tags)), **text)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory):
    with SqliteLedger(tmp_path_factory.mktemp("rows") / "arena.db") as opened:
        yield opened


many = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@many
@given(rounds(), st.data())
def test_a_round_with_its_answers_comes_back(ledger: SqliteLedger, round_: Round, data: st.DataObject):
    ledger.open_round(round_)
    said = [
        data.draw(st.builds(Answer, st.just(seat.index), texts, texts, metrics, st.sampled_from(Outcome), texts))
        for seat in round_.seats
    ]
    for answer in said:
        ledger.save_answer(round_.id, answer)
    ledger.close_round(round_.id, RoundState.READY)
    record = ledger.round(round_.id)
    kept = record.round
    assert replace(kept, prompt=round_.prompt, seats=()) == replace(round_, seats=(), created_at=kept.created_at)
    assert kept.created_at == storable(round_.created_at)
    assert [seat.contestant for seat in kept.seats] == [clean(seat.contestant) for seat in round_.seats]
    assert [seat.contestant.fingerprint for seat in kept.seats] == [
        seat.contestant.fingerprint for seat in round_.seats
    ]
    assert [seat.run_order for seat in kept.seats] == [seat.run_order for seat in round_.seats]
    assert (kept.prompt.text, kept.prompt.system) == (storable(round_.prompt.text), storable(round_.prompt.system))
    assert kept.prompt.sha256 == clean_prompt(round_.prompt).sha256
    for answer, wrote in zip(record.answers, said, strict=True):
        assert answer.metrics == replace(wrote.metrics, finish=storable(wrote.metrics.finish))
        assert (answer.seat, answer.outcome) == (wrote.seat, wrote.outcome)
        assert (answer.text, answer.thought, answer.error) == tuple(
            map(storable, (wrote.text, wrote.thought, wrote.error))
        )


@many
@given(prompts.filter(lambda prompt: prompt.slug))
def test_a_prompt_comes_back_whole(ledger: SqliteLedger, prompt: Prompt):
    round_ = Round(new_round_id(), prompt, (), Sampling())
    ledger.open_round(round_)
    assert ledger.round(round_.id).round.prompt == clean_prompt(prompt)
    assert ledger.round(round_.id).round.created_at > "2020"


decisions = st.none() | st.integers(0, 10**9)


@st.composite
def verdicts(draw: st.DrawFn) -> Verdict:
    if draw(st.booleans()):
        return Verdict(draw(st.sampled_from([Kind.ALL_BAD, Kind.SKIP])))
    order = draw(st.permutations(range(3)))[: draw(st.integers(1, 3))]
    groups: list[list[int]] = []
    for seat in order:
        if groups and draw(st.booleans()):
            groups[-1].append(seat)
        else:
            groups.append([seat])
    return Verdict(Kind.RANKING, tuple(tuple(sorted(group)) for group in groups))


@many
@given(st.builds(Vote, st.just(""), verdicts(), st.booleans(), decisions, texts, texts.filter(bool), texts))
@example(Vote("", Verdict(Kind.RANKING, ((0, 1, 2),)), note="\0", voter="\ud800", decided_ms=0, cast_at="\0"))
def test_a_vote_comes_back(ledger: SqliteLedger, vote: Vote):
    seats = tuple(Seat(i, Contestant(ModelRef("demo", str(i))), i) for i in range(3))
    round_ = Round(new_round_id(), Prompt("?"), seats, Sampling())
    ledger.open_round(round_)
    for seat in seats:
        ledger.save_answer(round_.id, Answer(seat.index, ""))
    ledger.close_round(round_.id, RoundState.READY)
    ledger.cast(replace(vote, round_id=round_.id))
    text = {name: storable(getattr(vote, name)) for name in ("note", "cast_at", "voter")}
    assert ledger.round(round_.id).vote == replace(vote, round_id=round_.id, **text)


def test_every_metric_has_its_column(ledger: SqliteLedger):
    columns = {row["name"] for row in ledger._connection.rows("PRAGMA table_info(answers)")}
    assert {field.name for field in fields(Metrics)} <= columns
    strict = ledger._connection.rows(
        "SELECT name, strict FROM pragma_table_list WHERE name IN "
        "('contestants', 'prompts', 'rounds', 'seats', 'answers', 'votes', 'merges', 'former_contestants')"
    )
    assert len(strict) == 8
    assert all(row["strict"] for row in strict)


def test_figures_that_are_none_were_not_measured(ledger: SqliteLedger):
    player = Contestant(ModelRef("demo", "figures"))
    round_ = Round(new_round_id(), Prompt("figures"), (Seat(0, player, 0),), Sampling())
    ledger.open_round(round_, {player.ref: ModelInfo(player.ref, parameters=10**30)})
    wild = Metrics(ttft_ms=float("nan"), decode_tps=float("inf"), out_tokens=10**30)
    ledger.save_answer(round_.id, Answer(0, "x", metrics=wild))
    assert ledger.round(round_.id).answers[0].metrics == Metrics()
    assert ledger.infos()[player.fingerprint].parameters is None


def test_the_search_index_stays_whole(ledger: SqliteLedger):
    with ledger._connection.writing() as db:
        db.execute("INSERT INTO answers_fts (answers_fts, rank) VALUES ('integrity-check', 1)")
        db.execute("INSERT INTO prompts_fts (prompts_fts, rank) VALUES ('integrity-check', 1)")
