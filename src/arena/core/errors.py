"""What goes wrong in words a person can act on: one sentence and one hint."""


class ArenaError(Exception):
    """A fault with a sentence that says what happened and a hint that says what to do."""

    def __init__(self, sentence: str, hint: str = "") -> None:
        """`sentence` ends with a full stop; `hint` may be empty when there is nothing to do."""
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        """The sentence, and the hint behind it."""
        return f"{self.sentence} {self.hint}".strip()


class UsageError(ArenaError):
    """The arguments are off: the command line exits with 2."""


class SeatError(ArenaError):
    """One seat of a round can't answer; the other seats go on."""


class SealedError(ArenaError):
    """Somebody asked for a contestant's name before the vote."""
