"""Which servers to ask: the configured ones, those that the environment names, and the usual loopback ports.

Nothing is asked here, and nothing scans a network: each address is either the user's own word or this machine.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from arena.core.endpoints import Endpoint, Wire
from arena.core.ports import Backend

_USUAL = (
    Endpoint("ollama", Wire.OLLAMA, "http://127.0.0.1:11434", wanted=False),
    Endpoint("lmstudio", Wire.OPENAI, "http://127.0.0.1:1234/v1", wanted=False),
    Endpoint("llama-server", Wire.OPENAI, "http://127.0.0.1:8080/v1", aliases=("localai",), wanted=False),
    Endpoint(
        "vllm",
        Wire.OPENAI,
        "http://127.0.0.1:8000/v1",
        aliases=("transformers", "llama-cpp-python"),
        wanted=False,
    ),
    Endpoint("gpt4all", Wire.OPENAI, "http://127.0.0.1:4891/v1", wanted=False),
    Endpoint("jan", Wire.OPENAI, "http://127.0.0.1:1337/v1", wanted=False),
    Endpoint("koboldcpp", Wire.OPENAI, "http://127.0.0.1:5001/v1", wanted=False),
)
_OLLAMA_PORT = 11434
_LONGEST_PORT = 5
"""Digits."""


def endpoints(
    configured: Iterable[Endpoint], environ: Mapping[str, str] = os.environ, *, usual: bool = True
) -> list[Endpoint]:
    """The endpoints to ask. A name or an address that stands further up wins: config, environment, usual ports.

    Configured ones are asked in any case: behind one host and port there may be several servers by their paths.

    The environment: OLLAMA_HOST, OPENAI_BASE_URL where it is on this machine (elsewhere it may cost money, and has to
    be configured), LLAMA_ARG_PORT for llama-server.
    """
    found = list(configured)
    for endpoint in (*_from_environment(environ), *(_usual(environ) if usual else ())):
        names = {name for other in found for name in (other.name, *other.aliases)}
        if endpoint.name in names or _address(endpoint) in {_address(other) for other in found}:
            continue
        found.append(replace(endpoint, aliases=tuple(name for name in endpoint.aliases if name not in names)))
    return found


def server_backends(found: Sequence[Endpoint]) -> list[Backend]:
    """A backend for each endpoint. Nothing is asked yet."""
    from arena.backends.ollama import OllamaBackend  # noqa: PLC0415 - half a second of httpx and pydantic
    from arena.backends.openai import OpenAIBackend  # noqa: PLC0415

    return [OllamaBackend(each) if each.wire is Wire.OLLAMA else OpenAIBackend(each) for each in found]


def ollama_url(host: str) -> str:
    """The address that OLLAMA_HOST means. Scheme and port may be missing; 0.0.0.0, where a server listens, is here.

    Raises ValueError when the port is none.
    """
    scheme, _, rest = host.strip().rpartition("://")
    scheme = scheme.lower()
    parts = urlsplit(f"{scheme or 'http'}://{_bracketed(rest)}")
    name = parts.hostname or "127.0.0.1"
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name, name)  # noqa: S104 - what a server listens on, not a client
    port = parts.port or {"": _OLLAMA_PORT, "http": 80, "https": 443}.get(scheme, _OLLAMA_PORT)
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme or 'http'}://{shown}:{port}{parts.path.rstrip('/')}"


def _bracketed(rest: str) -> str:
    """With the brackets that a bare IPv6 address lacks in an address with a port."""
    host, slash, path = rest.partition("/")
    try:
        return f"[{ipaddress.IPv6Address(host)}]{slash}{path}"
    except ValueError:
        return rest


def _from_environment(environ: Mapping[str, str]) -> Iterable[Endpoint]:
    if host := environ.get("OLLAMA_HOST", "").strip():
        try:
            yield Endpoint("ollama", Wire.OLLAMA, ollama_url(host))
        except ValueError:  # a port that is none: asking it says so in words
            yield Endpoint("ollama", Wire.OLLAMA, host if "://" in host else f"http://{host}")
    base = Endpoint("openai", Wire.OPENAI, environ.get("OPENAI_BASE_URL", "").strip(), api_key_env="OPENAI_API_KEY")
    if base.url and base.local:
        yield base if environ.get("OPENAI_API_KEY") else replace(base, api_key_env="")


def _usual(environ: Mapping[str, str]) -> Iterable[Endpoint]:
    text = environ.get("LLAMA_ARG_PORT", "").strip()
    port = int(text) if text.isascii() and text.isdecimal() and len(text) <= _LONGEST_PORT else 0
    for endpoint in _USUAL:
        if endpoint.name == "llama-server" and 0 < port < 1 << 16:  # else no server can listen there either
            yield replace(endpoint, url=f"http://127.0.0.1:{port}/v1")
        else:
            yield endpoint


def _address(endpoint: Endpoint) -> tuple[str, str]:
    """Host and port: localhost and 127.0.0.1 are one place, whatever the path."""
    try:
        parts = urlsplit(endpoint.url)
        host = "127.0.0.1" if endpoint.local else parts.hostname or ""
        return host, str(parts.port or (443 if parts.scheme == "https" else 80))
    except ValueError:
        return endpoint.url, ""
