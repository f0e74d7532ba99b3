"""Where the rooms meet: what a way to reach models promises, what it is asked, and what a stored round is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from arena.core.endpoints import Endpoint, PullProgress
from arena.core.events import Piece
from arena.core.models import Contestant, ModelInfo, ModelRef, Sampling
from arena.core.prompts import Prompt, Turn
from arena.core.rounds import Answer, Exchange, Round, RoundState
from arena.core.text import storable
from arena.core.votes import Verdict, Vote


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a backend."""

    contestant: Contestant
    prompt: Prompt
    sampling: Sampling
    """As this contestant is sampled: `Round.sampling_at`, or `contestant.sampling(...)` outside of a round."""
    earlier: tuple[Turn, ...] = ()
    """The turns of the conversation before the prompt, with this contestant's own answers."""

    @property
    def messages(self) -> list[dict[str, str]]:
        """The conversation as every chat protocol has it: {"role": system, user or assistant, "content": text}.

        The system message holds what the contestant is told, and what the prompt brings itself; without either there
        is none.
        """
        system = "\n\n".join(filter(None, (self.contestant.system, self.prompt.system)))
        said = [("system", system)] if system else []
        for turn in self.earlier:
            said += [("user", turn.question), ("assistant", turn.answer)]
        said.append(("user", self.prompt.text))
        return [{"role": role, "content": storable(text)} for role, text in said]


class Backend(Protocol):
    """One way to reach models. It turns a wire into Chunk and Usage, and nothing else.

    Faults of one model are raised as SeatError from `prepare` and `stream`.
    """

    endpoints: tuple[str, ...]
    """The names of the endpoints that it serves; models are listed under the first that suits."""
    at: Endpoint | None
    """The server that it asks; None: it needs none."""

    async def models(self) -> Sequence[ModelInfo]:
        """The models that can be asked now. Raises ArenaError when its server can't be reached."""
        ...

    async def find(self, ref: ModelRef) -> ModelInfo:
        """The model of that name. Raises MissingModelError with a hint when there is none, else ArenaError."""
        ...

    async def prepare(self, contestant: Contestant) -> float:
        """Load and warm up, off the clock. Returns the load time in ms, 0 when it was ready."""
        ...

    def stream(self, request: Request) -> AsyncGenerator[Piece, None]:
        """Ask. Chunks as they arrive, then one Usage. Closing the iterator cancels the answer."""
        ...

    def is_loaded(self, contestant: Contestant) -> bool:
        """Whether it is in memory now, as far as this backend knows."""
        ...

    async def release(self, contestant: Contestant) -> None:
        """Give its memory back."""
        ...

    async def close(self) -> None:
        """Give everything back."""
        ...


@runtime_checkable
class Puller(Protocol):
    """A backend whose server can fetch models."""

    def pull(self, name: str) -> AsyncGenerator[PullProgress, None]:
        """Fetch a model. Closing the iterator stops it; what was fetched stays, and the next pull goes on from there.

        Raises ArenaError.
        """
        ...


@runtime_checkable
class Engine(Protocol):
    """A backend that computes by itself."""

    async def build(self) -> object:
        """What it was built for, as text: `CPU build`, `CUDA`. Raises SeatError where it is not installed."""
        ...


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """A round as it is stored, with everything known of it. Only for after the vote, or for the engine."""

    round: Round
    state: RoundState
    answers: tuple[Answer, ...]
    vote: Vote | None = None
    flags: tuple[str, ...] = ()
    """Why it is not rated or was marked: `failed`, `truncated`, `empty`, `repeated`, ..."""
    earlier: tuple[Exchange, ...] = ()
    """The turns before this one, the first one first."""
    second: Verdict | None = None
    """Which one the voter would use, knowing names and speeds; never rated beside the blind votes."""
