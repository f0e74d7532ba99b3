"""Tells thinking from the answer where a model writes both into one stream, between tags."""

from __future__ import annotations

from arena.core.events import Kind

_TAGS = (("<think>", "</think>"), ("<thinking>", "</thinking>"))


class ThoughtSplitter:
    """Splits a stream of text into (kind, text) pieces. Tags may be cut anywhere; they are not passed on.

    Only a tag at the very beginning of the answer opens thinking: a later one is the model's own text.
    """

    def __init__(self, *, inside: bool = False) -> None:
        """`inside`: the chat template has opened the thinking already."""
        self._held = ""
        self._closing = _TAGS[0][1] if inside else ""
        self._may_open = not inside
        self._at_edge = inside
        """Right behind a tag: the line breaks there belong to it."""

    def feed(self, text: str) -> list[tuple[Kind, str]]:
        """The pieces that are certain now; the beginning of a possible tag is held back."""
        self._held += text
        pieces: list[tuple[Kind, str]] = []
        if self._may_open and not self._try_open():
            return pieces
        self._trim()
        if self._closing:
            thought, tag, rest = self._held.partition(self._closing)
            if tag:
                self._closing, self._held, self._at_edge = "", rest, True
                self._add(pieces, "thought", thought)
                self._trim()
            else:
                keep = _tail_that_may_be(thought, self._closing)
                self._held = thought[len(thought) - keep :]
                self._add(pieces, "thought", thought[: len(thought) - keep])
                return pieces
        self._add(pieces, "answer", self._held)
        self._held = ""
        return pieces

    def finish(self) -> list[tuple[Kind, str]]:
        """What was held back, when the stream is over."""
        kind: Kind = "thought" if self._closing else "answer"
        pieces: list[tuple[Kind, str]] = []
        self._add(pieces, kind, self._held)
        self._held = ""
        return pieces

    def _try_open(self) -> bool:
        """Look for an opening tag; False while that can't be decided yet."""
        start = self._held.lstrip()
        for opening, closing in _TAGS:
            if start.startswith(opening):
                self._held, self._closing, self._may_open = start[len(opening) :], closing, False
                self._at_edge = True
                return True
        if any(opening.startswith(start) for opening, _ in _TAGS):
            return False
        self._may_open = False
        return True

    def _trim(self) -> None:
        """Take away line breaks right behind a tag, in whichever chunk they come."""
        if self._at_edge:
            self._held = self._held.lstrip("\n")
            self._at_edge = not self._held

    @staticmethod
    def _add(pieces: list[tuple[Kind, str]], kind: Kind, text: str) -> None:
        if text:
            pieces.append((kind, text))


def _tail_that_may_be(text: str, tag: str) -> int:
    """How many characters at the end of `text` could be the beginning of `tag`."""
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if tag.startswith(text[-size:])), 0)
