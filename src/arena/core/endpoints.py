"""Endpoints: servers that models are reached through, and what was found there."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from arena.core.errors import ArenaError, NotThereError
from arena.core.models import ModelInfo
from arena.core.text import Say


class Wire(StrEnum):
    """What a server speaks."""

    OLLAMA = "ollama"
    OPENAI = "openai"
    """`/v1/chat/completions`: vLLM, llama-server, LM Studio, transformers serve, GPT4All, LocalAI, ..."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One server."""

    name: str
    """The first part of the names of its models."""
    wire: Wire
    url: str = field(repr=False)
    """Such as http://127.0.0.1:11434 or https://cluster:8000/v1. It may hold a password."""
    api_key_env: str = ""
    """The environment variable that holds its key. The key itself is stored nowhere."""
    silence_s: float = 120.0
    """A stream that says nothing for so long is given up. The total time of an answer has no limit."""
    aliases: tuple[str, ...] = ()
    """Other names of what may listen there: several servers share the same usual port."""
    wanted: bool = True
    """Whether the user named it. One that was only looked for on its usual port may be missing without a word."""

    @property
    def local(self) -> bool:
        """Whether it is on this machine, by its address."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def host(self) -> str:
        """The name or number of its machine; '' where its address can't be read."""
        try:
            return urlsplit(self.url).hostname or ""
        except ValueError:  # half an IPv6 address
            return ""

    @property
    def shown_url(self) -> str:
        """The address without a user or a password that it may hold."""
        return without_secrets(self.url) or "an address that can't be read"


def without_secrets(url: str) -> str:
    """The address without a user, a password or a query; '' for what is no address."""
    try:
        parts = urlsplit(url)
    except ValueError:  # half an IPv6 address
        return ""
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


@dataclass(frozen=True, slots=True)
class Reached:
    """What was found at an endpoint."""

    name: str
    infos: tuple[ModelInfo, ...]
    fault: ArenaError | None = None
    """Why there is nothing, with what to do about it."""
    at: Endpoint | None = None
    """None: the models of this program itself."""


def down(reached: Iterable[Reached], say: Say = str) -> list[str]:
    """A line for each endpoint that is down; usual ports at which there is none share one line."""
    faults = [(found, found.at, found.fault) for found in reached if found.at is not None and found.fault is not None]
    lines, absent = [], list[str]()
    for found, at, fault in faults:
        if at.wanted:
            lines.append(f"{found.name}: {fault}")
        elif isinstance(fault, NotThereError):
            absent += found.name, *at.aliases
        else:  # it runs: the user may want it, and may have to say its key
            how = say("To ask it, name it under [endpoints.{name}] in the config, with api_key_env if it wants a key.")
            lines.append(f"{found.name}: {fault.sentence} {how.format(name=found.name)}")
    if absent:
        lines.append(say("Not running on their usual ports: {names}.").format(names=", ".join(absent)))
    return lines


@dataclass(frozen=True, slots=True)
class PullProgress:
    """How far a model was fetched."""

    status: str
    """The server's own word for what it does."""
    completed_bytes: int = 0
    """Of all parts together."""
    total_bytes: int = 0
    """As far as it is known yet; 0: not known."""
