"""`arena export`, `arena import` and whose board it is, as somebody types it."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from arena.cli.commands import main_group
from arena.core.errors import ArenaError, UsageError
from arena.store.ledger import SqliteLedger
from battle_files import battle, jsonl
from test_store import ALPHA, BETA, GAMMA, ready, vote

PROGRAM = [sys.executable, "-m", "arena"]
HEED = "from signal import *; signal(SIGINT, default_int_handler); from arena.cli import main; main()"
"""A shell in the background has its children ignore Ctrl+C."""


@pytest.fixture
def db(tmp_path: Path) -> str:
    """A database with two revealed votes of one's own and one round that waits."""
    path = tmp_path / "arena.db"
    with SqliteLedger(path) as ledger:
        for verdict, players in (("b", (ALPHA, BETA)), ("c>a", (ALPHA, BETA, GAMMA))):
            key = ready(ledger, *players, text=f"=cmd|{verdict}")
            vote(ledger, key, verdict)
            ledger.mark_revealed(key)
        ready(ledger, text="a secret question")
    return str(path)


def arena(*args: str, stdin: bytes = b"", fails: type[Exception] | None = None) -> tuple[str, str]:
    done = CliRunner().invoke(main_group, args, input=stdin)
    if fails is not None:
        assert isinstance(done.exception, fails), done
        return str(done.exception), done.stderr
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def run(*args: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *args], capture_output=True, text=True, check=False, timeout=120, **options)


def test_an_export_goes_to_stdout_as_json_lines_and_says_how_many(db):
    out, said = arena("export", "--db", db)
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["winner"] for row in rows] == ["model_b", "model_a", "model_b", "model_b"]
    assert said == "2 votes in 4 rows.\n"
    assert "secret" not in out
    assert "cmd" not in arena("export", "--no-text", "--db", db)[0]


def test_an_export_into_a_file_is_what_its_name_says(db, tmp_path):
    for name in ("votes.csv", "votes.jsonl"):
        out, _ = arena("export", "-o", str(tmp_path / name), "--db", db)
        assert out == ""
    assert (tmp_path / "votes.csv").read_text("utf-8").startswith("model_a,model_b,winner,round,")
    assert ",'=cmd|b," in (tmp_path / "votes.csv").read_text("utf-8")
    assert (tmp_path / "votes.jsonl").read_text("utf-8").startswith('{"model_a": ')
    assert arena("export", "--format", "csv", "--db", db)[0].startswith("model_a,model_b")
    assert [path.name for path in tmp_path.iterdir() if ".part" in path.name] == []


def test_a_file_that_is_not_complete_takes_no_place(db, tmp_path, monkeypatch):
    target = tmp_path / "votes.jsonl"
    target.write_text("what was there")

    def broken(*_: object) -> int:
        raise ArenaError("The disk went.")

    monkeypatch.setattr("arena.store.battle_files.write_jsonl", broken)
    arena("export", "-o", str(target), "--db", db, fails=ArenaError)
    assert target.read_text() == "what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arena.db", "home", "votes.jsonl"]
    said, _ = arena("export", "-o", str(tmp_path / "no" / "such"), "--db", db, fails=ArenaError)
    assert "can't be written" in said


def test_another_person_counts_on_request_and_can_be_left_out(db, tmp_path):
    other = str(tmp_path / "other.db")
    (tmp_path / "anna.csv").write_text(arena("export", "--format", "csv", "--db", db)[0], "utf-8", newline="")
    said, _ = arena("import", str(tmp_path / "anna.csv"), "--db", other)
    assert said == "2 rounds of anna, as import 1.\n"
    assert arena("import", str(tmp_path / "anna.csv"), "--db", other)[0] == "Nothing new: 2 here already.\n"
    assert arena("import", str(tmp_path / "anna.csv"), "--db", db)[0] == "Nothing new: 2 played here.\n"

    def votes(voter: str) -> tuple[int, set[str]]:
        board = json.loads(arena("board", "--voter", voter, "--json", "--db", other)[0])
        return board["votes"], {line["model"] for line in board["standings"]}

    names = {"ollama/alpha:7b", "ollama/beta:8b", "ollama/gamma:9b"}
    assert [votes(voter) for voter in ("me", "anna", "all")] == [(0, set()), (2, names), (2, names)]
    assert arena("import", "--list", "--db", other)[0].splitlines()[1].split()[:4] == ["1", "anna", "0", "2"]
    (told,) = json.loads(arena("import", "--list", "--json", "--db", other)[0])
    assert (told["id"], told["voter"], told["source"], told["rounds"]) == (1, "anna", "anna.csv", 2)
    assert arena("import", "--remove", "1", "--db", other)[1] == "Left out: 2 rounds of anna.\n"
    assert "Nothing was imported yet" in arena("import", "--list", "--db", other)[1]
    said, _ = arena("board", "--voter", "anna", "--db", other, fails=ArenaError)
    assert said.startswith("Nobody called 'anna' has votes here.")


