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


class NotThereError(SeatError):
    """Nothing that arena can ask is at that address: nobody listens, or somebody else does."""


class SealedError(ArenaError):
    """Somebody asked for a contestant's name before the vote."""


class PassingFaultError(SeatError):
    """A fault that may be over in a moment, such as a busy server: worth another try if nothing was streamed yet."""

    def __init__(self, sentence: str, hint: str = "", after_s: float = 1.0) -> None:
        """`after_s`: when to try again."""
        super().__init__(sentence, hint)
        self.after_s = after_s


class MissingModelError(ArenaError):
    """There is no model of that name at that endpoint."""

    def __init__(self, sentence: str, hint: str = "", *, pullable: str = "") -> None:
        """`pullable`: ENDPOINT/NAME, where its server could fetch it."""
        super().__init__(sentence, hint)
        self.pullable = pullable
