"""The watch: asks the hardware in a thread of its own, since a driver may hang."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

from arena.core.gguf_shelf import HeaderShelf
from arena.core.loads import Load, LoadFacts
from arena.core.machine import Fits, FitVerdict, Gpu, Machine
from arena.core.models import Contestant, ModelInfo
from arena.core.rounds import LABELS

if TYPE_CHECKING:
    from arena.core.advice import Advice, Use
    from arena.core.fit import Lever, Terms, Together
    from arena.core.ratings import Board
    from arena.hardware.probe import MachineProbe

_T = TypeVar("_T")


class _Whole(TypedDict):
    """`Terms` in which nothing is left out."""

    context: int
    kv_type: str
    slots: int


class Watch:
    """Readings of the machine, and what fits on it."""

    def __init__(
        self,
        context: int,
        probe: MachineProbe | None = None,
        headers: HeaderShelf | None = None,
        past: Callable[[], Sequence[Load]] = tuple,
    ) -> None:
        """`context` in tokens, for questions that name none; `probe` other than the usual one is for tests.

        `past` is asked once, in the watch's thread, before the first verdict: the loads to learn from, newest first.
        """
        self._past = past
        self._loads: list[Load] | None = None
        self._note = ""
        self._headers = headers
        self.context = context
        self._own_probe = probe
        self._thread = ThreadPoolExecutor(1, "watch")
        self._planner = ThreadPoolExecutor(1, "planner")
        self._planned: Future[None] | None = None
        self._latest: dict[str, Future[Any]] = {}
        """Of each question that only its newest answer matters to, the newest one."""
        self._closed = False

    def machine(self) -> Future[Machine]:
        """The hardware as it stands now."""

        def look() -> Machine:
            found = self._probe().read()
            return replace(found, notes=(*found.notes, self._note)) if self._note else found

        return self._thread.submit(look)

    def measure(self, info: ModelInfo, contestant: Contestant, facts: LoadFacts) -> Future[Load | None]:
        """What a model took that was loaded just now, beside what was predicted; None where nobody says.

        Later verdicts know it. Raises RuntimeError after `close`.
        """

        def look() -> Load | None:
            probe = self._taught()
            kv_type = contestant.kv_type or "f16"
            load = probe.measure(info, facts, context=contestant.context, kv_type=kv_type)
            if load is not None:
                self._loads = [load, *(self._loads or ())]
                probe.learn(self._loads)
            return load

        return self._thread.submit(look)

    def say(self, note: str) -> None:
        """A sentence that stands among the notes of the machine from now on, in place of the one before."""
        self._note = note

    def fits(
        self, infos: Sequence[ModelInfo], machine: Machine | None = None, **terms: Unpack[Terms]
    ) -> Future[list[FitVerdict]]:
        """Whether each model fits, now or on the machine that is given. Raises UsageError on an unknown `kv_type`."""

        def judge() -> list[FitVerdict]:
            probe, asked = self._taught(), self._whole(terms)
            here = machine or probe.read()
            return [probe.fit(info, here, **asked) for info in infos]

        return self._thread.submit(judge)

    def together(
        self, infos: Sequence[ModelInfo], machine: Machine | None = None, **terms: Unpack[Terms]
    ) -> Future[Together]:
        """Whether these models fit at the same time."""

        def judge() -> Together:
            probe, asked = self._taught(), self._whole(terms)
            return probe.together(infos, machine or probe.read(), **asked)

        return self._thread.submit(judge)

    def overview(
        self, infos: Sequence[ModelInfo], seats: int = len(LABELS)
    ) -> Future[tuple[Machine, list[FitVerdict], Together | None]]:
        """All that the hardware panel shows: the machine, each of the models, and all of them at once.

        The last is None for one model alone, and for more than the `seats` of a round: they never meet all. Cancels an
        older one that has not begun.
        """

        def look() -> tuple[Machine, list[FitVerdict], Together | None]:
            probe = self._taught()
            here = probe.read()
            fits = [probe.fit(info, here, context=self.context) for info in infos]
            # where it depends on the last MiB, llama.cpp itself is asked for the next time
            self._sharpen_later([info for info, fit in zip(infos, fits, strict=True) if fit.verdict is Fits.TIGHT])
            mine = [info for info in infos if info.local]
            company = 1 < len(mine) <= seats
            return here, fits, probe.together(mine, here, context=self.context) if company else None

        return self._newest("overview", look)

    def beside(
        self, infos: Sequence[ModelInfo], chosen: Sequence[ModelInfo], seats: int
    ) -> Future[list[Together | None]]:
        """For each model, whether it fits at once with the first of the chosen ones that it could sit with.

        None for a model that has no company, or whose memory is not this machine's. Cancels an older one that has not
        begun.
        """

        def judge() -> list[Together | None]:
            probe = self._taught()
            here = probe.read()
            found: list[Together | None] = []
            for info in infos:
                company = [other for other in chosen if other != info and other.local][: seats - 1]
                asked = [*company, info] if company and info.local else []
                found.append(probe.together(asked, here, context=self.context) if asked else None)
            return found

        return self._newest("beside", judge)

    def levers(
        self, infos: Sequence[ModelInfo], machine: Machine | None = None, **terms: Unpack[Terms]
    ) -> Future[list[tuple[Lever, ...]]]:
        """For each model what would make it fit, with the bytes of each lever; () for one that fits."""

        def judge() -> list[tuple[Lever, ...]]:
            probe, asked = self._taught(), self._whole(terms)
            here = machine or probe.read()
            return [probe.levers(info, here, **asked) for info in infos]

        return self._thread.submit(judge)

    def sharpen(self, infos: Sequence[ModelInfo]) -> Future[None]:
        """Have llama.cpp itself plan these models; later verdicts are exact where it can.

        In a thread of its own: the first plan takes about a second, and the readings go on meanwhile.
        """

        def plan() -> None:
            for info in infos:
                self._probe().estimates.sharpen(info)

        return self._planner.submit(plan)

    @staticmethod
    def catalogued(name: str) -> ModelInfo | None:
        """A well-known model that need not be here, by the name that `ollama pull` knows; None for an unknown one."""
        from arena.hardware.by_name import catalogued  # noqa: PLC0415 - the catalogue takes 50 ms to read

        return catalogued(name)

    def advise(
        self,
        infos: Sequence[ModelInfo],
        board: Board | None,
        use: Use | None = None,
        machine: Machine | None = None,
        *,
        context: int | None = None,
    ) -> Future[Advice]:
        """Which of these models to use, and which to fetch; `board`: None where nobody has voted.

        Without a use it is for all uses, and without a GPU for the CPU.
        """

        def judge() -> Advice:
            from arena.hardware.fit import advice  # noqa: PLC0415 - and the catalogue, which nobody else asks for
            from arena.hardware.fit.catalogue import catalogue  # noqa: PLC0415

            probe, tokens = self._taught(), context or max(advice.USUAL_CONTEXT, self.context)
            here = machine or probe.read()
            wanted = use or advice.usual_use(here)
            bench = advice.bench(here, wanted)
            installed = [(info, probe.fit(info, bench, context=tokens)) for info in infos]
            return advice.advise(here, installed, board, catalogue(), wanted, tokens)

        return self._thread.submit(judge)

    @staticmethod
    def what_if(gpus: str) -> tuple[Gpu, ...]:
        """GPUs that are not here, such as `8GB,24GB`. Raises UsageError."""
        from arena.hardware.whatif import parse_gpus  # noqa: PLC0415

        return parse_gpus(gpus)

    def close(self) -> None:
        """Ask nothing any more; a driver or a plan that hangs is not waited for."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._planner.shutdown(wait=False, cancel_futures=True)
        if self._own_probe is not None:
            self._own_probe.estimates.close()

    def _whole(self, terms: Terms) -> _Whole:
        """The terms with what they leave out."""
        context = terms.get("context") or self.context
        return {"context": context, "kv_type": terms.get("kv_type", "f16"), "slots": terms.get("slots", 1)}

    def _newest(self, question: str, answer: Callable[[], _T]) -> Future[_T]:
        """Submit it in place of the one before, unless that has begun: quick hands would queue up a backlog."""
        if question in self._latest:
            self._latest[question].cancel()
        found = self._thread.submit(answer)
        self._latest[question] = found
        return found

    def _sharpen_later(self, infos: Sequence[ModelInfo]) -> None:
        """`sharpen` where there is something to do, and not while the one before goes on."""
        if infos and (self._planned is None or self._planned.done()):
            with suppress(RuntimeError):  # closed meanwhile
                self._planned = self.sharpen(infos)

    def _probe(self) -> MachineProbe:
        if self._own_probe is None:
            from arena.hardware.fit.engine import offloads  # noqa: PLC0415
            from arena.hardware.probe import MachineProbe  # noqa: PLC0415 - psutil and NVML, in the watch's thread

            self._own_probe = MachineProbe(headers=self._headers, offloads=offloads)
            if self._closed:  # meanwhile, and `close` did not see it
                self._own_probe.estimates.close()
        return self._own_probe

    def _taught(self) -> MachineProbe:
        """The probe, once it knows the past loads."""
        probe = self._probe()
        if self._loads is None:
            self._loads = list(self._past())
            probe.learn(self._loads)
        return probe
