"""Where a running arena connects to: the servers that are configured, and nowhere else. Nobody can connect to it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from faulty_server import FaultyServer
from pty_stage import Terminal

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, and needs a pty")


class Watched:
    """What a process and its children had open whenever one looked."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self.to: set[tuple[str, int]] = set()
        self.open_doors: set[str] = set()

    def look(self) -> None:
        try:
            processes = [self._process, *self._process.children(recursive=True)]
        except psutil.Error:
            return
        for process in processes:
            try:
                found = process.net_connections(kind="all")
            except psutil.Error:
                continue
            for each in found:
                if each.family == socket.AF_UNIX:
                    self.open_doors |= {each.laddr} if each.laddr else set()
                elif each.status == psutil.CONN_LISTEN or (each.type == socket.SOCK_DGRAM and not each.raddr):
                    self.open_doors.add(str(each.laddr))
                elif each.raddr:
                    self.to.add(tuple(each.raddr))


@pytest.fixture
def config(tmp_path: Path):
    """A config that names one server, and the server."""
    with FaultyServer(pause_s=0.5) as server:
        path = tmp_path / "config.toml"
        path.write_text(f'[endpoints.desk]\nkind = "openai"\nurl = "{server.url}"\n', "utf-8")
        port = int(server.url.rpartition(":")[2])
        yield ["--config", str(path), "--db", str(tmp_path / "arena.db")], ("127.0.0.1", port)


MODELS = ("-m", "desk/one", "-m", "desk/one,temperature=0")


def test_a_run_connects_to_the_configured_server_and_listens_nowhere(config):
    places, server = config
    command = [sys.executable, "-m", "arena", "run", "Hello?", *MODELS, *places]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ) as process:
        watched = Watched(process.pid)
        while process.poll() is None:
            watched.look()
            time.sleep(0.01)
        said = process.stdout.read().decode()
    assert "Once upon a time." in said, said
    assert watched.to == {server}
    assert watched.open_doors == set()


def test_a_round_on_the_screen_connects_to_the_configured_server_and_listens_nowhere(config):
    places, server = config
    with Terminal([sys.executable, "-m", "arena", *MODELS, *places]) as terminal:
        watched = Watched(terminal.process.pid)

        def shows(text: str) -> None:
            terminal.until(lambda: watched.look() or text in terminal.text, 60)

        shows("desk/one")
        terminal.send("Hello?\r")
        shows("come after the vote")
        terminal.send("a")
        shows("You said: a")
    assert watched.to == {server}
    assert watched.open_doors == set()


@pytest.mark.engine
def test_workers_speak_through_pipes_that_nobody_else_has(tmp_path):
    pytest.importorskip("llama_cpp")
    command = [sys.executable, "-m", "arena", "run", "Hello?", "-m", "demo/small", "-m", "demo/medium"]
    with subprocess.Popen([*command, "--db", str(tmp_path / "arena.db")], stdout=subprocess.DEVNULL) as process:
        watched, children = Watched(process.pid), set()
        while process.poll() is None:
            watched.look()
            children |= (
                {child.pid for child in psutil.Process(process.pid).children()} if process.poll() is None else set()
            )
            time.sleep(0.01)
    assert children
    assert process.returncode == 0
    assert (watched.to, watched.open_doors) == (set(), set())


def test_whatever_arena_writes_is_for_its_user_alone(tmp_path, config):
    places, _ = config
    umask = os.umask(0)
    try:
        command = [sys.executable, "-m", "arena"]
        home = tmp_path / "home"
        places = ["--db", str(home / "data" / "arena.db"), *places[:2]]
        subprocess.run([*command, "run", "Hello?", *MODELS, *places], check=True, capture_output=True)
        subprocess.run([*command, "backup", *places], check=True, capture_output=True)
        subprocess.run([*command, "export", "-o", str(home / "votes.csv"), *places], check=True, capture_output=True)
        subprocess.run(
            [*command, "board", "--html", str(home / "board.html"), *places], check=True, capture_output=True
        )
        files = [path for path in home.rglob("*") if path.is_file()]
        assert {"arena.db", "votes.csv", "board.html"} <= {path.name for path in files}
        assert [(path.name, oct(path.stat().st_mode)) for path in files if path.stat().st_mode & 0o077] == []
    finally:
        os.umask(umask)
