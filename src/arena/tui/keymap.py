"""The keys as they are bound now: those of the code, and over them the table [keys] of the config."""

from __future__ import annotations

from collections.abc import Mapping

from textual.binding import Binding, BindingsMap, BindingType
from textual.keys import _character_to_key

_rebound: dict[str, tuple[str, ...]] = {}


def use(keys: Mapping[str, str]) -> None:
    """Bind by these from now on: the id of a binding, and the keys it is to have, with commas between."""
    _rebound.clear()
    _rebound.update({name: split(text) for name, text in keys.items()})


def split(text: str) -> tuple[str, ...]:
    """`1, ctrl+n` as Textual names keys. A character may stand for its name: `?` is question_mark."""
    parts = (part.strip() for part in text.split(","))
    return tuple(_character_to_key(part) if len(part) == 1 else part for part in parts if part)


def rebound(bindings: BindingsMap) -> BindingsMap:
    """The same bindings on the keys that they have now, in their order."""
    if not _rebound:
        return bindings
    moved: set[str] = set()
    found = BindingsMap()
    for key, binding in bindings:
        if binding.id is None or binding.id not in _rebound:
            found.key_to_bindings.setdefault(key, []).append(binding)
        elif binding.id not in moved:
            moved.add(binding.id)
            for new in _rebound[binding.id]:
                found.key_to_bindings.setdefault(new, []).append(binding.with_key(new))
    return found


def bound(bindings: list[BindingType]) -> list[Binding]:
    """All bindings of a screen or a widget, one for each key that it has now."""
    return [binding for _, binding in rebound(BindingsMap(bindings))]
