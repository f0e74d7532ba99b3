"""The command line as a script sees it: stdout is data, stderr is narration, exit codes mean something."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from arena.store.connection import Connection

ARENA = [sys.executable, "-m", "arena"]
needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")


def arena(*args: str, stdin: str | None = "", timeout: float = 120, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ARENA, *args],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **environ},
        check=False,
        encoding="utf-8",
    )


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A database with one judged and one waiting round of the embedded models, played through the program itself."""
    if importlib.util.find_spec("llama_cpp") is None:
        pytest.skip("llama-cpp-python is missing")
    db = str(tmp_path_factory.mktemp("played") / "arena.db")
    first = arena("run", "-m", "demo/large", "-m", "demo/small", "What is the capital of France?", "--json", "--db", db)
    assert first.returncode == 0, first.stderr
    second = arena("run", "-m", "demo/large", "-m", "demo/small", "What is 67 - 26?", "--db", db)
    assert second.returncode == 0, second.stderr
    return db, json.loads(first.stdout), second


@needs_engine
@pytest.mark.engine
def test_run_answers_with_real_inference_and_full_metrics(played):
    _, line, _ = played
    assert {answer["seat"] for answer in line["answers"]} == {"A", "B"}
    assert any("Paris" in answer["text"] for answer in line["answers"])
    for answer in line["answers"]:
        metrics = answer["metrics"]
        assert answer["outcome"] == "answered"
        assert metrics["out_tokens"] > 1
        assert metrics["decode_tps"] > 0
        assert metrics["chars_per_s"] > 0
        assert 0 < metrics["ttft_ms"] <= metrics["e2e_ms"]
        assert metrics["token_source"] == "server"  # noqa: S105
        assert metrics["speed_visible"], "who reads the JSON has seen the speed"
        assert "model" not in answer, "the round is blind"


@needs_engine
@pytest.mark.engine
def test_run_without_json_prints_answers_and_no_figures(played):
    _, _, done = played
    assert "demo/" not in done.stdout
    assert "tok" not in done.stdout
    assert "67 - 26" in done.stdout
    assert "arena vote" in done.stderr


@needs_engine
@pytest.mark.engine
def test_a_vote_opens_the_envelope_and_moves_the_board(played):
    db, line, _ = played
    voted = arena("vote", "--verdict", line["round"], "a", "--db", db)
    assert voted.returncode == 0, voted.stderr
    names = dict(row.split("\t") for row in voted.stdout.splitlines())
    assert set(names) == {"A", "B"}
    assert set(names.values()) == {"demo/large", "demo/small"}
    board = json.loads(arena("board", "--json", "--db", db).stdout)
    assert board["votes"] == 1
    winner = next(row for row in board["standings"] if row["model"] == names["A"])
    assert (winner["wins"], winner["losses"], winner["rank"]) == (1, 0, 1)
    assert winner["low"] < winner["score"] < winner["high"]
    assert winner["status"] == "too early"
    fields = {"model", "score", "low", "high", "rank", "rank_low", "rank_high", "status", "votes", "wins", "ties"}
    fields |= {"losses", "both_bad", "tok_s", "chars_s", "ttft_ms", "vram_bytes"}
    assert fields <= set(winner)
    assert {"a", "b", "votes", "p_a_beats_b", "votes_needed"} <= set(board["pairs"][0])
    locked = arena("vote", "--verdict", line["round"], "b", "--db", db)
    assert locked.returncode == 1
    assert "locked" in locked.stderr
    shown = json.loads(arena("show", line["round"][-6:], "--json", "--db", db).stdout)
    assert {answer["model"] for answer in shown["answers"]} == {"demo/large", "demo/small"}
    rows = list(csv.DictReader(io.StringIO(arena("board", "--csv", "--db", db).stdout)))
    assert [row["wins"] for row in rows] == ["1", "0"]
    assert arena("board", "--md", "--db", db).stdout.startswith("| rank | model |")
    history = arena("history", "--db", db).stdout
    assert "sealed" in history
    assert "demo/large" in history


@needs_engine
@pytest.mark.engine
def test_open_rounds_name_their_models_and_are_never_rated(tmp_path):
    db = str(tmp_path / "arena.db")
    done = arena("run", "-m", "demo/large", "-m", "demo/small", "Hello!", "--json", "--open", "--db", db)
    line = json.loads(done.stdout)
    assert line["state"] == "unblinded"
    assert {answer["model"] for answer in line["answers"]} == {"demo/large", "demo/small"}
    assert arena("vote", "--verdict", line["round"], "a", "--db", db).returncode == 0
    assert json.loads(arena("board", "--json", "--db", db).stdout)["votes"] == 0


@needs_engine
@pytest.mark.engine
def test_doctor_finds_all_well_here(tmp_path):
    done = arena("doctor", "--db", str(tmp_path / "arena.db"), PYTHONIOENCODING="utf-8", TERM="xterm")
    assert done.returncode == 0, done.stdout
    assert "embedded engine: demo/small answers" in done.stdout


