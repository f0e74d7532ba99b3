"""One blind round over three kinds of backend, through the program as a user starts it, and what a dead server does."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import ollama_server
import openai_server
from arena.backends.ollama import OllamaBackend
from arena.backends.openai import OpenAIBackend
from arena.backends.scripted import Script, ScriptedBackend
from arena.config import load
from arena.core.endpoints import Endpoint, Wire
from arena.core.events import Delta
from arena.core.prompts import Prompt
from arena.core.rounds import Outcome, RoundState, Schedule
from arena.wiring import Arena

needs_engine = pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is missing")
TESTS = Path(__file__).parent
OLLAMA, SERVER = "ollama/llama3.2:3b", "local-server"


def config(folder, ollama_url, server_url):
    path = folder / "config.toml"
    path.write_text(
        f'[endpoints.ollama]\nkind = "ollama"\nurl = "{ollama_url}"\n[endpoints.{SERVER}]\nurl = "{server_url}"\n'
    )
    return path


def arena_command(folder, *arguments):
    command = [sys.executable, "-m", "arena", "--config", str(folder / "config.toml"), "--db", str(folder / "a.db")]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, check=False)


def first_model(server_url):
    backend = OpenAIBackend(Endpoint(SERVER, Wire.OPENAI, server_url))
    with_room = Arena(load(), [backend])
    try:
        return str(with_room.lineup.models().result()[0].ref)
    finally:
        with_room.close()


@needs_engine
@pytest.mark.engine
def test_one_round_over_three_kinds_of_backend(tmp_path):
    with ollama_server.contract_server() as ollama, openai_server.contract_server() as server:
        config(tmp_path, ollama.url, server.url)
        models = ["demo/large", OLLAMA, first_model(server.url)]
        named = [argument for model in models for argument in ("-m", model)]
        done = arena_command(tmp_path, "run", *named, "What is the capital of France?", "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert len(told["answers"]) == 3
        for answer in told["answers"]:
            assert answer["outcome"] in ("answered", "truncated"), answer
            for figure in ("ttft_ms", "e2e_ms", "prompt_tokens", "out_tokens", "decode_tps", "chars_per_s"):
                assert answer["metrics"][figure] is not None, (figure, answer)
        assert not any(model in done.stdout for model in models), "sealed until the vote"
        voted = arena_command(tmp_path, "vote", "--verdict", told["round"], "a>b>c", "--json")
        assert {answer["model"] for answer in json.loads(voted.stdout)["answers"]} == set(models)
        listed = arena_command(tmp_path, "models", "--json")
        assert set(models) <= {each["model"] for each in json.loads(listed.stdout)}


SERVING = {
    "ollama": 'import ollama_server as s; server = s.OllamaServer({"qwen3:8b": s.ServedModel(gap_s=0.05)})',
    "openai": 'import openai_server as s; server = s.OpenAIServer("llama-server", gap_s=0.05)',
}


@contextmanager
def mortal_server(kind):
    """A server in a process of its own, as (url, process)."""
    code = f"{SERVING[kind]}\nwith server:\n    print(server.url, flush=True)\n    input()"
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", list(SERVING))
def test_a_server_that_is_killed_in_the_middle_leaves_the_others_streaming(tmp_path, kind):
    words = [f"word{number} " for number in range(120)]
    steady = ScriptedBackend({"steady": Script(words, 0.02)})
    with mortal_server(kind) as (url, process):
        wire = Wire(kind)
        mortal = (OllamaBackend if wire is Wire.OLLAMA else OpenAIBackend)(Endpoint("mortal", wire, url))
        arena = Arena(replace(load(db=tmp_path / "a.db"), seats=2), [steady, mortal])
        try:
            infos = arena.lineup.models().result()[:2]
            view = arena.table.deal(Prompt("Tell me a story."), infos, schedule=Schedule.TOGETHER).result()
            heard, both = set(), threading.Event()

            def note(event):
                if isinstance(event, Delta) and event.kind == "answer":
                    heard.add(event.seat)
                    if len(heard) == 2:
                        both.set()

            playing = arena.table.play(view.id, note)
            assert both.wait(30)
            process.kill()
            played = playing.result(60)
            record = arena.reveal(view.id).result()
        finally:
            arena.close()
    answers = {seat.contestant.ref.endpoint: played.answers[seat.index] for seat in record.round.seats}
    assert answers["scripted"].outcome is Outcome.ANSWERED
    assert answers["scripted"].text == "".join(words)
    assert answers["mortal"].outcome is Outcome.FAILED
    assert "broke off in the middle of the answer" in answers["mortal"].error
    assert answers["mortal"].text.strip(), "what was said until then is kept"
    assert record.state is RoundState.VOID
    assert "failed" in record.flags
