"""The line-up: every model that can be reached, and which of them are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from arena.core.errors import ArenaError
from arena.core.machine import Fits
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.ports import Backend, Request
from arena.core.prompts import Prompt
from arena.core.rounds import LABELS
from arena.core.timing import Metrics
from arena.engine.play import hear
from arena.engine.room import Room
from arena.watch import Watch

_PATIENCE_S = 2.0
_MAY_BE_TOGETHER = frozenset({Fits.FITS, Fits.TIGHT, Fits.UNKNOWN})


class Lineup:
    """The backends, asked in the engine room."""

    def __init__(self, backends: Sequence[Backend], room: Room, watch: Watch, sampling: Sampling) -> None:
        """`sampling` makes contestants of models."""
        self.backends: Mapping[str, Backend] = {
            endpoint: backend for backend in backends for endpoint in backend.endpoints
        }
        self._all = tuple(backends)
        self._room = room
        self._watch = watch
        self._sampling = sampling
        self._warming: Future[None] | None = None

    def models(self) -> Future[list[ModelInfo]]:
        """Every model that can be reached."""
        return self._room.submit(self._models())

    def find(self, name: str) -> Future[ModelInfo]:
        """The model that `ENDPOINT/NAME` or a path names. The future raises ArenaError."""
        return self._room.submit(self._find(name))

    def opening(self, names: Sequence[str]) -> Future[list[ModelInfo]]:
        """Who plays at the start: the named models; without names the demo ones, or what else there is.

        The future raises ArenaError when there is nobody, or not the one who is named.
        """

        async def choose() -> list[ModelInfo]:
            if names:
                return [await self._find(name) for name in names]
            found = await self._models()
            usable = [info for info in found if not info.note]
            if not usable:
                reason = next((info.note for info in found), "There is none.")
                raise ArenaError(f"No model can play here. {reason}", "`arena doctor` says more.")
            return [info for info in usable if info.ref.endpoint == "demo"] or usable[: len(LABELS)]

        return self._room.submit(choose())

    def warm(self, infos: Sequence[ModelInfo]) -> Future[None]:
        """Load models ahead of the first round, if they fit at once; a round that begins calls it off.

        Faults wait for the round to tell them.
        """

        async def load() -> None:
            if not await self._fit_together(infos):
                return
            for info in infos[: len(LABELS)]:
                try:
                    await self.backends[info.ref.endpoint].prepare(Contestant.of(info, self._sampling))
                except ArenaError:
                    return

        self._warming = self._room.submit(load())
        return self._warming

    def stop_warming(self) -> None:
        """Loading beside an answer would slow it down."""
        if self._warming is not None:
            self._warming.cancel()

    async def make_room(self, infos: Sequence[ModelInfo]) -> bool:
        """Whether the models of a round can stay in memory together; in the engine room.

        If not, everything that is loaded goes first, and the round has to take them one at a time unless that helped.
        """
        loaded = [info for info in infos if self._is_loaded(info)]
        if await self._fit_together([info for info in infos if info not in loaded]):
            return True
        for backend in self._all:
            await backend.close()
        return await self._fit_together(infos)

    def try_model(self, info: ModelInfo, prompt: Prompt) -> Future[Metrics]:
        """Ask one model, outside of any round; nothing is stored. The future raises SeatError."""
        contestant = Contestant.of(info, self._sampling)
        request = Request(contestant, prompt, contestant.sampling(self._sampling))

        async def ask() -> Metrics:
            return (await hear(self.backends[info.ref.endpoint], request)).metrics

        return self._room.submit(ask())

    async def close(self) -> None:
        """Give everything back; in the engine room."""
        await asyncio.gather(*(backend.close() for backend in self._all), return_exceptions=True)

    async def _models(self) -> list[ModelInfo]:
        lists = await asyncio.gather(*(backend.models() for backend in self._all))
        return [info for found in lists for info in found]

    async def _find(self, name: str) -> ModelInfo:
        ref = ModelRef.parse(name)
        if ref.endpoint not in self.backends:
            known = ", ".join(sorted(self.backends))
            raise ArenaError(f"There is no endpoint '{ref.endpoint}'.", f"There are: {known}.")
        return await self.backends[ref.endpoint].find(ref)

    def _is_loaded(self, info: ModelInfo) -> bool:
        return self.backends[info.ref.endpoint].is_loaded(Contestant.of(info, self._sampling))

    async def _fit_together(self, infos: Sequence[ModelInfo]) -> bool:
        if not infos:
            return True
        try:
            found = await asyncio.wait_for(asyncio.wrap_future(self._watch.together(infos)), _PATIENCE_S)
        except TimeoutError:  # a driver that hangs must not keep anybody from playing
            return True
        return found.verdict in _MAY_BE_TOGETHER
