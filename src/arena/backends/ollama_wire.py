"""The connection to one Ollama server: its client, its key, and a sentence for everything that goes wrong on it."""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from arena.backends import http
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, SeatError

if TYPE_CHECKING:
    import httpx
    from ollama import AsyncClient

_THINK_REFUSED = re.compile(r"does not support thinking|think value|invalid think", re.IGNORECASE)


class OllamaWire:
    """The client of one server, made when it is first needed, in the loop that runs then."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Nothing is read or opened yet."""
        self.endpoint = endpoint
        self._client: AsyncClient | None = None

    async def client(self) -> AsyncClient:
        """The client. Raises SeatError when its address is none, or its key is not there."""
        if self._client is None:
            # Half a second of pydantic, while the screen goes on.
            ollama = await asyncio.to_thread(importlib.import_module, "ollama")
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
        """The sentence for what the client raised. `streaming`: a part of the answer has come already."""
        if isinstance(error, ArenaError):
            return error
        if isinstance(error, TimeoutError):  # of asyncio: those of httpx are no TimeoutError
            why = f"{self.endpoint.name} did not answer at {self.endpoint.shown_url} within {http.LIST_S:g} s."
            return SeatError(why, "Look at its log; it may be busy with something else.")
        if (said := said_in_stream(error)) is not None:
            return self._said(said)
        if isinstance(error, ConnectionError) and isinstance(error.__context__, Exception):
            error = error.__context__  # the client hides what httpx said behind a sentence of its own
        if isinstance(error, ValueError | TypeError | AttributeError | RecursionError):
            return http.garbage_fault(self.endpoint, str(getattr(error, "doc", "") or error))
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
            if authorization:
                request.headers["authorization"] = authorization

        hooks = {"request": [sign], "response": [self._refuse]}
        try:
            authorization = _authorization(self.endpoint)
            return make(self.endpoint.url, event_hooks=hooks, **http.client_options(self.endpoint))
        except ValueError as error:  # such as a port that is no number
            why = f"The url of {self.endpoint.name} is no address of a server."
            raise SeatError(why, "Write it as http://HOST:PORT.") from error

    async def _refuse(self, response: httpx.Response) -> None:
        """Raise SeatError for all that is no success. The client itself would lose the headers and the page."""
        page = http.is_page(response)
        if response.is_success and not page:
            return
        await response.aread()
        status, body, model = response.status_code, response.text, _model_of(response.request)
        name, url = self.endpoint.name, self.endpoint.shown_url
        if page and (response.is_success or status in (404, 405)):
            raise http.page_fault(self.endpoint)
        if status == 404 and not model:
            raise SeatError(f"{url} has no API of Ollama (404).", "Correct the url; Ollama's own port is 11434.")
        if model and _THINK_REFUSED.search(body):
            said = http.message_of(body).rstrip(".")
            raise SeatError(f"{name} can't let {model} think so: {said}.", "Leave `thinking` of it at `default`.")
        raise http.status_fault(status, body, self.endpoint, model, response.headers)


def said_in_stream(error: Exception) -> str | None:
    """What an {"error": ...} frame said; None when that is not what was raised."""
    from ollama import ResponseError  # noqa: PLC0415 - half a second, which whoever has an error of it has waited

    return str(error.error) if isinstance(error, ResponseError) else None


def _model_of(request: httpx.Request) -> str:
    """The model that was asked for; empty where none was."""
    try:
        return str(json.loads(request.content)["model"])
    except (ValueError, KeyError, TypeError):
        return ""


def _authorization(endpoint: Endpoint) -> str:
    """The header that lets arena in: by key, or by the user and the password of the url. Empty: neither.

    Raises SeatError when the key is not where the config says.
    """
    variable, url = endpoint.api_key_env, urlsplit(endpoint.url)
    if variable:
        key = os.environ.get(variable, "").strip()
        if not key:
            why = f"The variable {variable}, which holds the key of {endpoint.name}, is not set."
            raise SeatError(why, "Set it, or take `api_key_env` out of the config.")
        if not (key.isascii() and key.isprintable()):
            why = f"What is in the variable {variable} can't be a key: it holds control or foreign characters."
            raise SeatError(why, "Set it again.")
        return f"Bearer {key}"
    if url.username is None:
        return ""
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
