"""Faults of a server in words: no other exception gets out, and no key gets in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from arena.backends import http, httpx, httpx_sse
from arena.backends.secrets import Secret
from arena.core.endpoints import Endpoint
from arena.core.errors import ArenaError, SeatError


def _may_happen() -> tuple[type[Exception], ...]:
    """What a connection and an answer can raise."""
    mine = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx_sse.SSEError)
    return (*mine, OSError, ValueError, ArithmeticError, RecursionError, LookupError)


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
    except ExceptionGroup as group:  # what goes wrong while it connects comes wrapped
        raise _fault_of(_leaf_of(group), endpoint, secret, streaming=begun(), listing=listing) from group
    except _may_happen() as error:
        raise _fault_of(error, endpoint, secret, streaming=begun(), listing=listing) from error


def _fault_of(error: Exception, endpoint: Endpoint, secret: Secret, *, streaming: bool, listing: bool) -> ArenaError:
    if isinstance(error, ArenaError):
        return error
    if isinstance(error, httpx_sse.SSEError):
        return http.garbage_fault(endpoint, "an answer of another kind")
    if isinstance(error, UnicodeError):  # all texts are read leniently: it is the name of the host
        return http.transport_fault(httpx.InvalidURL("the host"), endpoint)
    if isinstance(error, ValueError | ArithmeticError | RecursionError | LookupError):
        return http.garbage_fault(endpoint, secret.out_of(str(error)))
    if isinstance(error, TimeoutError) and not listing:
        return SeatError(
            f"{endpoint.name} did not come to the end of its answer within {endpoint.silence_s:g} s.",
            "Look at its log; a server that is slow needs a longer `silence_s` in the config.",
        )
    if isinstance(error, TimeoutError):
        error = httpx.ReadTimeout("of the whole question")
    streaming = streaming or isinstance(error, httpx.StreamError)
    return http.transport_fault(error, endpoint, streaming=streaming, listing=listing)


def _leaf_of(group: ExceptionGroup[Exception]) -> Exception:
    """The first of the errors in it."""
    error: Exception = group
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
