"""A backend that says what it is told, when it is told: for tests, screenshots and scripted demonstrations."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass

from arena.core.endpoints import Endpoint
from arena.core.errors import MissingModelError, SeatError
from arena.core.events import Chunk, Piece, Usage
from arena.core.models import Contestant, ModelInfo, ModelRef
from arena.core.ports import Request


@dataclass(frozen=True, slots=True)
class Script:
    """What one model does, whatever it is asked."""

    chunks: Sequence[str | Chunk] = ("Hello.",)
    gap_s: float = 0.0
    """Time before each chunk."""
    load_ms: float = 0.0
    fails_after: int | None = None
    """Raise a SeatError after so many chunks."""
    failure: tuple[str, str] = ("The engine stopped.", "Run the round again.")
    finish: str = "stop"
    info: ModelInfo | None = None
    """What the list of models says of it."""


class ScriptedBackend:
    """The endpoint `scripted`; `scripts` maps model names to what they do."""

    def __init__(self, scripts: Mapping[str, Script], endpoint: str = "scripted") -> None:
        """Serve these models under one endpoint."""
        self.endpoints = (endpoint,)
        self.at: Endpoint | None = None
        self._scripts = dict(scripts)
        self.loaded: set[str] = set()

    async def models(self) -> Sequence[ModelInfo]:
        """One model a script."""
        return [await self.find(ModelRef(self.endpoints[0], name)) for name in self._scripts]

    async def find(self, ref: ModelRef) -> ModelInfo:
        """The model of that name. Raises MissingModelError."""
        if ref.name not in self._scripts:
            raise MissingModelError(f"There is no model {ref}.", f"There are: {', '.join(self._scripts)}.")
        return self._scripts[ref.name].info or ModelInfo(ref)

    async def prepare(self, contestant: Contestant) -> float:
        """'Load' the model: the first time takes the script's load time."""
        if contestant.ref.name in self.loaded:
            return 0.0
        self.loaded.add(contestant.ref.name)
        return self._scripts[contestant.ref.name].load_ms

    async def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """The chunks of the script, then Usage with one token a chunk."""
        script = self._scripts[request.contestant.ref.name]
        for index, piece in enumerate(script.chunks):
            if index == script.fails_after:
                raise SeatError(*script.failure)
            await asyncio.sleep(script.gap_s)
            yield piece if isinstance(piece, Chunk) else Chunk(piece)
        if script.fails_after is not None:
            raise SeatError(*script.failure)
        count = len(script.chunks)
        yield Usage(prompt_tokens=8, cached_tokens=0, out_tokens=count, finish=script.finish, source="server")

    def is_loaded(self, contestant: Contestant) -> bool:
        """Whether it was prepared."""
        return contestant.ref.name in self.loaded

    async def release(self, contestant: Contestant) -> None:
        """Forget that it is loaded."""
        self.loaded.discard(contestant.ref.name)

    async def close(self) -> None:
        """Forget all."""
        self.loaded.clear()
