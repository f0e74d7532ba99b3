"""Which models fit at the same time: every way to place them on the GPUs is tried, then the RAM for all of them.

Each model is a process of its own, goes whole on one GPU, or is cut by layers where no GPU has room for it. On every
GPU the doubts of its models add up, since one driver causes most of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, permutations, product

from arena.core.fit import Together, TogetherVerdict
from arena.core.machine import Machine
from arena.hardware.fit.devices import UNTRAINED_LIMIT, Device, gpus_of, joined, longest, ram, roomiest
from arena.hardware.fit.estimate import Estimate, Need, Setting
from arena.hardware.fit.ollama_rule import Load, OllamaFacts, eviction
from arena.hardware.fit.split import Split, split

MOST_PLACEMENTS = 8**3
"""So many ways to place models whole are tried: three models on eight GPUs. Beyond that GPUs are left out."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One model with what is wanted of it."""

    estimate: Estimate
    setting: Setting
    held: int
    """Bytes that it holds already."""

    def at(self, context: int | None) -> Setting:
        """Its setting at a common context, as far as it was trained; None: its own."""
        wanted = context or self.setting.context
        return replace(self.setting, context=min(wanted, self.estimate.trained or wanted))

    def credit(self, device: Device) -> int:
        """What of its need there is met already, doubts included.

        What a server tells is without the driver's overhead; a model that holds all but that is loaded as asked.
        """
        asked = device.need(self.estimate, self.at(None))
        rest = asked.parts.total - asked.parts.overhead - 2 * asked.sigma_bytes
        return asked.sure_bytes if self.resident and rest <= self.held else self.held

    @property
    def resident(self) -> bool:
        """It holds something."""
        return self.held > 0


_Spot = tuple[str, Mapping[str, int]]
"""Where a model goes, and the bytes that it surely needs on each device, by its name."""


def together(
    wanted: Sequence[tuple[Estimate | None, Setting]],
    machine: Machine,
    multiprocessors: Mapping[str, int] | None = None,
    *,
    resident: Mapping[int, int] | None = None,
    ollama: Sequence[OllamaFacts | None] = (),
    max_loaded: int | None = None,
) -> Together:
    """Whether the models, in the order in which they will be loaded, fit at once. None stands for an unknown model.

    `multiprocessors`: how many each GPU has, by uuid. `resident`: bytes that a model holds already, by its index; they
    are missing from what is free. Which GPU they are on is not asked: a model that holds all it needs is free to
    place. `ollama`: by index, for models that Ollama runs; `max_loaded`: its OLLAMA_MAX_LOADED_MODELS, if known.
    """
    held = resident or {}
    known = [
        _Asked(estimate, setting, max(0, held.get(index, 0)))
        for index, (estimate, setting) in enumerate(wanted)
        if estimate is not None
    ]
    if not known or len(known) < len(wanted):
        return Together(TogetherVerdict.UNKNOWN, None, None, None)
    gpus = gpus_of(machine, multiprocessors)
    on_gpus, in_ram = _OnGpus(known, gpus), _InRam(known, ram(machine), alone=not gpus)
    tries: tuple[_Ground, ...] = (on_gpus, in_ram) if gpus else (in_ram,)
    for ground in tries:
        if (spots := ground.place(None)) is not None:
            found = ground.report(TogetherVerdict.FITS, spots, ground.longest(None))
            return _held_against_ollama(found, on_gpus, spots, ollama, max_loaded) if ground is on_gpus else found
    asked = max(each.setting.context for each in known)
    for ground in tries:
        if context := ground.longest(asked):
            found = ground.report(TogetherVerdict.CONTEXT, ground.place(context), context)
            return replace(found, fix=f"All of them fit with a context of {context}.")
    return tries[0].report(TogetherVerdict.NO, None, 0)


