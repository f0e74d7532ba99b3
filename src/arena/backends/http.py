"""What all servers share: one kind of client, and a sentence with a hint for everything that can go wrong."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urlsplit

from arena.backends import httpx
from arena.core.endpoints import Endpoint, Wire, without_secrets
from arena.core.errors import NotThereError, PassingFaultError, SeatError
from arena.core.text import clean_line

T = TypeVar("T")
CONNECT_S = 2.0
LIST_S = 3.0
"""For questions whose answer is at hand: lists, versions."""
ATTEMPTS = 3
_OLLAMA_PORT = 11434
MOST_PATIENCE_S = 10.0
"""A server that asks for a longer pause than this is not waited for."""
_BUSY = frozenset({429, 502, 503, 504})
_NO_MEMORY = re.compile(
    r"out of memory|more (system )?memory|failed to allocate|cudaMalloc|unable to allocate|\bOOM\b", re.IGNORECASE
)
_TOO_LONG = re.compile(r"context (size|length|window)|too long", re.IGNORECASE)
_LONG_HINT = "Shorten the prompt or lower max_tokens, or start the server with a longer context."
_FIT_HINT = "Choose a smaller model or a shorter context, or unload another one; `arena fit` says what fits."


def client_options(endpoint: Endpoint) -> dict[str, Any]:
    """Options of an httpx client for this endpoint.

    Nothing is taken from the environment: a proxy in the way of a server at home would spoil every time stamp. A
    redirect is not followed: the key would go with it. The read time-out counts silence.

    Raises httpx.InvalidURL for a port that is none: to connect there raises what nobody expects.
    """
    try:
        parts = urlsplit(endpoint.url.strip())
        _ = parts.port
    except ValueError as error:
        raise httpx.InvalidURL(str(error)) from error
    return {
        "timeout": httpx.Timeout(endpoint.silence_s, connect=CONNECT_S),
        "follow_redirects": False,
        "trust_env": False,
        "verify": _trust(parts.scheme),
    }


async def knock(endpoint: Endpoint) -> None:
    """Whether anything listens there, without a client of any kind. Raises NotThereError when not.

    Most of the usual ports are closed most of the time, and the clients take most of a second to import.
    """
    parts = urlsplit(endpoint.url)
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except (OSError, TimeoutError, ValueError):
        raise NotThereError(f"Nothing listens at {endpoint.shown_url}.", start_hint(endpoint)) from None
    writer.close()


def _trust(scheme: str) -> ssl.SSLContext:
    """Whose certificates are accepted.

    For plain HTTP nobody's: to read all authorities takes a while, and what became TLS after all must fail, not go
    unchecked.
    """
    if scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ssl.create_default_context()  # heeds SSL_CERT_FILE, for certificates of one's own


async def retried(start: Callable[[], AsyncGenerator[T, None]], attempts: int = ATTEMPTS) -> AsyncGenerator[T, None]:
    """What `start()` streams. A PassingFaultError before its first piece leads to another try, a later one does not."""
    for left in reversed(range(attempts)):
        begun = False
        try:
            async with aclosing(start()) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
        except PassingFaultError as fault:
            if begun or not left or fault.after_s > MOST_PATIENCE_S:
                raise
            await asyncio.sleep(fault.after_s)
        else:
            return


def transport_fault(  # noqa: C901, PLR0911 - one a sentence
    error: Exception, endpoint: Endpoint, *, streaming: bool = False, listing: bool = False
) -> SeatError:
    """The sentence for a connection that failed.

    `streaming`: a part of the answer has come already; `listing`: it was a question that is given LIST_S only.
    """
    name, url = endpoint.name, endpoint.shown_url
    certificate = _in_chain(error, ssl.SSLCertVerificationError)
    if certificate is not None:
        why = clean_line(getattr(certificate, "verify_message", "") or str(certificate), 120).rstrip(".")
        return SeatError(
            f"The certificate of {url} is not accepted: {why}.",
            "Set SSL_CERT_FILE to the certificate of its authority, or correct the url.",
        )
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return SeatError(f"{name} did not answer at {url} within {CONNECT_S:g} s.", "Is that machine on, and in reach?")
    if isinstance(error, httpx.TimeoutException) and listing:
        return SeatError(f"{name} did not answer at {url} within {LIST_S:g} s.", "It may be busy; look at its log.")
    if isinstance(error, httpx.TimeoutException):
        return SeatError(
            f"{name} said nothing for {endpoint.silence_s:g} s.",
            "Look at its log; a model that loads slowly needs a longer `silence_s` in the config.",
        )
    if isinstance(error, httpx.ConnectError):
        if re.search(r"getaddrinfo|Name or service|resolution|nodename", str(error)):
            return SeatError(f"There is no host of that name: {url}.", "Correct the url, or look at the network.")
        if _in_chain(error, ssl.SSLError) is not None:
            return SeatError(f"{url} does not speak HTTPS.", "Write http:// in the url, or correct the port.")
        return NotThereError(f"Nothing listens at {url}.", start_hint(endpoint))
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return SeatError(f"{url} is no address of a server.", "Write it as http://HOST:PORT.")
    if isinstance(error, httpx.DecodingError):
        return SeatError(f"{name} sent a compressed answer that can't be unpacked.", "Look at its log, or update it.")
    if "location header" in str(error):
        return status_fault(302, "", endpoint)
    if streaming:
        return SeatError(
            f"The connection to {name} broke off in the middle of the answer.",
            "Its server may have crashed or run out of memory; look at its log.",
        )
    return PassingFaultError(
        f"{name} closed the connection without an answer.", "Look at its log; it may have crashed."
    )


def status_fault(  # noqa: PLR0911 - one a sentence
    status: int, body: str, endpoint: Endpoint, model: str = "", headers: httpx.Headers | None = None
) -> SeatError:
    """The sentence for an answer that is no success. `body`: what the server said, JSON or not."""
    headers = headers or httpx.Headers()
    name, said = endpoint.name, message_of(body)
    reason = f": {said.rstrip('.')}" if said else ""
    if 300 <= status < 400:
        to = clean_line(without_secrets(headers.get("location", "")), 100)
        return NotThereError(
            f"{name} sends elsewhere ({status}): {to or 'it does not say where'}.",
            "arena follows no redirects, as the key would go along. Set the url to that place if you trust it.",
        )
    if status in (401, 403):
        key = endpoint.api_key_env
        hint = (
            f"Look at the key in ${key}." if key else "Set `api_key_env` of the endpoint to the variable with its key."
        )
        return SeatError(f"{name} does not let arena in ({status}){reason}.", hint)
    if _NO_MEMORY.search(body):
        return SeatError(f"{name} has not enough memory for this model{reason}.", _FIT_HINT)
    if status == 404:
        hint = f"`arena models` lists what {name} has."
        if endpoint.wire is Wire.OLLAMA and model:
            hint = f"Fetch it with `arena pull {name}/{model}`."
        elif urlsplit(endpoint.url).path.strip("/") not in ("", "v1"):
            hint += " Its url may have to end in /v1."
        if not model or endpoint.wire is Wire.OLLAMA:
            hint = kind_hint(endpoint) or hint
        kind = SeatError if model else NotThereError
        return kind(f"{name} does not know {model or 'this address'} (404){reason}.", hint)
    if status in _BUSY:
        after = _seconds(headers.get("retry-after", ""))
        what = "has too many requests" if status == 429 else "is not ready"
        return PassingFaultError(f"{name} {what} ({status}){reason}.", "Try again in a moment.", after)
    if status < 500:
        hint = _LONG_HINT if _TOO_LONG.search(said) else "Look at its log; its version may be too old."
        return SeatError(f"{name} refuses this request ({status}){reason}.", hint)
    return SeatError(f"{name} failed ({status}){reason}.", "Look at its log.")


def page_fault(endpoint: Endpoint) -> SeatError:
    """The sentence for a web page where an answer of the API was expected."""
    hint = "Correct the url: the API often ends in /v1, or has another port."
    return NotThereError(f"{endpoint.shown_url} answers with a web page, not as an API.", kind_hint(endpoint) or hint)


def garbage_fault(endpoint: Endpoint, what: str) -> SeatError:
    """The sentence for something that can't be read where a piece of the answer was expected."""
    return SeatError(
        f"{endpoint.name} sent something that is no answer: {clean_line(what, 60) or 'nothing'}.",
        kind_hint(endpoint) or "Is the url that of its API? Its version may be too old or too new.",
    )


