"""Stories of voting: taking it back, going on, having it anew, saying more, and judging while a queue is played."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest

from arena.backends.scripted import Script, ScriptedBackend
from arena.cli.rounds import as_text
from arena.config import load
from arena.core.events import Chunk
from arena.core.prompts import Prompt
from arena.core.rounds import Pace, RoundState
from arena.core.votes import Strength
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from arena.tui.screens.prompts import PromptsScreen
from arena.tui.widgets.prompt_box import PromptBox
from arena.wiring import Arena
from stage import CAST, ENDPOINT, NAMES, arena_on, screen_text, until


async def ask(pilot, text="why?"):
    await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
    await pilot.press(*text, "enter")
    await voting(pilot)


async def voting(pilot):
    await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTING)


async def revealed(pilot):
    await until(pilot, lambda: pilot.app.screen.phase is Phase.REVEALED)


@contextmanager
def arena_with(tmp_path, scripts=CAST, **settings):
    known = replace(load(db=tmp_path / "arena.db"), controls=0.0, **settings)
    arena = Arena(known, [ScriptedBackend(scripts, ENDPOINT)])
    try:
        yield arena
    finally:
        arena.close()


async def test_a_vote_can_be_taken_back_until_the_names_come_out(tmp_path):
    with arena_with(tmp_path, reveal_after_s=60.0) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            await pilot.press("a")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTED)
            await until(pilot, lambda: "You said: a." in screen_text(pilot) and "take it back" in screen_text(pilot))
            assert str(arena.history().result()[0].verdict) == "a", "it is on the disk"
            assert arena.board().result().votes == 0, "and the board tells nobody whom it was for"
            await pilot.press("u")
            await voting(pilot)
            assert arena.history().result()[0].verdict is None
            await pilot.press("b")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTED)
            await pilot.press("enter")
            await revealed(pilot)
            await until(pilot, lambda: "You said: b." in screen_text(pilot))
            await pilot.press("u")
            assert pilot.app.screen.phase is Phase.REVEALED, "too late"


async def test_the_envelope_opens_by_itself(tmp_path):
    with arena_with(tmp_path, reveal_after_s=0.05) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            await pilot.press("a")
            await revealed(pilot)


async def test_who_leaves_before_the_names_come_out_finds_them_the_next_time(tmp_path):
    with arena_with(tmp_path, reveal_after_s=60.0) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            await pilot.press("a")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.VOTED)
            await pilot.press("q")
    with arena_with(tmp_path) as arena:
        assert arena.history().result()[0].sealed
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await until(pilot, lambda: not arena.history().result()[0].sealed)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)], ids=str)
async def test_a_further_turn_goes_to_the_same_sealed_models_before_the_vote(tmp_path, size):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=size) as pilot:
            await ask(pilot, "What is 67 - 26?")
            await pilot.press("f")
            await until(pilot, lambda: "One thing more, to the same models." in screen_text(pilot))
            await pilot.press(*"Are you sure?", "enter")
            await voting(pilot)
            await until(pilot, lambda: "── Are you sure?" in screen_text(pilot))
            await pilot.press("b")
            await revealed(pilot)
            (line,) = arena.history().result()
            assert line.further
            record = arena.reveal(line.id).result()
            assert [turn.question for turn in record.earlier] == ["What is 67 - 26?"]
            names = [seat.contestant.ref for seat in record.round.seats]
            first = arena.look(record.round.continues).result()
            assert [seat.contestant.ref for seat in first.round.seats] == names
            assert arena.board().result().votes == 1


async def test_who_does_not_want_to_ask_more_is_back_at_the_vote(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            await pilot.press("f")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.FOLLOWING)
            await pilot.press("escape")
            await voting(pilot)
            await pilot.press("a")
            await revealed(pilot)


async def test_answers_can_be_had_anew_from_the_same_sealed_models(tmp_path):
    with arena_on(tmp_path, seats=2) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            old = pilot.app.screen.live.view.id
            await pilot.press("R")
            await until(pilot, lambda: pilot.app.screen.live.view.id != old)
            await voting(pilot)
            await pilot.press("a")
            await revealed(pilot)
            new, void = arena.history().result()
            assert (void.id, void.state, void.flags) == (old, RoundState.VOID, ("rerolled",))
            assert "repeated" not in new.flags
            assert {seat.contestant for seat in arena.reveal(new.id).result().round.seats} == {
                seat.contestant for seat in arena.reveal(old).result().round.seats
            }


async def test_a_capital_says_that_the_best_is_clearly_better(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            await pilot.press("B")
            await revealed(pilot)
            await until(pilot, lambda: "You said: b, clearly." in screen_text(pilot))
            record = arena.reveal(arena.history().result()[0].id).result()
            assert record.vote.strength is Strength.CLEARLY
            assert record.vote.decided_ms >= 0


@pytest.mark.parametrize(
    ("keys", "said"),
    [("b=a", "a=b>c"), ("b=", "b>…"), ("ca", "c>a>b"), ("b=c", "b=c>a"), ("a=b=c", "a=b>c")],
)
async def test_three_answers_are_ranked_with_ties(tmp_path, keys, said):
    with arena_on(tmp_path, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press(*("equals_sign" if key == "=" else key for key in keys))
            if said.endswith("…"):
                await until(pilot, lambda: "B = …" in screen_text(pilot))
                await pilot.press("enter")
                said = "b"
            await revealed(pilot)
            await until(pilot, lambda: f"You said: {said}." in screen_text(pilot))


async def test_the_second_vote_and_a_note_come_after_the_names(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("a")
            await revealed(pilot)
            await until(pilot, lambda: "which would you use" in screen_text(pilot))
            board = arena.board().result()
            await pilot.press("b")
            await until(pilot, lambda: "you would use: b" in screen_text(pilot))
            await pilot.press("o")
            await until(pilot, lambda: pilot.app.screen.query("#line"))
            await pilot.press(*"too slow", "enter")
            key = arena.history().result()[0].id
            await until(pilot, lambda: arena.reveal(key).result().vote.note == "too slow")
            assert str(arena.reveal(key).result().second) == "b"
            assert arena.board().result() == board, "nothing of it is rated"


async def test_of_three_answers_any_can_be_the_one_to_use(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("t")
            await revealed(pilot)
            await until(pilot, lambda: "a b c t: which would you use?" in screen_text(pilot))
            await pilot.press("c")
            await until(pilot, lambda: "you would use: c" in screen_text(pilot))


async def test_of_three_answers_one_that_broke_off_is_no_choice(tmp_path):
    cast = {**CAST, "zephyr-9b": Script(["The "], info=CAST["zephyr-9b"].info, fails_after=1)}
    with arena_on(tmp_path, cast, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            seats = pilot.app.screen.query_one("VoteBar").seats
            (broken,) = {0, 1, 2} - set(seats)
            await pilot.press("abc"[broken])
            await pilot.pause()
            assert pilot.app.screen.phase is Phase.VOTING
            await until(pilot, lambda: not pilot.app.screen.closed.deaf)
            await pilot.press("abc"[seats[1]])
            await revealed(pilot)
            assert arena.board().result().votes == 1
            standing = next(line for line in arena.board().result().standings if "zephyr" in line.model)
            assert standing.votes == 0, "who broke off did not lose"


async def test_a_control_round_says_so_only_at_the_end(tmp_path):
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(NAMES[0]).result()] * 2
        view = arena.table.deal(Prompt("why?"), infos).result()
        arena.table.play(view.id, lambda _: None).result()
        async with ArenaApp(arena, NAMES, judge=True).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.VOTING)
            assert "control" not in screen_text(pilot).lower()
            await pilot.press("t")
            await revealed(pilot)
            await until(pilot, lambda: "a control of your own noise" in screen_text(pilot))
            assert arena.board().result().votes == 0


async def test_the_pace_is_chosen_for_the_rounds_to_come(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: "at one pace" in screen_text(pilot))
            await pilot.press("escape", "e")
            await until(pilot, lambda: "Speed may tell who is who" in screen_text(pilot))
            await pilot.press("i")
            await ask(pilot)
            assert pilot.app.screen.live.view.pace is Pace.LIVE
            await pilot.press("a")
            await revealed(pilot)
            record = arena.reveal(arena.history().result()[0].id).result()
            assert all(answer.metrics.speed_visible for answer in record.answers)


async def test_a_pack_is_played_while_its_first_rounds_are_judged(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: "zephyr" in screen_text(pilot))
            await pilot.press("escape", "p")
            await until(pilot, lambda: isinstance(pilot.app.screen, PromptsScreen))
            await pilot.press("slash", *"korean python", "enter", "f5")
            planned, judged = 3, 0
            while judged < planned:
                await voting(pilot)
                await pilot.press("a")
                await revealed(pilot)
                judged += 1
                await pilot.press("enter")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.ASKING)
            assert arena.board().result().votes == planned


async def test_a_prompt_of_a_pack_goes_into_the_box(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "zephyr" in screen_text(pilot))
            await pilot.press("escape", "p")
            await until(pilot, lambda: isinstance(pilot.app.screen, PromptsScreen))
            await pilot.press("down", "enter")
            await until(pilot, lambda: pilot.app.screen.query(PromptBox) and pilot.app.screen.query_one(PromptBox).text)
            taken = pilot.app.screen.query_one(PromptBox).text
            assert taken in {prompt.text for pack in arena.prompts().packs for prompt in pack.prompts}
            await pilot.press("enter")
            await voting(pilot)
            assert pilot.app.screen.live.view.prompt.tags, "it comes with its tags"


async def test_what_a_queue_has_left_goes_on_when_somebody_judges(tmp_path):
    from arena.series import Order

    with arena_on(tmp_path) as arena:
        infos = tuple(arena.lineup.find(name).result() for name in NAMES[:2])
        arena.series.plan(Order((Prompt("one"), Prompt("two")), infos, 2)).result()
        async with ArenaApp(arena, NAMES[:2], judge=True).run_test(size=(120, 36)) as pilot:
            for _ in range(2):
                await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.VOTING)
                await pilot.press("b")
                await revealed(pilot)
                await pilot.press("enter")
            assert arena.board().result().votes == 2


@pytest.mark.parametrize("how", ["fails", "is called off"])
async def test_a_further_turn_that_does_not_come_leads_back_to_the_vote(tmp_path, how):
    def cast(broken):
        slow = {"chunks": ["word "] * 200, "gap_s": 0.02}
        facts = {"fails_after": 1} if how == "fails" else slow
        return {
            name: replace(script, **facts) if broken and (how != "fails" or name == "zephyr-9b") else script
            for name, script in CAST.items()
        }

    backend = ScriptedBackend(cast(broken=False), ENDPOINT)
    arena = Arena(replace(load(db=tmp_path / "arena.db"), controls=0.0, reveal_after_s=0.0), [backend])
    try:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await ask(pilot)
            first = pilot.app.screen.live.view.id
            backend._scripts = cast(broken=True)
            await pilot.press("f")
            await until(pilot, lambda: pilot.app.screen.phase is Phase.FOLLOWING)
            await pilot.press(*"And?", "enter")
            if how == "is called off":
                await until(pilot, lambda: pilot.app.screen.phase is Phase.ANSWERING)
                await pilot.press("escape")
            await until(pilot, lambda: pilot.app.screen.live.view.id == first)
            await voting(pilot)
            assert arena.history().result()[0].sealed
            await pilot.press("a")
            await revealed(pilot)
            assert arena.board().result().votes == 1
    finally:
        arena.close()


async def test_who_types_a_prompt_is_not_interrupted_by_a_round_of_a_queue(tmp_path):
    from arena.series import Order

    slow = {name: Script(["word "] * 10, 0.02, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        infos = tuple(arena.lineup.find(name).result() for name in NAMES[:2])
        arena.series.plan(Order((Prompt("one"), Prompt("two")), infos, 2)).result()
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: "zephyr" in screen_text(pilot))
            await pilot.press("escape", "w")
            await until(pilot, lambda: pilot.app.screen.judges)
            await pilot.press("a")
            await until(pilot, lambda: len(arena.waiting().result()) == 2)
            await pilot.press(*"bbat")
            assert pilot.app.screen.query_one(PromptBox).text == "abbat"
            assert arena.board().result().votes == 0
            await pilot.press(*["backspace"] * 5)
            await voting(pilot)


async def test_a_letter_taken_back_takes_its_strength_along(tmp_path):
    with arena_on(tmp_path, seats=3) as arena:
        async with ArenaApp(arena, NAMES).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("A", "backspace", "b", "C")
            await revealed(pilot)
            await until(pilot, lambda: "You said: b>c>a." in screen_text(pilot))


async def test_all_of_a_long_prompt_can_be_read(tmp_path):
    long = " ".join(f"word{number}" for number in range(120)) + " the last rule"
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        arena.table.play(arena.table.deal(Prompt(long), infos).result().id, lambda _: None).result()
        async with ArenaApp(arena, NAMES[:2], judge=True).run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.VOTING)
            await until(pilot, lambda: "v: all of it" in screen_text(pilot))
            await pilot.press("v")
            await until(pilot, lambda: "the last rule" in screen_text(pilot))
            await until(pilot, lambda: "v: the answers again" in screen_text(pilot))
            await pilot.press("a")
            await revealed(pilot)
            await until(pilot, lambda: "★" in screen_text(pilot))


async def test_a_short_prompt_never_hides_the_answers(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(80, 24)) as pilot:
            await ask(pilot, "why?")
            await pilot.press("v")
            await pilot.pause()
            assert pilot.app.screen.query_one("#panes").display


async def test_running_through_the_history_shows_the_round_where_one_stops(tmp_path):
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        for number in range(12):
            arena.table.play(arena.table.deal(Prompt(f"number {number}"), infos).result().id, lambda _: None).result()
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: getattr(pilot.app.screen, "phase", None) is Phase.ASKING)
            await pilot.press("escape", "h")
            await until(pilot, lambda: pilot.app.screen.query("#rounds"))
            await until(pilot, lambda: pilot.app.screen.query_one("#rounds").option_count == 12)
            rounds = pilot.app.screen.query_one("#rounds")
            for at in [*range(12), *range(10, -1, -1), *range(12)]:
                rounds.highlighted = at
                await pilot.pause(0.01)
            await until(pilot, lambda: "› number 0" in screen_text(pilot))
            await until(pilot, lambda: len(pilot.app.screen.query("AnswerPane")) == 2)
            await pilot.press("escape")
            await until(pilot, lambda: not pilot.app.screen.query("#rounds"))


async def test_the_hardware_beside_the_board_stands_still_while_a_queue_is_played(tmp_path):
    with arena_on(tmp_path) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: "FITS NOW" in screen_text(pilot))
            arena.series.playing = True
            await pilot.press("escape", "l")
            await until(pilot, lambda: pilot.app.screen.query("#full-board"))
            await pilot.press("5")
            await until(pilot, lambda: "Readings pause" in screen_text(pilot))
            assert "FITS NOW" not in screen_text(pilot)
            arena.series.playing = False
            await until(pilot, lambda: "FITS NOW" in screen_text(pilot))


async def test_a_pack_that_is_taken_while_another_is_played_has_its_turn(tmp_path):
    from arena.series import Order

    slow = {name: Script(["word "] * 20, 0.02, info=script.info) for name, script in CAST.items()}
    with arena_on(tmp_path, slow) as arena:
        infos = tuple(arena.lineup.find(name).result() for name in NAMES[:2])
        arena.series.plan(Order((Prompt("one"), Prompt("two")), infos, 2)).result()
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(120, 36)) as pilot:
            await until(pilot, lambda: "zephyr" in screen_text(pilot))
            await pilot.press("escape", "w")
            await until(pilot, lambda: arena.series.playing)
            arena.series.plan(Order((Prompt("three"),), infos, 1)).result()
            await until(pilot, lambda: not any(queue.left for queue in arena.series.states().result()))
            assert len(arena.waiting().result()) == 3


async def test_what_was_thought_is_sealed_until_the_reveal_and_there_on_a_key(tmp_path):
    thinking = Script([Chunk("Sixty-seven less twenty-six", "thought"), "It is 41."], info=CAST["zephyr-9b"].info)
    with arena_on(tmp_path, {**CAST, "zephyr-9b": thinking}) as arena:
        async with ArenaApp(arena, NAMES[:2]).run_test(size=(160, 45)) as pilot:
            await ask(pilot)
            await pilot.press("d")
            await pilot.pause()
            assert "twenty-six" not in screen_text(pilot)
            await until(pilot, lambda: not pilot.app.screen.closed.deaf)
            await pilot.press("a")
            await revealed(pilot)
            await until(pilot, lambda: "of thinking, d shows it" in screen_text(pilot))
            assert "twenty-six" not in screen_text(pilot)
            await pilot.press("d")
            await until(pilot, lambda: "twenty-six" in screen_text(pilot) and "It is 41." in screen_text(pilot))
            await pilot.press("d")
            await until(pilot, lambda: "twenty-six" not in screen_text(pilot))
            await pilot.press("h")
            await until(pilot, lambda: pilot.app.screen.query("#rounds") and "It is 41." in screen_text(pilot))
            await pilot.press("d")
            await until(pilot, lambda: "twenty-six" in screen_text(pilot))
            key = arena.history().result()[0].id
            assert "(thinking) Sixty-seven" in as_text(arena.look(key).result())
