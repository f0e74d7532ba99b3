"""The commands that look back, and the packs, as a script sees them."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from arena.cli.commands import main_group
from arena.core.prompts import Prompt
from arena.core.votes import Verdict
from stage import NAMES, arena_on

PACK = '[[prompts]]\ntitle = "Say"\nsystem = "In {{language}}."\ntext = "Say {{word}}.\\u001b[31m"\n'


@pytest.fixture
def past(tmp_path):
    """A database with a judged and a waiting round."""
    with arena_on(tmp_path) as arena:
        infos = [arena.lineup.find(name).result() for name in NAMES[:2]]
        keys = []
        for text in ("judged?", "waiting?"):
            keys.append(arena.table.deal(Prompt(text, tags=("coding",)), infos).result().id)
            arena.table.play(keys[-1], lambda _: None).result()
        arena.cast(keys[0], Verdict.parse("a", 2)).result()
        dealt = arena.past.deal_again(keys[0]).result()
        arena.past.judge_again(dealt, Verdict.parse("tie", 2)).result()
        yield str(arena.settings.db), keys


def run(*args: str, stdin: str = "") -> tuple[int, str, str]:
    done = CliRunner().invoke(main_group, args, input=stdin)
    return done.exit_code, done.stdout, done.stderr or str(done.exception or "")


def test_the_history_is_narrowed(past):
    db, (judged, waiting) = past
    for args, found in (
        (["--ending", "waiting"], {waiting}),
        (["--ending", "decided"], {judged}),
        (["--tag", "coding"], {judged, waiting}),
        (["--tag", "korean"], set()),
        (["--model", NAMES[0]], {judged}),
        (["--model", NAMES[2]], set()),
    ):
        code, out, _ = run("history", "--json", *args, "--db", db)
        assert (code, {line["round"] for line in json.loads(out)}) == (0, found), args


def test_a_round_shows_that_it_was_judged_again(past):
    db, (judged, _) = past
    _, out, _ = run("show", judged, "--db", db)
    assert "Verdict: a\n" in out
    assert "not rated: a=b" in out
    _, out, _ = run("show", judged, "--json", "--db", db)
    assert [each["verdict"] for each in json.loads(out)["again"]] == ["a=b"]


def test_a_round_is_deleted_once_somebody_has_said_yes(past):
    db, (judged, waiting) = past
    code, out, said = run("history", "--delete", judged, "--db", db, stdin="n\n")
    assert (code, out) == (0, "")
    assert "2 answers" in said
    assert "leaderboard loses this vote" in said
    assert run("show", judged, "--db", db)[0] == 0, "nobody has said yes"
    assert run("history", "--delete", judged[:-1], "--yes", "--db", db)[0] == 0
    code, _, said = run("show", judged, "--db", db)
    assert (code, f"no round '{judged}'" in said) == (1, True)
    _, out, _ = run("history", "--json", "--db", db)
    assert [line["round"] for line in json.loads(out)] == [waiting]


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """A user's pack with variables."""
    folder = tmp_path / "config" / "arena" / "prompts"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(PACK, "utf-8")
    config = tmp_path / "config.toml"
    config.write_text(f'prompts_folder = "{folder}"\n', "utf-8")
    monkeypatch.setenv("ARENA_CONFIG", str(config))
    return str(tmp_path / "arena.db")


def test_a_pack_is_printed_whole_and_clean(pack):
    code, out, _ = run("prompts", "mine", "--db", pack)
    assert code == 0
    assert out.splitlines() == [
        "mine  mine",
        "",
        "mine/say  Say",
        "    (system) In {{language}}.",
        "    Say {{word}}.␛[31m",
    ]
    code, _, said = run("prompts", "mien", "--db", pack)
    assert code == 1
    assert "Did you mean 'mine'?" in said
    assert "demo/" in run("prompts", "demo", "--db", pack)[1]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--pack", "mine"], "--set language=VALUE"),
        (["--pack", "mine", "--set", "word=hi"], "has variables: language."),
        (["--pack", "mine", "--set", "wrod=hi"], "no variable 'wrod'"),
        (["--pack", "demo", "--set", "word=hi"], "It has none"),
        (["--set", "word=hi", "why?"], "--pack NAME"),
    ],
)
def test_variables_are_filled_in_or_asked_for(pack, args, says):
    code, _, said = run("run", *args, "--db", pack)
    assert code == 1
    assert says in said


@pytest.mark.usefixtures("pack")
def test_a_pack_is_played_with_its_variables_filled_in():
    from arena.cli.headless import RunOptions, _prompts
    from arena.config import load
    from arena.wiring import Arena

    arena = Arena(load())
    try:
        (prompt,) = _prompts(arena, None, RunOptions(pack="mine", set_=("word=a=b", "language=French")))
    finally:
        arena.close()
    assert (prompt.system, prompt.text.split("\x1b")[0]) == ("In French.", "Say a=b.")
