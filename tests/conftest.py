"""Every test gets a home of its own and a network that ends at this machine."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """How long the test of sudden ends goes on."""
    parser.addoption("--kills", type=int, default=60, help="so many processes are killed at random moments")


_PLACES = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")

_SETTINGS = (
    *(
        "ARENA_DB",
        "ARENA_CONFIG",
        "ARENA_PACE",
        "ARENA_SCHEDULE",
        "ARENA_SEATS",
        "ARENA_THEME",
        "ARENA_ASCII",
        "NO_COLOR",
    ),
    *("ARENA_SLOW_LINK", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS", "TEXTUAL_ANIMATIONS", "TMUX", "STY"),
    *("OLLAMA_HOST", "OLLAMA_MODELS", "OLLAMA_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY", "LLAMA_ARG_PORT"),
    *("LLAMA_CACHE", "HF_HOME", "HF_HUB_CACHE"),
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the user's files or settings."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for name in _PLACES:
        monkeypatch.setenv(name, str(home / name.lower()))
    for name in _SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARENA_DISCOVER", "false")  # whoever runs the tests may have servers of their own
    return home


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing connects beyond this machine."""
    connect = socket.socket.connect

    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and not ipaddress.ip_address(address[0]).is_loopback:
            pytest.fail(f"a connection to {address}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
