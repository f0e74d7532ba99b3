"""The watch: asks the hardware in a thread of its own, since a driver may hang."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from arena.core.gguf_shelf import HeaderShelf
from arena.core.machine import FitVerdict, Gpu, Machine
from arena.core.models import ModelInfo

if TYPE_CHECKING:
    from arena.hardware.fit.together import Together
    from arena.hardware.probe import MachineProbe


class Watch:
    """Readings of the machine, and what fits on it."""

    def __init__(self, context: int, probe: MachineProbe | None = None, headers: HeaderShelf | None = None) -> None:
        """`context` in tokens, for questions that name none; `probe` other than the usual one is for tests."""
        self._headers = headers
        self._context = context
        self._own_probe = probe
        self._thread = ThreadPoolExecutor(1, "watch")

    def machine(self) -> Future[Machine]:
        """The hardware as it stands now."""
        return self._thread.submit(lambda: self._probe().read())

    def fits(
        self,
        infos: Sequence[ModelInfo],
        machine: Machine | None = None,
        *,
        context: int | None = None,
        kv_type: str = "f16",
        slots: int = 1,
    ) -> Future[list[FitVerdict]]:
        """Whether each model fits, now or on the machine that is given. Raises UsageError on an unknown `kv_type`."""

        def judge() -> list[FitVerdict]:
            probe, tokens = self._probe(), context or self._context
            here = machine or probe.read()
            return [probe.fit(info, here, context=tokens, kv_type=kv_type, slots=slots) for info in infos]

        return self._thread.submit(judge)

    def together(
        self,
        infos: Sequence[ModelInfo],
        machine: Machine | None = None,
        *,
        context: int | None = None,
        kv_type: str = "f16",
        slots: int = 1,
    ) -> Future[Together]:
        """Whether these models fit at the same time."""

        def judge() -> Together:
            probe, tokens = self._probe(), context or self._context
            here = machine or probe.read()
            return probe.together(infos, here, context=tokens, kv_type=kv_type, slots=slots)

        return self._thread.submit(judge)

    @staticmethod
    def what_if(gpus: str) -> tuple[Gpu, ...]:
        """GPUs that are not here, such as `8GB,24GB`. Raises UsageError."""
        from arena.hardware.whatif import parse_gpus  # noqa: PLC0415

        return parse_gpus(gpus)

    def close(self) -> None:
        """Ask nothing any more; a driver that hangs is not waited for."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _probe(self) -> MachineProbe:
        if self._own_probe is None:
            from arena.hardware.probe import MachineProbe  # noqa: PLC0415 - psutil and NVML, in the watch's thread

            self._own_probe = MachineProbe(headers=self._headers)
        return self._own_probe
