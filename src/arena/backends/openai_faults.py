"""Faults of a server in words: no other exception gets out, and no key gets in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
from httpx_sse import SSEError

from arena.backends import http
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, SeatError

_INSTEAD = "[key]"
_SHORTEST = 4
"""A shorter key hides nothing, and taking it out of a sentence would only spoil the sentence."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The key of a server, for as long as one request takes. It is in no text that this program makes."""

    _key: str = field(default="", repr=False)

    @classmethod
    def of(cls, endpoint: Endpoint) -> Secret:
        """What the environment variable of the endpoint holds now. Raises SeatError when it holds no key."""
        name = endpoint.api_key_env
        if not name:
            return cls()
        key = os.environ.get(name, "").strip()
        if not key:
            raise SeatError(
                f"The key of {endpoint.name} is missing: ${name} is empty.",
                f"Set it where arena is started: export {name}=...",
            )
        if not (key.isascii() and key.isprintable()):
            raise SeatError(
                f"${name} holds characters that no key of {endpoint.name} can have.", "Copy the key into it once again."
            )
        return cls(key)

    @property
    def headers(self) -> dict[str, str]:
        """What a request with this key carries."""
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def out_of(self, text: str) -> str:
        """The text without the key, also where JSON has spelled its characters in another way."""
        if len(self._key) < _SHORTEST:
            return text
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False)
        return text.replace(self._key, _INSTEAD)


@contextmanager
def in_words(
    endpoint: Endpoint, secret: Secret, begun: Callable[[], bool] = lambda: False, *, listing: bool = False
) -> Iterator[None]:
    """Turn everything that can go wrong inside into an ArenaError without the key.

    `begun`: whether a part of the answer has come already; `listing`: as `http.transport_fault` has it.
    """
    try:
        yield
    except ArenaError as fault:
        fault.sentence, fault.hint = secret.out_of(fault.sentence), secret.out_of(fault.hint)
        fault.args = (fault.sentence,)
        raise
    except httpx.StreamError as error:
        raise http.transport_fault(error, endpoint, streaming=True) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        raise http.transport_fault(error, endpoint, streaming=begun(), listing=listing) from error
    except SSEError as error:
        raise http.garbage_fault(endpoint, "an answer of another kind") from error
    except (ValueError, RecursionError, LookupError) as error:
        raise http.garbage_fault(endpoint, secret.out_of(str(error))) from error
