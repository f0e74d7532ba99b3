"""The connection to one Ollama server: its client, its key, and a sentence for everything that goes wrong on it."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import TYPE_CHECKING

from arena.backends import http, httpx
from arena.backends.bounds import UNPACKED, bounded
from arena.backends.secrets import Secret
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, NotThereError, SeatError
from arena.core.text import clean_line

if TYPE_CHECKING:
    from ollama import AsyncClient

_ONE_IMPORT = threading.Lock()
_SPOILERS = re.compile(r"OLLAMA_HOST|SSL_CERT_FILE|SSL_CERT_DIR|\w+_proxy", re.IGNORECASE)
"""Variables that a client which is made without options reads: at a bad value it can't be made."""
_PULL_HINTS = (
    ("no space left", "Make room on its disk, then fetch it again: it goes on where it broke off."),
    ("dial tcp|lookup|no such host|timeout", "Is that machine online?"),
    ("newer version", "Update Ollama: https://ollama.com/download."),
    ("not GGUF|not compatible", "Choose a repository with GGUF files."),
)
_THINK_REFUSED = re.compile(r"does not support thinking|think value|invalid think", re.IGNORECASE)


class OllamaWire:
    """The client of one server, made when it is first needed, in the loop that runs then."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Nothing is read or opened yet."""
        self.endpoint = endpoint
        self._client: AsyncClient | None = None
        self._secret = Secret()
        """What the client shows; still known after that is closed, for the faults that come late."""

    async def client(self) -> AsyncClient:
        """The client. Raises SeatError when its address is none, or its key is not there."""
        if self._client is None:
            # Half a second of pydantic, while the screen goes on.
            ollama = await asyncio.to_thread(_package)
            if self._client is None:  # nobody was faster meanwhile
                self._client = self._connected(ollama.AsyncClient)
        return self._client

    async def close(self) -> None:
        """Close the connections. The next `client()` makes new ones."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(Exception):
                await client.close()  # type: ignore[no-untyped-call] # of the ollama package

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Whatever is raised inside becomes an ArenaError, as `fault` tells it."""
        try:
            yield
        except Exception as error:
            raise self.fault(error) from error

    def fault(self, error: Exception, *, streaming: bool = False) -> ArenaError:
        """The sentence for what the client raised, without the key. `streaming`: a part of the answer has come."""
        fault = self._fault(error, streaming=streaming)
        fault.sentence, fault.hint = self._secret.out_of(fault.sentence), self._secret.out_of(fault.hint)
        fault.args = (fault.sentence,)
        return fault

    def pull_fault(self, error: Exception, name: str, *, begun: bool) -> ArenaError:
        """The sentence for a model that could not be fetched. `begun`: something was heard of it."""
        said = self._said_in_stream(error)
        if said is None:
            fault = self.fault(error, streaming=begun)
            return ArenaError(fault.sentence, "Fetch it again: it goes on where it broke off.") if begun else fault
        if "file does not exist" in said:
            return ArenaError(f"There is no model {name} in Ollama's library.", "https://ollama.com/search lists them.")
        hint = next((hint for pattern, hint in _PULL_HINTS if re.search(pattern, said)), "Look at its log.")
        why = f"{self.endpoint.name} could not fetch {name}: {clean_line(said, 160).rstrip('.')}."
        return ArenaError(why, hint)

    def _said_in_stream(self, error: Exception) -> str | None:
        """What an {"error": ...} frame said, without the key; None when that is not what was raised."""
        kind = getattr(sys.modules.get("ollama"), "ResponseError", None)  # what was never loaded has raised nothing
        if kind is None or not isinstance(error, kind):
            return None
        return self._secret.out_of(str(getattr(error, "error", error)))

    def _fault(self, error: Exception, *, streaming: bool) -> ArenaError:
        if isinstance(error, ArenaError):
            return error
        if isinstance(error, TimeoutError):  # of asyncio: those of httpx are no TimeoutError
            why = f"{self.endpoint.name} did not answer at {self.endpoint.shown_url} within {http.LIST_S:g} s."
            return SeatError(why, "Look at its log; it may be busy with something else.")
        if (said := self._said_in_stream(error)) is not None:
            return self._said(said)
        if isinstance(error, ConnectionError) and isinstance(error.__context__, Exception):
            error = error.__context__  # the client hides what httpx said behind a sentence of its own
        if isinstance(error, json.JSONDecodeError):
            # Before it is cut: half a key is not found any more.
            return http.garbage_fault(self.endpoint, self._secret.out_of(error.doc))
        if isinstance(error, ValueError | TypeError | AttributeError | RecursionError):
            return http.garbage_fault(self.endpoint, "something of another form")  # pydantic would tell a part of it
        return http.transport_fault(error, self.endpoint, streaming=streaming)

    def _said(self, said: str) -> SeatError:
        """The sentence for an error that came in the middle of a stream, where no status can tell it any more."""
        name, body = self.endpoint.name, json.dumps({"error": said})
        fault = http.status_fault(500, body, self.endpoint)
        if "(500)" not in fault.sentence:  # one that has its own sentence, such as that of too little memory
            return fault
        return SeatError(f"{name} broke the answer off: {http.message_of(body).rstrip('.')}.", fault.hint)

    def _connected(self, make: Callable[..., AsyncClient]) -> AsyncClient:
        async def sign(request: httpx.Request) -> None:
            # The client takes $OLLAMA_API_KEY by itself, for whatever host.
            request.headers.pop("authorization", None)
            request.headers.update(secret.headers)

        bound = bounded(self.endpoint, line_s=self.endpoint.silence_s)
        hooks = {"request": [sign], "response": [bound, self._refuse]}
        secret = self._secret = Secret.of(self.endpoint)
        try:
            return make(self.endpoint.url, event_hooks=hooks, headers=UNPACKED, **http.client_options(self.endpoint))
        except (ValueError, httpx.InvalidURL) as error:  # such as a port that is no number
            why = f"The url of {self.endpoint.name} is no address of a server."
            raise SeatError(why, "Write it as http://HOST:PORT.") from error

    async def _refuse(self, response: httpx.Response) -> None:
        """Raise SeatError for all that is no success. The client itself would lose the headers and the page."""
        page = http.is_page(response)
        if response.is_success and not page:
            return
        await response.aread()
        status, body, model = response.status_code, self._secret.out_of(response.text), _model_of(response.request)
        name, url = self.endpoint.name, self.endpoint.shown_url
        if page and (response.is_success or status in (404, 405)):
            raise http.page_fault(self.endpoint)
        if status == 404 and not model:
            hint = http.kind_hint(self.endpoint) or "Correct the url; Ollama's own port is 11434."
            raise NotThereError(f"{url} has no API of Ollama (404).", hint)
        if model and _THINK_REFUSED.search(body):
            said = http.message_of(body).rstrip(".")
            raise SeatError(f"{name} can't let {model} think so: {said}.", "Leave `thinking` of it at `default`.")
        raise http.status_fault(status, body, self.endpoint, model, response.headers)


def _package() -> ModuleType:
    """The ollama package. To import it makes a client of whatever the environment says, and fails when that is wrong.

    Arena says itself where to go. What is set stays set: who reads the environment meanwhile finds it empty, not gone.
    """
    with _ONE_IMPORT:
        if "ollama" in sys.modules:  # whole: nobody else imports it
            return sys.modules["ollama"]
        hidden = {name: value for name, value in os.environ.items() if _SPOILERS.fullmatch(name)}
        try:
            os.environ.update(dict.fromkeys(hidden, ""))
            return importlib.import_module("ollama")
        finally:
            os.environ.update(hidden)


def _model_of(request: httpx.Request) -> str:
    """The model that was asked for; empty where none was."""
    try:
        return str(json.loads(request.content)["model"])
    except (ValueError, KeyError, TypeError):
        return ""
