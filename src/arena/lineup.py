"""The line-up: every model that can be reached, and which of them are in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from arena.core.endpoints import PullProgress, Reached
from arena.core.errors import ArenaError, MissingModelError, UsageError
from arena.core.fit import TogetherVerdict
from arena.core.machine import Fits, Machine
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.ports import Backend, Engine, Puller, Request
from arena.core.prompts import Prompt
from arena.core.rounds import LABELS, Round
from arena.core.timing import Metrics
from arena.core.variants import split_variant
from arena.engine.room import Room
from arena.watch import Watch

if TYPE_CHECKING:
    from arena.core.bench import BenchPlan, BenchReport, BenchStep

T = TypeVar("T")
_PATIENCE_S = 2.0
_MAY_BE_TOGETHER = frozenset({TogetherVerdict.FITS, TogetherVerdict.UNKNOWN})
"""What Ollama would swap, it would load again in the middle of a round: those go one at a time."""
_PLAYABLE = frozenset({Fits.FITS, Fits.TIGHT, Fits.CPU, Fits.UNKNOWN})


_SHOP_HINT = 'Name one in the config: [endpoints.ollama], kind = "ollama", url = "http://127.0.0.1:11434".'
_PULL_HINT = "Name it as Ollama does, such as `arena pull qwen3:8b`."


class Lineup:
    """The backends, asked in the engine room."""

    def __init__(
        self, make_backends: Callable[[], Sequence[Backend]], room: Room, watch: Watch, sampling: Sampling
    ) -> None:
        """`make_backends` is called when the first model is asked for; `sampling` makes contestants of models."""
        self._make_backends = make_backends
        self._room = room
        self._watch = watch
        self.sampling = sampling
        self._warming: Future[None] | None = None

    @cached_property
    def _all(self) -> tuple[Backend, ...]:
        return tuple(self._make_backends())

    @cached_property
    def backends(self) -> Mapping[str, Backend]:
        """Every backend by the names of its endpoints."""
        return {endpoint: backend for backend in self._all for endpoint in backend.endpoints}

    def reach(self) -> Future[list[Reached]]:
        """What was found at every endpoint, those that are down included."""
        return self._room.submit(self._reach())

    def models(self) -> Future[list[ModelInfo]]:
        """Every model that can be reached."""
        return self._room.submit(self._models())

    def find(self, name: str) -> Future[ModelInfo]:
        """The model that `ENDPOINT/NAME` or a path names, with what `,KEY=VALUE` behind it makes different.

        The future raises ArenaError: UsageError for a name that is none, MissingModelError for a model that is not
        there.
        """
        return self._room.submit(self._find(name))

    def opening(self, names: Sequence[str]) -> Future[list[ModelInfo]]:
        """Who plays at the start: the named models; without names those of one's own that fit, else the demo ones.

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
            own = await self._that_fit(_without_twins([info for info in usable if info.ref.endpoint != "demo"]))
            return own if len(own) >= 2 else [info for info in usable if info.ref.endpoint == "demo"] or usable

        return self._room.submit(choose())

    async def find_seated(self, round_: Round) -> list[ModelInfo]:
        """The models of a round that was dealt earlier; in the engine room.

        Raises MissingModelError where one is gone or another one by now, else ArenaError; neither names a model.
        """
        found = []
        for seat in round_.seats:
            wanted = seat.contestant
            backend = self.backends.get(wanted.ref.endpoint)
            try:
                info = await backend.find(wanted.ref) if backend is not None else None
            except MissingModelError:
                info = None
            except ArenaError as fault:
                why = "An endpoint of a round that was dealt earlier can't be reached."
                raise ArenaError(why, "`arena doctor` says which; then `arena run --resume`.") from fault
            if info is None or (wanted.ref.digest and info.ref.digest != wanted.ref.digest):
                raise MissingModelError(
                    "A model of this round is gone, or is another one than when it was dealt.", "Deal another round."
                )
            found.append(replace(info, variant=wanted.variant))
        return found

    def devices(self, round_: Round, infos: Sequence[ModelInfo]) -> dict[int, str]:
        """What computes the answer of each seat, by its index: '' is this machine, else the host that does."""
        by_ref = {info.ref: info for info in infos}
        return {seat.index: self._device(by_ref.get(seat.contestant.ref), seat.contestant.ref) for seat in round_.seats}

    def _device(self, info: ModelInfo | None, ref: ModelRef) -> str:
        backend = self.backends.get(ref.endpoint)
        if backend is None or backend.at is None or (info is not None and info.local):
            return ""
        # What a server here hands on is computed elsewhere, nobody says where.
        return backend.at.host if not backend.at.local else f"behind {ref.endpoint}"

    async def able(self, infos: Sequence[ModelInfo], seats: int) -> Sequence[ModelInfo]:
        """Those that fit somehow, as far as that can be told; all of them where too few do. In the engine room."""
        if len(infos) <= seats:
            return infos
        try:
            fits = await _soon(self._watch.fits(infos))
        except TimeoutError:
            return infos
        able = [info for info, fit in zip(infos, fits, strict=True) if not info.local or fit.verdict is not Fits.NO]
        return able if len(able) >= seats else infos

    def warm(self, infos: Sequence[ModelInfo]) -> Future[None]:
        """Load models ahead of the first round, if they fit at once; a round that begins calls it off, or other models.

        Faults wait for the round to tell them.
        """

        async def load() -> None:
            # Of a larger choice it is not known yet who plays, and loading the wrong ones takes minutes.
            if len(infos) > len(LABELS) or not await self._fit_together(infos):
                return
            for info in infos:
                try:
                    await self.backends[info.ref.endpoint].prepare(Contestant.of(info, self.sampling))
                except ArenaError:
                    return

        self.stop_warming()
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
        contestant = Contestant.of(info, self.sampling)
        request = Request(contestant, prompt, contestant.sampling(self.sampling))

        async def ask() -> Metrics:
            from arena.engine.play import hear  # noqa: PLC0415 - what a bench needs, not the first frame

            return (await hear(self.backends[info.ref.endpoint], request)).metrics

        return self._room.submit(ask())

    def bench(
        self,
        infos: Sequence[ModelInfo],
        plan: BenchPlan,
        tell: Callable[[BenchStep], None] = lambda _: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Future[BenchReport]:
        """Measure the speed of models that all differ; nothing is stored. A model that fails takes only itself out.

        `tell` is called in the engine's thread and must not wait; `stop` is asked there between two requests. Models
        that do not fit at once are loaded one at a time.
        """
        from arena.engine.bench import Bench  # noqa: PLC0415 - only here

        async def look() -> Machine | None:
            try:
                return await _soon(self._watch.machine())
            except TimeoutError:
                return None

        async def measure() -> BenchReport:
            # A backend keeps no more models than can sit in a round.
            roomy = len(infos) <= len(LABELS) and await self.make_room(infos)
            bench = Bench(infos, plan, self.backends, self.sampling, look, tell, stop, one_at_a_time=not roomy)
            return await bench.run()

        self.stop_warming()
        return self._room.submit(measure())

    def pull(self, name: str, tell: Callable[[PullProgress], None]) -> Future[ModelInfo]:
        """Fetch a model: `ENDPOINT/NAME`, or a name for the first server that fetches. Cancel the future to stop.

        `tell` is called in the engine's thread and must not wait. What was fetched before a stop is not fetched again.
        The future raises ArenaError.
        """

        async def fetch() -> ModelInfo:
            endpoint, backend, model = self._puller_of(name)
            async with aclosing(backend.pull(model)) as steps:
                async for step in steps:
                    tell(step)
            return await self.backends[endpoint].find(ModelRef(endpoint, model))

        return self._room.submit(fetch())

    def engine(self) -> Future[str]:
        """What the embedded engine was built for, such as `CPU build`; '' where there is none."""

        async def ask() -> str:
            for backend in self._all:
                if isinstance(backend, Engine):
                    return str(await backend.build())
            return ""

        return self._room.submit(ask())

    async def close(self) -> None:
        """Give everything back; in the engine room."""
        if "_all" not in self.__dict__:
            return
        await asyncio.gather(*(backend.close() for backend in self._all), return_exceptions=True)

    async def _reach(self) -> list[Reached]:
        return list(await asyncio.gather(*(_look_at(backend) for backend in self._all)))

    async def _models(self) -> list[ModelInfo]:
        return [info for found in await self._reach() for info in found.infos]

    async def _find(self, text: str) -> ModelInfo:
        name, variant = split_variant(text)
        ref = ModelRef.parse(name)
        endpoint, _, rest = name.partition("/")
        there = await asyncio.to_thread(Path(name).exists)
        if rest and endpoint in self.backends and endpoint != "gguf" and not there:
            ref = ModelRef(endpoint, rest)  # a server may call its models as files are called
        if ref.endpoint not in self.backends:
            known = ", ".join(self.backends)
            raise ArenaError(
                f"There is no endpoint '{ref.endpoint}'.", f"There are: {known}. The config file can name more."
            )
        info = await self.backends[ref.endpoint].find(ref)
        if info.note:
            raise ArenaError(f"{info.ref} can't play. {info.note}", "`arena models` lists those that can.")
        return info.with_variant(variant)

    async def _that_fit(self, infos: list[ModelInfo]) -> list[ModelInfo]:
        """Those of the models that can be played without waiting for ever."""
        try:
            fits = await _soon(self._watch.fits(infos))
        except TimeoutError:
            return infos
        verdicts = {fit.verdict for fit in fits}
        # next to models that fit on the GPU those that would run on the CPU are no company
        wanted = _PLAYABLE - {Fits.CPU} if verdicts & {Fits.FITS, Fits.TIGHT} else _PLAYABLE
        return [info for info, fit in zip(infos, fits, strict=True) if fit.verdict in wanted]

    def _puller_of(self, text: str) -> tuple[str, Puller, str]:
        """The endpoint that fetches a model, its backend, and the model's name there. Raises UsageError."""
        pullers = {name: backend for name, backend in self.backends.items() if isinstance(backend, Puller)}
        endpoint, _, name = text.strip().partition("/")
        if endpoint in pullers and name:
            return endpoint, pullers[endpoint], name
        if endpoint in self.backends and name:
            can = ", ".join(pullers) or "none"
            raise UsageError(f"{endpoint} can't fetch models.", f"Endpoints that can: {can}.")
        if not text.strip() or not pullers:
            if not text.strip():
                raise UsageError("No model is named.", _PULL_HINT)
            raise UsageError("No server that fetches models is known.", _SHOP_HINT)
        first = next(iter(pullers))
        return first, pullers[first], text.strip()

    def _is_loaded(self, info: ModelInfo) -> bool:
        return self.backends[info.ref.endpoint].is_loaded(Contestant.of(info, self.sampling))

    async def _fit_together(self, infos: Sequence[ModelInfo]) -> bool:
        infos = [info for info in infos if info.local]
        if not infos:
            return True
        try:
            found = await _soon(self._watch.together(infos))
        except TimeoutError:
            return True
        return found.verdict in _MAY_BE_TOGETHER


async def _soon(promise: Future[T]) -> T:
    """What the watch says. Raises TimeoutError: a driver that hangs must keep nobody from playing.

    Not asyncio.wait_for, which until Python 3.12 loses a cancellation that comes with the answer: a round that was
    called off would be played to its end, and one that has no end for ever.
    """
    async with asyncio.timeout(_PATIENCE_S):
        return await asyncio.wrap_future(promise)


def _without_twins(infos: Sequence[ModelInfo]) -> list[ModelInfo]:
    """Without the files of models that Ollama serves itself."""
    served = {f"ollama:{info.ref.name}" for info in infos if info.ref.endpoint != "gguf"}
    return [info for info in infos if info.ref.endpoint != "gguf" or info.ref.name not in served]


async def _look_at(backend: Backend) -> Reached:
    """What there is at a backend; one that is down is no fault of the others."""
    try:
        return Reached(backend.endpoints[0], tuple(await backend.models()), at=backend.at)
    except ArenaError as fault:
        return Reached(backend.endpoints[0], (), fault, backend.at)
    except Exception as error:  # noqa: BLE001 - whatever one backend does, the list of all others has to come
        what = f"{backend.endpoints[0]} can't be asked for its models ({type(error).__name__})."
        return Reached(backend.endpoints[0], (), ArenaError(what, "Look at its url in the config."), backend.at)
