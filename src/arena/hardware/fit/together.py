"""Do the chosen models fit at the same time? All of them on one device; placing them apart is not tried."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from arena.core.machine import Fits, Machine
from arena.hardware.fit.estimate import Estimate, Need, Setting
from arena.hardware.fit.verdict import UNTRAINED_LIMIT, Device, longest, ram, roomiest_gpu


@dataclass(frozen=True, slots=True)
class Together:
    """Whether several models can be loaded at once."""

    verdict: Fits
    """FITS, NO, or UNKNOWN when nothing is known of one of them."""
    need_bytes: int | None
    """Of all of them together."""
    free_bytes: int | None
    max_context: int | None
    """The longest context that all of them can have at once, in tokens; 0 when there is none."""
    device: str = ""
    """`gpu 0`, `ram`."""


def together(
    wanted: Sequence[tuple[Estimate | None, Setting]],
    machine: Machine,
    multiprocessors: Mapping[str, int] | None = None,
) -> Together:
    """Hold the sum of all needs against the roomiest GPU, then against RAM. None stands for an unknown model.

    Each model is a process of its own and pays its overhead; doubts add up, since one card causes most of them.
    """
    known = [(estimate, setting) for estimate, setting in wanted if estimate is not None]
    if not known or len(known) < len(wanted):
        return Together(Fits.UNKNOWN, None, None, None)
    gpu, memory = roomiest_gpu(machine, multiprocessors), ram(machine)
    first = _held_against(gpu or memory, known)
    if first.verdict is Fits.FITS or gpu is None:
        return first
    second = _held_against(memory, known)
    return second if second.verdict is Fits.FITS else first


def _held_against(device: Device, known: Sequence[tuple[Estimate, Setting]]) -> Together:
    def needs(context: int | None = None) -> list[Need]:
        found = []
        for estimate, setting in known:
            asked = context or setting.context
            asked = min(asked, estimate.trained or asked)
            found.append(device.need(estimate, replace(setting, context=asked)))
        return found

    def fits(context: int | None) -> bool:
        return sum(need.sure_bytes for need in needs(context)) <= device.usable_bytes

    return Together(
        verdict=Fits.FITS if fits(None) else Fits.NO,
        need_bytes=sum(need.parts.total for need in needs()),
        free_bytes=device.free_bytes,
        max_context=longest(max(each.trained or UNTRAINED_LIMIT for each, _ in known), fits),
        device=device.name,
    )