class _Ground:
    """Devices that are tried together."""

    def __init__(self, asked: Sequence[_Asked], devices: tuple[Device, ...]) -> None:
        self.asked, self.devices = asked, devices

    def place(self, context: int | None) -> list[_Spot] | None:
        """Where each goes with that context; None when there is no way."""
        raise NotImplementedError

    def credit(self, each: _Asked, device: Device) -> int:
        return each.credit(device) if each.resident else 0

    def whole(self, each: _Asked, context: int | None, device: Device) -> int:
        """What the model surely needs there beyond what it holds, in bytes."""
        need = device.need(each.estimate, each.at(context))
        return max(0, need.sure_bytes - self.credit(each, device))

    def longest(self, most: int | None) -> int:
        """The longest common context for which there is a place, in tokens, not above `most`."""
        limit = max(each.estimate.trained or UNTRAINED_LIMIT for each in self.asked)
        return longest(min(limit, most or limit), lambda context: self.place(context) is not None)

    def report(self, verdict: TogetherVerdict, spots: Sequence[_Spot] | None, max_context: int) -> Together:
        """`need_bytes` is what was asked for, whatever the context of the placement."""
        names = {name for _, taken in spots or () for name in taken}
        used = tuple(device for device in self.devices if device.name in names) or self.devices
        held_against = roomiest(used) or self.devices[0]
        need = 0
        for each in self.asked:
            total = held_against.need(each.estimate, each.at(None)).parts.total
            need += max(0, total - self.credit(each, held_against))
        free = sum(device.free_bytes for device in used)
        placement = tuple(name for name, _ in spots or ())
        return Together(verdict, need, free, max_context, placement, joined(used))


class _InRam(_Ground):
    """All of them in RAM."""

    def __init__(self, asked: Sequence[_Asked], memory: Device, *, alone: bool) -> None:
        super().__init__(asked, (memory,))
        self._alone = alone

    def credit(self, each: _Asked, device: Device) -> int:
        # next to a GPU it is the GPU's memory that a loaded model holds
        return super().credit(each, device) if self._alone else 0

    def place(self, context: int | None) -> list[_Spot] | None:
        memory = self.devices[0]
        needs = [self.whole(each, context, memory) for each in self.asked]
        fits = sum(needs) <= max(0, memory.usable_bytes)
        return [("ram", {"ram": need}) for need in needs] if fits else None