@needs_engine
@pytest.mark.engine
def test_run_reads_stdin_and_packs(tmp_path):
    db = str(tmp_path / "arena.db")
    from_stdin = arena("run", "-", "--db", db, stdin="What is 2 + 3?")
    assert "> What is 2 + 3?" in from_stdin.stdout
    pack = arena("run", "--pack", "demo", "--rounds", "2", "--json", "--db", db)
    assert len(pack.stdout.splitlines()) == 2
    assert "Round 2 of 2" in pack.stderr


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["run"], 2, "There is no prompt"),
        (["run", "-m", "demo/large", "hi"], 2, "One model is no contest"),
        (["run", "-m", "demo/large", "-m", "nonsense", "hi"], 2, "no model name"),
        (["run", "-m", "demo/large", "-m", "demo/huge", "hi"], 1, "no model demo/huge"),
        (["run", "-m", "mars/x", "-m", "demo/large", "hi"], 1, "no endpoint 'mars'"),
        (["run", "-m", "demo/large", "-m", "./gone.gguf", "hi"], 1, "gone.gguf"),
        (["run", "hi", "--pack", "demo"], 2, "exclude each other"),
        (["run", "--pack", "dmeo"], 1, "demo"),
        (["run", "--file", "none.txt"], 2, "can't be read"),
        (["vote", "--verdict", "zzz", "a"], 1, "no round 'zzz'"),
        (["vote"], 1, "No round waits"),
        (["show", "zzz"], 1, "There is no database"),
        (["board"], 1, "There is no database"),
        (["-m", "demo/large", "run", "hi"], 2, "-m before a command"),
        (["explain", "speed"], 2, "no metric 'speed'"),
        (["fit", "--gpu", "big"], 2, "no size"),
        (["fit", "--kv", "q9_9"], 2, "q9_9"),
        (["nonsense"], 2, "arena: No such command"),
        (["--config", "none.toml", "models"], 2, "can't be read"),
        ([], 1, "needs a terminal"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_sentence_with_a_hint(tmp_path, args, code, says):
    done = arena(*args, ARENA_DB=str(tmp_path / "arena.db"))
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["bord"], "arena: No such command 'bord'. Did you mean 'board'?"),
        (["run", "-m"], "arena: Option '-m' requires an argument. `"),
        (["fit", "--ctx", "many"], " fit --help` says more."),
    ],
)
def test_words_that_are_off_are_one_line_too(args, says):
    done = arena(*args)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_models_prompts_explain_and_fit_print_tables():
    assert "demo/large" in arena("models").stdout
    assert "demo/large" in {row["model"] for row in json.loads(arena("models", "--json").stdout)}
    assert "korean" in arena("prompts").stdout
    assert arena("prompts", "korean/python-javascript").stdout == "Python과 JavaScript의 차이를 3줄로 설명해줘\n"
    assert "n tokens span n-1 gaps" in arena("explain", "decode_tps").stdout
    assert "demo/large" in arena("fit").stdout


def test_fit_json_has_the_fields_that_programs_read():
    found = json.loads(arena("fit", "demo/large", "demo/small", "--gpu", "8GB", "--together", "--json").stdout)
    assert found["machine"]["gpus"][0]["total_bytes"] == 8 << 30
    assert {"ram_free_bytes"} <= set(found["machine"])
    row = found["models"][0]
    fields = {"model", "verdict", "need_bytes", "free_bytes", "sigma_bytes", "parts", "method", "context"}
    assert fields | {"max_context", "gpu_layers"} <= set(row)
    assert set(row["parts"]) == {"weights", "kv", "recurrent", "compute", "overhead"}
    assert row["verdict"] == "fits"
    assert row["method"] in ("exact", "header")
    assert {"models", "verdict", "max_context", "placement"} <= set(found["together"])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_full_disk_behind_stdout_is_one_sentence():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*ARENA, "explain"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "can't be written" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_export_writes_over_nothing_by_accident(tmp_path):
    db, kept = str(tmp_path / "arena.db"), tmp_path / "board.html"
    kept.write_text("mine")
    Connection.open(Path(db)).close()
    refused = arena("export", "-o", str(kept), "--db", db)
    assert (refused.returncode, kept.read_text()) == (1, "mine")
    assert "--force" in refused.stderr
    assert arena("export", "-o", str(kept), "--force", "--db", db).returncode == 0
    assert kept.read_text() == ""


def test_a_reader_that_leaves_early_does_no_harm():
    with subprocess.Popen([*ARENA, "explain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as done:
        done.stdout.readline()
        done.stdout.close()
        said = done.stderr.read()
    assert "Traceback" not in said
    assert "BrokenPipe" not in said


def test_a_dumb_terminal_is_refused_with_a_hint():
    main, worker = pty.openpty()
    done = subprocess.run(
        ARENA, stdin=worker, stdout=worker, stderr=worker, env={**os.environ, "TERM": "dumb"}, timeout=60, check=False
    )
    os.close(worker)
    said = os.read(main, 4096).decode()
    os.close(main)
    assert done.returncode == 1
    assert "TERM=dumb" in said
    assert "\x1b" not in said


def test_the_screen_is_drawn_on_stdout_where_stderr_goes_into_a_file_and_the_terminal_is_given_back(tmp_path):
    main, worker = pty.openpty()
    before = termios.tcgetattr(worker)
    with (tmp_path / "err").open("wb") as err:
        program = subprocess.Popen(
            [*ARENA, "--db", str(tmp_path / "arena.db")],
            stdin=worker,
            stdout=worker,
            stderr=err,
            env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"},
        )
    try:
        drawn = read_until(main, b"them all the same thing")
        assert b"\x1b[?1049h" in drawn, "the alternate screen"
        os.write(main, b"\x03")
        assert b"\x1b[?1049l" in read_until(main, b"\x1b[?1049l")
        assert program.wait(20) == 0
        assert termios.tcgetattr(worker) == before
    finally:
        program.kill()
        program.wait()
        os.close(worker)
        os.close(main)
    assert (tmp_path / "err").read_bytes() == b""


def read_until(descriptor: int, what: bytes, seconds: float = 30.0) -> bytes:
    """What a pty prints until `what` is there."""
    found, deadline = b"", time.monotonic() + seconds
    while what not in found:
        assert time.monotonic() < deadline, found[-2000:]
        if select.select([descriptor], [], [], 0.1)[0]:
            found += os.read(descriptor, 65536)
    return found
