"""Before the vote nothing tells the contestants apart: every screen and every command is searched for what could."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from arena.backends.scripted import Script
from arena.cli import reports, rounds
from arena.core.events import Failed
from arena.core.machine import human_bytes
from arena.core.models import Contestant, Sampling
from arena.core.naming import MASK
from arena.core.prompts import Prompt
from arena.core.rounds import Outcome, RoundState, Schedule, SealedRound
from arena.tui.app import ArenaApp
from arena.tui.phases import Phase
from stage import CAST, ENDPOINT, NAMES, arena_on, screen_text, until

SIZES = [(80, 24), (120, 36), (160, 45)]


def telling_words() -> set[str]:
    """Everything that could tell a contestant: name, its parts, family, quantization, digest, size, fingerprint."""
    words = {ENDPOINT}
    for name, script in CAST.items():
        info = script.info
        contestant = Contestant.of(info, Sampling())
        words |= {name, name.split("-")[0], info.family, info.quantization, info.ref.digest[:8], contestant.fingerprint}
        words |= {human_bytes(info.size_bytes), str(info.size_bytes), info.template_hash}
    return {word.lower() for word in words}


def told_by(text: str) -> set[str]:
    """The telling words that a text holds."""
    return {word for word in telling_words() if word in text.lower()}


@pytest.fixture
def slow_cast():
    """Contestants that take their time, so that the screen can be looked at while they answer."""
    return {
        name: Script(list(script.chunks) * 3, 0.15 * (rank + 1), info=script.info)
        for rank, (name, script) in enumerate(CAST.items())
    }


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("seats", [2, 3])
async def test_no_screen_of_a_blind_round_tells_a_contestant(tmp_path, slow_cast, size, seats):
    with arena_on(tmp_path, slow_cast, seats=seats) as arena:
        app = ArenaApp(arena, NAMES)
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await until(pilot, lambda: "zephyr" in screen_text(pilot))
            await pilot.press(*"why?", "enter")
            looks = 0
            while app.screen.phase is not Phase.VOTING:
                await pilot.pause(0.05)
                if app.screen.phase is Phase.ANSWERING:
                    looks += 1
                    assert not told_by(screen_text(pilot))
                    assert not told_by(app.title + app.sub_title)
            assert looks > 5
            assert not told_by(screen_text(pilot))
            for key in ("m", "l", "h", "w", "z", "1", "2", "3", "z", "question_mark", "escape", "ctrl+o", "escape"):
                await pilot.press(key)
                await pilot.pause()
                assert not told_by(screen_text(pilot)), key
            await until(pilot, lambda: app.screen.phase is Phase.VOTING)
            await pilot.press("a")
            if seats == 3:
                await pilot.press("enter")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await until(pilot, lambda: told_by(screen_text(pilot)))  # the search does find what is there


async def test_why_a_seat_failed_is_said_only_with_the_names(tmp_path):
    sentence = "The file of zephyr-9b is gone."
    broken = Script(["The "], info=CAST["zephyr-9b"].info, fails_after=1, failure=(sentence, "Fetch zephyr again."))
    slow = Script(["word "] * 400, 0.02, info=CAST["kestrel-3b"].info)
    with arena_on(tmp_path, {"zephyr-9b": broken, "kestrel-3b": slow}) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
            view = arena.table.deal(Prompt("why?"), infos, schedule=Schedule.TOGETHER).result()
            heard = []
            playing = arena.table.play(view.id, heard.append)
            await until(pilot, lambda: any(isinstance(event, Failed) for event in heard))
            await until(pilot, lambda: "word " in "".join(getattr(event, "text", "") for event in heard))
            assert not told_by("".join(map(repr, heard)))
            playing.cancel()
            await until(pilot, lambda: arena.look(view.id).result().state is RoundState.VOID)
            record = arena.reveal(view.id).result()
            assert any(sentence in answer.error for answer in record.answers)
            (cut,) = [answer for answer in record.answers if answer.outcome is Outcome.CANCELLED]
            assert cut.text.startswith("word "), "what was said until then is kept"


@pytest.fixture
def waiting_round(tmp_path):
    """An arena with one voted and one waiting round."""
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        view = arena.table.deal(Prompt("what is 67 - 26?"), infos).result()
        arena.table.play(view.id, lambda _: None).result()
        yield arena, view


def test_what_the_facade_gives_before_the_vote_names_nobody(waiting_round):
    arena, view = waiting_round
    (waiting,) = arena.waiting().result()
    found = arena.look(view.id).result()
    assert isinstance(found, SealedRound)
    for thing in (view, waiting, found, arena.history().result()):
        assert not told_by(repr(thing))


def test_what_the_commands_print_before_the_vote_names_nobody(waiting_round):
    arena, view = waiting_round
    found = arena.look(view.id).result()
    lines = arena.history().result()
    printed = [
        rounds.as_text(found),
        json.dumps(rounds.as_json(found)),
        *(reports.history_line(line) for line in lines),
        json.dumps([reports.history_json(line) for line in lines]),
    ]
    for text in printed:
        assert not told_by(text)


def test_the_commands_themselves_name_nobody_before_the_vote(waiting_round):
    arena, view = waiting_round
    db = str(arena.settings.db)
    from arena.cli.commands import main_group

    for command in (["history"], ["history", "--json"], ["show", view.id], ["show", view.id, "--json"]):
        done = CliRunner().invoke(main_group, [*command, "--db", db])
        assert done.exit_code == 0, done.output
        assert view.id in done.output
        assert not told_by(done.output.replace(db, ""))


def test_metrics_come_out_only_after_the_vote(waiting_round):
    arena, view = waiting_round
    sealed = rounds.as_json(arena.look(view.id).result())
    assert all("metrics" not in answer and "model" not in answer for answer in sealed["answers"])
    from arena.core.votes import Verdict

    arena.cast(view.id, Verdict.parse("b", 2)).result()
    open_ = rounds.as_json(arena.reveal(view.id).result())
    assert all(answer["metrics"]["out_tokens"] and answer["model"] for answer in open_["answers"])


def test_the_envelope_does_not_open_before_the_vote(waiting_round):
    arena, view = waiting_round
    with pytest.raises(Exception, match="vote"):
        arena.reveal(view.id).result()


async def test_a_crash_report_of_a_blind_round_names_nobody(tmp_path, slow_cast):
    with arena_on(tmp_path, slow_cast) as arena:
        app = ArenaApp(arena, NAMES)
        report = []
        with pytest.raises(ZeroDivisionError):
            async with app.run_test(size=(160, 45)) as pilot:
                await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
                await pilot.press(*"why?", "enter")
                await until(pilot, lambda: app.screen.phase is Phase.ANSWERING)
                screen = app.screen

                def crash():
                    who = [seat.contestant for seat in arena.table._hands[screen.live.view.id].round.seats]
                    return len(who) / 0

                screen.set_timer(0.01, crash)
                await until(pilot, lambda: app._exit_renderables)
                report = list(app._exit_renderables)
        text = "".join(app.console.render_str(str(part)).plain for part in report)
        text += "".join(segment.text for part in report for segment in app.console.render(part))
        assert "ZeroDivisionError" in text
        assert not told_by(text)


TALKERS = {
    "zephyr-9b": Script(
        ["I am Zep", "hyr, a language model ", "trained by ", "Garage Labs", ". ", "The answer is 41, I am sure. " * 8],
        0.02,
        info=CAST["zephyr-9b"].info,
    ),
    "kestrel-3b": Script(
        ["저는 Kest", "rel입니다. ", "It is forty-one, I think. " * 8, "\nKestrel: 41"],
        0.02,
        info=CAST["kestrel-3b"].info,
    ),
}


async def test_a_model_that_names_itself_is_masked_until_the_reveal(tmp_path):
    with arena_on(tmp_path, TALKERS) as arena:
        app = ArenaApp(arena, NAMES[:2])
        async with app.run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.ASKING)
            await until(pilot, lambda: "zephyr" in screen_text(pilot))
            await pilot.press(*"why?", "enter")
            await until(pilot, lambda: app.screen.phase is Phase.ANSWERING)
            while app.screen.phase is not Phase.VOTING:
                assert not told_by(screen_text(pilot))
                await pilot.pause(0.02)
            assert MASK in screen_text(pilot)
            assert not told_by(screen_text(pilot))
            await pilot.press("a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await until(pilot, lambda: "I am Zephyr" in screen_text(pilot) and "저는 Kestrel" in screen_text(pilot))
            assert MASK not in screen_text(pilot)
            assert "names its model: not rated" in screen_text(pilot)
            (line,) = arena.history().result()
            assert line.flags == ("named",)
            assert arena.board().result().votes == 0


async def test_a_waiting_round_that_names_its_models_is_masked_everywhere(tmp_path):
    with arena_on(tmp_path, TALKERS) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        view = arena.table.deal(Prompt("what is 67 - 26?"), infos).result()
        heard = []
        played = arena.table.play(view.id, heard.append).result()
        found = arena.look(view.id).result()
        (waiting,) = arena.waiting().result()
        printed = [
            rounds.as_text(found),
            json.dumps(rounds.as_json(found), ensure_ascii=False),
            repr(waiting),
            repr(heard),
        ]
        printed.append(json.dumps(rounds.as_json(found, played.answers), ensure_ascii=False))
        for text in printed:
            assert not told_by(text)
        assert MASK in printed[0]
        app = ArenaApp(arena, NAMES[:2], judge=True)
        async with app.run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: getattr(app.screen, "phase", None) is Phase.VOTING)
            await pilot.pause()
            assert MASK in screen_text(pilot)
            assert not told_by(screen_text(pilot))
            await pilot.press("a")
            await until(pilot, lambda: app.screen.phase is Phase.REVEALED)
            await until(pilot, lambda: "I am Zephyr" in screen_text(pilot))
        assert "I am Zephyr" in rounds.as_text(arena.look(view.id).result())