class _OnGpus(_Ground):
    """Every one of them on GPUs."""

    @cached_property
    def _tried(self) -> tuple[Device, ...]:
        """The roomiest GPUs, as many as can be tried in all ways, in their order."""
        count = len(self.devices)
        while count > 1 and count ** len(self.asked) > MOST_PLACEMENTS:
            count -= 1
        chosen = sorted(self.devices, key=lambda device: device.usable_bytes, reverse=True)[:count]
        return tuple(device for device in self.devices if device in chosen)

    def place(self, context: int | None) -> list[_Spot] | None:
        needs = [[self.whole(each, context, device) for device in self._tried] for each in self.asked]
        if sum(min(row) for row in needs) > sum(max(0, device.usable_bytes) for device in self.devices):
            return None
        best = self._all_whole(needs)
        return best if best is not None else self._some_split(needs, context)

    def _all_whole(self, needs: Sequence[Sequence[int]]) -> list[_Spot] | None:
        """Each on one GPU: the way that leaves most room on the fullest GPU that is used."""
        best, spare = None, -1.0
        for chosen in product(range(len(self._tried)), repeat=len(needs)):
            least = self._spare(needs, dict(enumerate(chosen)))
            if least > spare:
                best, spare = chosen, least
        return None if best is None else [self._spot(needs, index, gpu) for index, gpu in enumerate(best)]

    def _some_split(self, needs: Sequence[Sequence[int]], context: int | None) -> list[_Spot] | None:
        """As few as possible are cut over the GPUs, after the others took theirs."""
        able = [index for index, each in enumerate(self.asked) if min(needs[index]) > 0 or not each.resident]
        hopeless: set[tuple[int, tuple[tuple[int, int | None], ...]]] = set()
        for count in range(1, len(able) + 1):
            for cut in combinations(able, count):
                others = [index for index in range(len(needs)) if index not in cut]
                for chosen in product(range(len(self._tried)), repeat=len(others)):
                    whole = dict(zip(others, chosen, strict=True))
                    if self._spare(needs, whole) < 0:
                        continue
                    found = self._cut(cut, self._left(needs, whole), context, hopeless)
                    if found is not None:
                        spots = found | {index: self._spot(needs, index, gpu) for index, gpu in whole.items()}
                        return [spots[index] for index in range(len(needs))]
        return None

    def _cut(
        self,
        cut: Sequence[int],
        left: Sequence[int],
        context: int | None,
        hopeless: set[tuple[int, tuple[tuple[int, int | None], ...]]],
    ) -> dict[int, _Spot] | None:
        """Cut these models one after the other over what is left. `hopeless` remembers what can't be cut where."""
        room = {device.name: device.usable_bytes for device in self.devices}
        room |= {device.name: spare for device, spare in zip(self._tried, left, strict=True)}
        for order in permutations(cut):
            rooms, found = dict(room), dict[int, _Spot]()
            for index in order:
                # equal cards with equal room are the same question
                question = (index, tuple(sorted((rooms[d.name], d.multiprocessors or -1) for d in self.devices)))
                part = None if question in hopeless else self._split(index, rooms, context)
                if part is None:
                    hopeless.add(question)
                    break
                taken = {device.name: need.sure_bytes for device, need in zip(part.devices, part.needs, strict=True)}
                found[index] = (part.name, taken)
                rooms = {name: bytes_ - taken.get(name, 0) for name, bytes_ in rooms.items()}
            else:
                return found
        return None

    def _split(self, index: int, rooms: Mapping[str, int], context: int | None) -> Split | None:
        each = self.asked[index]
        # what it holds already lies nobody knows where, so nothing is taken off
        return split(each.estimate, each.at(context), [(device, rooms[device.name]) for device in self.devices])

    def _left(self, needs: Sequence[Sequence[int]], chosen: Mapping[int, int]) -> list[int]:
        left = [device.usable_bytes for device in self._tried]
        for index, gpu in chosen.items():
            left[gpu] -= needs[index][gpu]
        return left

    def _spare(self, needs: Sequence[Sequence[int]], chosen: Mapping[int, int]) -> float:
        """Bytes left on the fullest of the GPUs that are asked for anything: a model that is there already is not."""
        left = self._left(needs, chosen)
        return min((left[gpu] for index, gpu in chosen.items() if needs[index][gpu]), default=math.inf)

    def _spot(self, needs: Sequence[Sequence[int]], index: int, gpu: int) -> _Spot:
        name = self._tried[gpu].name
        return name, {name: needs[index][gpu]}

    def expected(self, index: int, spot: _Spot, context: int | None) -> tuple[int, ...]:
        """What the model most likely takes of each GPU, doubts left out, in bytes."""
        each = self.asked[index]
        taken = spot[1]
        need: Need = next(d for d in self.devices if d.name in taken).need(each.estimate, each.at(context))
        rest, total = max(0, need.parts.total - (each.held if each.resident else 0)), max(1, sum(taken.values()))
        return tuple(rest * taken.get(device.name, 0) // total for device in self.devices)

    def is_loaded(self, index: int) -> bool:
        """It holds all that it needs."""
        each = self.asked[index]
        return each.resident and any(self.whole(each, None, device) == 0 for device in self.devices)


def _held_against_ollama(
    found: Together,
    ground: _OnGpus,
    spots: Sequence[_Spot],
    ollama: Sequence[OllamaFacts | None],
    max_loaded: int | None,
) -> Together:
    """SWAPS instead of FITS where Ollama would not keep all of them, with what would help."""
    facts = [*ollama, *[None] * (len(ground.asked) - len(ollama))]
    free = [device.free_bytes for device in ground.devices]

    def loads(context: int | None, embedded: Sequence[int] = ()) -> list[Load]:
        return [
            Load(
                None if index in embedded else facts[index],
                each.at(context).context,
                ground.expected(index, spots[index], context),
                each.setting.slots,
                ground.is_loaded(index),
            )
            for index, each in enumerate(ground.asked)
        ]

    def stay(context: int | None, embedded: Sequence[int] = ()) -> bool:
        return eviction(loads(context, embedded), free, max_loaded=max_loaded) is None

    evicted = eviction(loads(None), free, max_loaded=max_loaded)
    if evicted is None:
        return found
    helps = []
    if not evicted.limit_bytes:
        helps.append(f"set OLLAMA_MAX_LOADED_MODELS to {sum(fact is not None for fact in facts)}")
    elif context := longest(max(each.setting.context for each in ground.asked), stay):
        helps.append(f"ask for a context of {context}")
    theirs = [index for index, fact in enumerate(facts) if fact is not None]
    if any(stay(None, (index,)) for index in theirs):
        helps.append("run one of them embedded")
    else:
        helps.append("run all but one of them embedded")
    fix = f"They fit, but Ollama would unload one to load the next: {', or '.join(helps)}."
    return replace(found, verdict=TogetherVerdict.SWAPS, fix=fix)