def kind_hint(endpoint: Endpoint) -> str:
    """What to do where name, port or path say that the server speaks the other wire; else empty."""
    try:
        parts = urlsplit(endpoint.url)
        port = parts.port
    except ValueError:
        return ""
    if endpoint.wire is Wire.OLLAMA:
        speaks_v1 = parts.path.rstrip("/").endswith("/v1")
        return 'For Ollama take /v1 off the url; for another server write kind = "openai".' if speaks_v1 else ""
    if "ollama" in endpoint.name.lower() or port == _OLLAMA_PORT:
        return 'If it is Ollama, write kind = "ollama" in the config, and the url without /v1.'
    return ""


def start_hint(endpoint: Endpoint) -> str:
    """What to do about a server that is not there."""
    if endpoint.wire is Wire.OLLAMA and endpoint.local:
        return "Start it with `ollama serve`, or correct OLLAMA_HOST."
    return "Start the server, or correct its url in the config."


def message_of(body: str, limit: int = 160) -> str:
    """What a server says went wrong, in one line of at most `limit` characters.

    It reads {"error": "..."}, {"error": {"message": "..."}}, {"detail": ...}, and plain text.
    """
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return "" if "<" in body[:100] else clean_line(body, limit)
    for key in ("error", "message", "detail", "msg"):
        while isinstance(found, list) and found:
            found = found[0]
        if isinstance(found, dict) and key in found:
            found = found[key]
    return clean_line(found if isinstance(found, str) else json.dumps(found), limit)


def is_page(response: httpx.Response) -> bool:
    """Whether the answer is a web page."""
    return "html" in str(response.headers.get("content-type", ""))


def _in_chain(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, kind):
            return error
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def _seconds(text: str) -> float:
    try:
        return max(0.1, float(text))
    except ValueError:
        return 1.0
