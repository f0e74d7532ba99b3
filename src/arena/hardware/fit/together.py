"""Which models fit at the same time: the ways to place them on the GPUs are tried, or the RAM for all of them.

Each model is a process of its own, goes whole on one GPU, or is cut by layers where no GPU has room for it. On every
GPU the doubts of its models add up, since one driver causes most of them. RAM counts where there is no GPU, or none
that would take any of them: whatever runs a model puts it on a GPU first.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, islice, permutations

from arena.core.fit import Together, TogetherVerdict
from arena.core.machine import Machine
from arena.hardware.fit.devices import UNTRAINED_LIMIT, Device, gpus_of, joined, longest, ram, roomiest
from arena.hardware.fit.estimate import Estimate, Need, Setting
from arena.hardware.fit.ollama_rule import Load, OllamaFacts, eviction
from arena.hardware.fit.split import Cuts, Split, split
from arena.hardware.fit.verdict import lands_in_ram

MOST_PLACEMENTS = 8**3
"""So many ways to place models whole are tried: three models on eight GPUs. Beyond that GPUs are left out."""
MOST_WAYS = 8
"""So many ways to place the others whole are tried for each choice of models to cut: the panel asks all the time."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One model with what is wanted of it."""

    estimate: Estimate
    setting: Setting
    held: int
    """Bytes that it holds already."""
    own: bool = False
    """Arena runs it itself, and unloads its own models for it."""

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
    own: Collection[int] = (),
) -> Together:
    """Whether the models, in the order in which they will be loaded, fit at once. None stands for an unknown model.

    `multiprocessors`: how many each GPU has, by uuid. `resident`: bytes that a model holds already, by its index; they
    are missing from what is free. Which GPU they are on is not asked: a model that holds all it needs is free to
    place. `ollama`: by index, for models that Ollama runs; `max_loaded`: its OLLAMA_MAX_LOADED_MODELS, if known.
    `own`: indexes of models that arena runs itself; what its own models hold of a GPU is free for those, and no others.
    """
    held = resident or {}
    known = [
        _Asked(estimate, setting, max(0, held.get(index, 0)), index in own)
        for index, (estimate, setting) in enumerate(wanted)
        if estimate is not None
    ]
    if not known or len(known) < len(wanted):
        return Together(TogetherVerdict.UNKNOWN, None, None, None)
    gpus = gpus_of(machine, multiprocessors)
    on_gpus, in_ram = _OnGpus(known, gpus), _InRam(known, ram(machine), alone=not gpus)
    if gpus and (spots := on_gpus.place(None)) is not None:
        found = on_gpus.report(TogetherVerdict.FITS, spots, on_gpus.longest(None))
        return _held_against_ollama(found, on_gpus, spots, ollama, max_loaded)
    tries: list[_Ground] = [on_gpus] if gpus else []
    shared = any(gpu.shares_ram for gpu in machine.gpus)
    if not gpus or (
        not shared and all(lands_in_ram(each.estimate, machine, each.setting, multiprocessors) for each in known)
    ):
        tries.append(in_ram)
        if (spots := in_ram.place(None)) is not None:
            return in_ram.report(TogetherVerdict.FITS, spots, in_ram.longest(None))
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
        self._needs: dict[tuple[int, int | None, bool, int | None], int] = {}

    def place(self, context: int | None) -> list[_Spot] | None:
        """Where each goes with that context; None when there is no way."""
        raise NotImplementedError

    def credit(self, each: _Asked, device: Device) -> int:
        return each.credit(device) if each.resident else 0

    def whole(self, each: _Asked, context: int | None, device: Device) -> int:
        """What the model surely needs there beyond what it holds, in bytes."""
        # most cards are alike, and a search asks for one context again and again
        key = (id(each), context, device.shared, device.multiprocessors)
        if key not in self._needs:
            need = device.need(each.estimate, each.at(context))
            self._needs[key] = max(0, need.sure_bytes - self.credit(each, device))
        return self._needs[key]

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
        own = any(each.own for each in self.asked)
        free = sum(device.free_bytes + own * device.own_bytes for device in used)
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


