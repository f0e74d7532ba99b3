"""What a model was asked last: most servers still have that in a cache, and few say what they take from it.

A prompt that is put again, in a control or to go on with a conversation, is read in no time. Such a run says nothing of
the speed of a model, so it must be known where the server tells no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile


class LastAsked:
    """The beginning of the latest conversation with each model of a server, as a number: no text is kept."""

    def __init__(self) -> None:
        """Nothing was asked."""
        self._asked: dict[str, int] = {}

    def again(self, model: str, messages: Sequence[dict[str, str]]) -> bool:
        """Whether its latest conversation began with the same question; from now on this one is the latest."""
        before = [message["content"] for message in takewhile(lambda each: each["role"] != "assistant", messages)]
        latest, self._asked[model] = self._asked.get(model), hash(tuple(before))
        return latest == self._asked[model]

    def forget(self, model: str) -> None:
        """It was unloaded, or loaded anew."""
        self._asked.pop(model, None)

    def forget_all(self) -> None:
        """Nothing is loaded any more."""
        self._asked.clear()
