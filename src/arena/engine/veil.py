"""The veil between a model and the screen of a blind round: the screen hears no name, the recorder hears the truth."""

from __future__ import annotations

from collections.abc import Callable

from arena.core.events import Chunk, Delta, Kind
from arena.core.naming import Masker, NamingWords


class Veil:
    """Tells the events of one seat with every name masked."""

    def __init__(self, emit: Callable[[Delta], None], seat: int, words: NamingWords | None) -> None:
        """`words` None: nothing is to be masked."""
        self._emit = emit
        self._seat = seat
        kinds: tuple[Kind, ...] = ("answer", "thought")
        self._maskers = {} if words is None else {kind: Masker(words) for kind in kinds}

    def tell(self, at_ns: int, chunk: Chunk) -> None:
        """A piece came. The event has its time in any case, and as much text as can be shown: perhaps none yet."""
        masker = self._maskers.get(chunk.kind)
        text = chunk.text if masker is None else masker.feed(chunk.text)
        self._emit(Delta(self._seat, at_ns, text, chunk.kind))

    def lift(self, at_ns: int) -> None:
        """Nothing more comes: tell what was held back, masked as well."""
        for kind, masker in self._maskers.items():
            if text := masker.end():
                self._emit(Delta(self._seat, at_ns, text, kind))