_Room = tuple[int, int]
"""Bytes of a GPU that any model may take, and those beyond them that only models of arena's own may."""
_Way = tuple[dict[int, int], float, list[_Room]]
"""On which GPU each model goes, the bytes left on the fullest of them, and what is left on each."""


def _less(room: _Room, need: int, *, own: bool) -> _Room:
    """What is left of that room; the first is negative where it does not suffice."""
    spent = min(room[1], need) if own else 0
    return room[0] - need + spent, room[1] - spent


class _OnGpus(_Ground):
    """Every one of them on GPUs."""

    def __init__(self, asked: Sequence[_Asked], devices: tuple[Device, ...]) -> None:
        super().__init__(asked, devices)
        self._cuts: dict[tuple[int, int | None], Cuts] = {}
        self._structure: tuple[dict[int, int], tuple[int, ...]] | None = None
        """How the last placement with cut models was built: who goes whole where, and who is cut in which order."""

    @cached_property
    def _tried(self) -> tuple[Device, ...]:
        """The roomiest GPUs, as many as can be tried in all ways, in their order."""
        count = len(self.devices)
        while count > 1 and count ** len(self.asked) > MOST_PLACEMENTS:
            count -= 1
        chosen = sorted(self.devices, key=lambda device: device.usable_bytes, reverse=True)[:count]
        return tuple(device for device in self.devices if device in chosen)

    @cached_property
    def _rooms(self) -> dict[str, _Room]:
        return {device.name: (device.usable_bytes, device.own_bytes) for device in self.devices}

    def place(self, context: int | None) -> list[_Spot] | None:
        needs = self._needs_at(context)
        if not self._may_do(needs):
            return None
        best = self._all_whole(needs)
        return best if best is not None else self._some_split(needs, context)

    def longest(self, most: int | None) -> int:
        """Placements with cut models are searched for a few contexts only, and the one for the longest is kept."""
        limit = max(each.estimate.trained or UNTRAINED_LIMIT for each in self.asked)
        limit = min(limit, most or limit)
        # that `most` itself does not fit is known
        for part in (2, 8, 32) if most else (1, 2, 4):
            if self.place(max(1, limit // part)) is not None:
                break

        def fits(context: int) -> bool:
            needs = self._needs_at(context)
            if not self._may_do(needs):
                return False
            everyone = range(len(needs))
            if next(self._ways(needs, everyone, [-1.0]), None) is not None:
                return True
            return self._structure is not None and self._rebuilt(needs, *self._structure, context, set()) is not None

        return longest(limit, fits)

    def _needs_at(self, context: int | None) -> list[list[int]]:
        return [[self.whole(each, context, device) for device in self._tried] for each in self.asked]

    def _may_do(self, needs: Sequence[Sequence[int]]) -> bool:
        """All together have as much room as all models need at least."""
        own = any(each.own for each in self.asked)
        room = sum(max(0, left + own * more) for left, more in self._rooms.values())
        return sum(min(row) for row in needs) <= room

    def _ways(self, needs: Sequence[Sequence[int]], models: Sequence[int], bound: list[float]) -> Iterator[_Way]:
        """Ways to place these models whole that leave more than the bound, which may be raised meanwhile."""
        # the largest first: what has no room is soon known
        order = sorted(models, key=lambda index: -min(needs[index]))

        def go(done: int, rooms: list[_Room], chosen: dict[int, int], least: float) -> Iterator[_Way]:
            if done == len(order):
                yield chosen, least, rooms
                return
            index, seen = order[done], set()
            for gpu, device in enumerate(self._tried):
                need = needs[index][gpu]
                left = _less(rooms[gpu], need, own=self.asked[index].own)
                # a model that is there already asks for nothing
                now = min(least, left[0]) if need else least
                alike = (rooms[gpu], need, device.multiprocessors, device.shared, device.gpu and device.gpu.vendor)
                if now > bound[0] and alike not in seen:
                    seen.add(alike)
                    after = [*rooms[:gpu], left, *rooms[gpu + 1 :]]
                    yield from go(done + 1, after, {**chosen, index: gpu}, now)

        return go(0, [self._rooms[device.name] for device in self._tried], {}, math.inf)

    def _all_whole(self, needs: Sequence[Sequence[int]]) -> list[_Spot] | None:
        """Each on one GPU: the way that leaves most room on the fullest GPU that is used."""
        best, bound = None, [-1.0]
        for chosen, least, _ in self._ways(needs, range(len(needs)), bound):
            if least > bound[0]:
                best, bound[0] = chosen, least
        return None if best is None else [self._spot(needs, index, best[index]) for index in range(len(needs))]

    def _some_split(self, needs: Sequence[Sequence[int]], context: int | None) -> list[_Spot] | None:
        """As few as possible are cut over the GPUs, after the others took theirs."""
        able = [index for index, each in enumerate(self.asked) if min(needs[index]) > 0 or not each.resident]
        hopeless: set[object] = set()
        for count in range(1, len(able) + 1):
            for cut in combinations(able, count):
                others = [index for index in range(len(needs)) if index not in cut]
                ways = sorted((chosen for chosen, _, _ in self._ways(needs, others, [-1.0])), key=self._rank)
                for whole in islice(ways, MOST_WAYS):
                    for order in permutations(cut):
                        found = self._rebuilt(needs, whole, order, context, hopeless)
                        if found is not None:
                            self._structure = whole, order
                            return found
        return None

    def _rank(self, whole: Mapping[int, int]) -> tuple[int, int, list[tuple[int, int]]]:
        """Others on few and small GPUs first. The same at every context: what fits a long one is found for a short."""
        used = set(whole.values())
        return len(used), sum(self._tried[gpu].usable_bytes for gpu in used), sorted(whole.items())

    def _rebuilt(
        self,
        needs: Sequence[Sequence[int]],
        whole: Mapping[int, int],
        order: Sequence[int],
        context: int | None,
        hopeless: set[object],
    ) -> list[_Spot] | None:
        """These whole where they are said to go, then the others cut one after the other over what is left."""
        rooms, spots = dict(self._rooms), {index: self._spot(needs, index, gpu) for index, gpu in whole.items()}
        for index, gpu in whole.items():
            name = self._tried[gpu].name
            rooms[name] = _less(rooms[name], needs[index][gpu], own=self.asked[index].own)
            if needs[index][gpu] and rooms[name][0] < 0:
                return None
        for index in order:
            # equal cards with equal room are the same question
            question = (index, tuple(sorted((rooms[d.name], d.multiprocessors or -1) for d in self.devices)))
            part = None if question in hopeless else self._split(index, rooms, context)
            if part is None:
                hopeless.add(question)
                return None
            taken = {device.name: need.sure_bytes for device, need in zip(part.devices, part.needs, strict=True)}
            spots[index] = (part.name, taken)
            for name, need in taken.items():
                rooms[name] = _less(rooms[name], need, own=self.asked[index].own)
        return [spots[index] for index in range(len(needs))]

    def _split(self, index: int, rooms: Mapping[str, _Room], context: int | None) -> Split | None:
        each, key = self.asked[index], (index, context)
        setting = each.at(context)
        if key not in self._cuts:
            self._cuts[key] = Cuts(each.estimate, setting)
        able = [(device, rooms[device.name][0] + each.own * rooms[device.name][1]) for device in self.devices]
        # what it holds already lies nobody knows where, so nothing is taken off
        return split(each.estimate, setting, able, cuts=self._cuts[key])

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
