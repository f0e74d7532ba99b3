"""What lets arena in at a server, and how it is kept out of everything that arena says."""

from __future__ import annotations

import base64
import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from arena.core.endpoints import Endpoint
from arena.core.errors import SeatError

_INSTEAD = "[key]"
_SHORTEST = 4
"""A shorter key hides nothing, and taking it out of a sentence would only spoil the sentence."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The key of a server, or the password of its url. It is in no text that this program makes."""

    _authorization: str = field(default="", repr=False)
    _hidden: tuple[str, ...] = field(default=(), repr=False)
    """Every spelling of it that a server may say back."""

    @classmethod
    def of(cls, endpoint: Endpoint) -> Secret:
        """The key that the environment variable of the endpoint holds now, else what its url holds.

        Raises SeatError when that variable holds no key.
        """
        user, password, hidden = _pair_of(endpoint.url)
        name = endpoint.api_key_env
        if not name and user is None:
            return cls()
        if not name:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            return cls(f"Basic {token}", (token, *hidden))
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
        return cls(f"Bearer {key}", (key, *hidden))

    @property
    def headers(self) -> dict[str, str]:
        """What a request with this key carries."""
        return {"Authorization": self._authorization} if self._authorization else {}

    def out_of(self, text: str) -> str:
        """The text without the key, also where JSON has spelled its characters in another way."""
        hidden = sorted((each for each in self._hidden if len(each) >= _SHORTEST), key=len, reverse=True)
        if not hidden:
            return text
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), ensure_ascii=False)
        for each in hidden:
            text = text.replace(each, _INSTEAD)
        return text


def _pair_of(url: str) -> tuple[str | None, str, tuple[str, ...]]:
    """User and password of an address, and the password in both of its spellings; None: it names no user."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:  # half an IPv6 address: nothing is sent there
        return None, "", ()
    if parts.username is None:
        return None, "", ()
    password = parts.password or ""
    return unquote(parts.username), unquote(password), (password, unquote(password))