def test_ones_own_votes_are_ones_own_only_by_request(db, tmp_path):
    other = str(tmp_path / "other.db")
    data = arena("export", "--db", db)[0].encode()
    said, _ = arena("import", "-", "--db", other, stdin=data, fails=UsageError)
    assert "--voter" in said
    (tmp_path / "me.jsonl").write_bytes(data)
    assert "--voter" in arena("import", str(tmp_path / "me.jsonl"), "--db", other, fails=UsageError)[0]
    assert "can't be called" in arena("import", "-", "--voter", "all", "--db", other, stdin=data, fails=UsageError)[0]
    done = run("import", "-", "--voter", "me", "--db", other, input=data.decode())
    assert done.stdout == "2 rounds of me, as import 1.\n"
    assert json.loads(arena("board", "--json", "--db", other)[0])["votes"] == 2


def test_what_is_here_as_anothers_becomes_ones_own_only_when_it_is_said_twice(db, tmp_path):
    other, file = str(tmp_path / "other.db"), tmp_path / "anna.jsonl"
    file.write_text(arena("export", "--db", db)[0], "utf-8")
    arena("import", str(file), "--db", other)
    said, _ = arena("import", str(file), "--voter", "me", "--db", other, fails=UsageError)
    assert said == "'anna.jsonl' is here as the votes of anna. If they are yours, say --yes."
    assert arena("import", str(file), "--voter", "me", "--yes", "--db", other)[0] == "Nothing new: 2 here already.\n"


def test_a_tag_that_no_vote_has_is_answered_with_those_there_are(db):
    said, _ = arena("board", "--tag", "nope", "--db", db, fails=UsageError)
    assert said.startswith("No vote has the tag 'nope'.")


def test_a_file_with_bad_rows_is_refused_and_they_are_listed(db, tmp_path):
    file = tmp_path / "arena.jsonl"
    file.write_bytes(jsonl(battle(), battle(winner="\x1b[31mcat"), *[battle(None)] * 30))
    done = run("import", str(file), "--db", db)
    assert (done.returncode, done.stdout) == (1, "")
    lines = done.stderr.splitlines()
    assert lines[0] == "line 2: '␛[31mcat' is no winner: model_a, model_b, tie, both_bad"
    assert lines[1] == "line 3: model_a is missing"
    assert lines[20] == "and 11 more bad rows"
    assert lines[21] == f"arena: '{file}' has 31 bad rows; nothing was imported. --skip-bad imports the others."
    assert arena("import", str(file), "--skip-bad", "--db", db)[0] == "1 battle of arena, as import 1; 31 bad.\n"
    told, _ = arena("import", str(file), "--skip-bad", "--json", "--db", db)
    assert json.loads(told)["bad"][0]["line"] == 2


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "Name one file"),
        (["x.csv", "--list"], "Name one file"),
        (["--list", "--remove", "1"], "Name one file"),
        (["none.csv"], "can't be read: No such file"),
        (["."], "Whose votes"),
        ([".", "--voter", "x"], "can't be read"),
    ],
    ids=str,
)
def test_arguments_that_are_off(db, args, says):
    assert says in arena("import", *args, "--db", db, fails=UsageError)[0]


def test_there_is_no_import_of_that_number(db):
    assert "no import 7" in arena("import", "--remove", "7", "--db", db, fails=ArenaError)[0]


def test_on_a_terminal_a_bar_shows_how_far_it_is(db, tmp_path):
    file = tmp_path / "lots.jsonl"
    file.write_bytes(jsonl(*[battle(id=n) for n in range(12_000)]))
    main, worker = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "import", str(file), "--db", db], stdout=subprocess.PIPE, stderr=worker, text=True
    ) as done:
        out, _ = done.communicate(timeout=120)
    os.close(worker)
    said = os.read(main, 1 << 16).decode()
    os.close(main)
    assert out == "12,000 battles of lots, as import 1.\n"
    assert "Importing" in said
    assert "100%" in said
    assert "12,000 rows" in said
    assert run("import", str(file), "--db", db).stderr == "", "nothing moves where nobody looks"


def test_ctrl_c_stops_an_import_and_nothing_of_it_stays(db, tmp_path):
    fifo = tmp_path / "endless.jsonl"
    os.mkfifo(fifo)
    with subprocess.Popen(
        [sys.executable, "-c", HEED, "import", str(fifo), "--db", db],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as done:
        sent = 0
        with fifo.open("wb", buffering=0) as stream:
            batch = jsonl(*[battle(id=n) for n in range(1000)])
            deadline = time.monotonic() + 60
            while done.poll() is None and time.monotonic() < deadline:
                try:
                    stream.write(batch)
                except BrokenPipeError:
                    break
                sent += 1
                if sent == 20:  # more than a pipe holds: so it is reading
                    done.send_signal(signal.SIGINT)
        out, said = done.communicate(timeout=60)
    assert (done.returncode, out) == (1, "")
    assert said == "arena: Stopped; nothing was imported.\n"
    with SqliteLedger(Path(db)) as ledger:
        assert ledger.imports() == []


def test_help_says_what_both_do():
    assert "arena-rank" in arena("export", "--help")[0]
    assert "--skip-bad" in arena("import", "--help")[0]
