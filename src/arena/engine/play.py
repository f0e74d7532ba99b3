"""The story of a round: every seat is prepared, asked, heard and recorded. One seat's fault never touches another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import aclosing
from types import MappingProxyType

from arena.core.errors import SeatError
from arena.core.events import Closed, Failed, Opened, Sent, StreamEvent, Usage
from arena.core.naming import NamingWords, spans
from arena.core.ports import Backend, Request
from arena.core.prompts import Turn
from arena.core.rounds import Answer, Outcome, Pace, Round, RoundState, Schedule, Seat
from arena.core.text import clean_line
from arena.engine.recorder import Recorder
from arena.engine.veil import Veil

Emit = Callable[[StreamEvent], None]
Keep = Callable[[Answer, Iterable[str]], None]
"""Gets an answer and the fingerprints of those that streamed beside it."""
Clock = Callable[[], int]


class Play:
    """One round being played. `emit` and `keep` are called in the engine's loop and must not wait."""

    def __init__(
        self,
        round_: Round,
        backends: Mapping[str, Backend],
        emit: Emit,
        keep: Keep,
        clock: Clock = time.monotonic_ns,
        *,
        keep_loaded: bool = True,
        words: NamingWords | None = None,
        devices: Mapping[int, str] = MappingProxyType({}),
        earlier: Mapping[int, tuple[Turn, ...]] = MappingProxyType({}),
    ) -> None:
        """`backends` by endpoint; `emit` hears every event, `keep` gets every finished answer; `clock` in ns.

        `keep_loaded`: models stay in memory after their turn; else each makes room for the next. `words`: what of a
        blind round is masked in its events; None: the names as the addresses of its contestants tell them.
        `devices`: what computes the answer of each seat, by its index; a seat that is not listed runs on this machine.
        `earlier`: the turns of the conversation before this one, by the index of the seat.
        """
        self._round = round_
        self._backends = backends
        self._emit = emit
        self._keep = keep
        self._clock = clock
        self._keep_loaded = keep_loaded
        told = words or NamingWords.of((seat.contestant for seat in round_.seats), prompt=round_.prompt.text)
        self._words = told if round_.blind else None
        self._devices = devices
        self._earlier = earlier
        self._began_ns = clock()
        self._streaming: dict[Recorder, Seat] = {}
        together = round_.schedule is Schedule.TOGETHER
        # Together means: nobody begins while somebody is still being loaded beside.
        self._all_loaded = asyncio.Barrier(len(round_.seats) if together else 1)
        self._loading = {device: asyncio.Lock() for device in {"", *devices.values()}}

    async def run(self) -> tuple[Answer, ...]:
        """Play all seats; returns the answers in seat order. Cancelling keeps what was said so far."""
        # Not gather: that is over with the first seat that is called off, while another still saves what it has.
        async with asyncio.TaskGroup() as group:
            playing = [group.create_task(self._in_turn(lane)) for lane in self._lanes()]
        answers = [answer for task in playing for answer in task.result()]
        return tuple(sorted(answers, key=lambda answer: answer.seat))

    def _lanes(self) -> list[list[Seat]]:
        """The seats that run one after another, each list beside the others: on their own, one device at a time."""
        lanes: dict[object, list[Seat]] = {}
        for seat in self._round.running_order:
            own = {Schedule.TOGETHER: seat.index, Schedule.AUTO: self._device(seat)}
            lanes.setdefault(own.get(self._round.schedule), []).append(seat)
        return list(lanes.values())

    async def _in_turn(self, seats: Iterable[Seat]) -> list[Answer]:
        return [await self._seat(seat) for seat in seats]

    def _device(self, seat: Seat) -> str:
        """What computes its answer; '' is this machine."""
        return self._devices.get(seat.index, "")

    async def _seat(self, seat: Seat) -> Answer:
        recorder = Recorder(seat.index, speed_visible=self._round.pace is Pace.LIVE)
        try:
            await self._hear(seat, recorder)
            answer = recorder.answer()
        except SeatError as fault:
            answer = recorder.failure(fault)
        except asyncio.CancelledError:
            self._keep(recorder.cancelled(), recorder.company)
            raise
        except Exception as fault:  # noqa: BLE001 - the boundary of a seat
            what = clean_line(f"{type(fault).__name__}: {fault}")
            answer = recorder.failure(SeatError(f"Something unforeseen happened: {what}.", "Run the round again."))
        finally:
            self._streaming.pop(recorder, None)
        self._tell_end(answer)
        self._keep(answer, recorder.company)
        return answer

    async def _hear(self, seat: Seat, recorder: Recorder) -> None:
        asked_ns = self._clock()
        try:
            backend = self._backend_of(seat)
            async with self._loading[self._device(seat)]:
                load_ms = await backend.prepare(seat.contestant)
        except asyncio.CancelledError:  # a round that is called off waits for nobody, and nobody for a seat that is
            await self._all_loaded.abort()
            raise
        except Exception:
            await self._all_loaded.wait()
            raise
        await self._all_loaded.wait()
        opened_ns = self._clock()
        recorder.opened(opened_ns, queue_ms=(asked_ns - self._began_ns) / 1e6, load_ms=load_ms)
        self._emit(Opened(seat.index, opened_ns))
        self._note_company(recorder, seat)
        sampling, earlier = self._round.sampling_at(seat), self._earlier.get(seat.index, ())
        request = Request(seat.contestant, self._round.prompt, sampling, earlier)
        veil = Veil(self._emit, seat.index, self._words)
        try:
            await _listen(backend, request, recorder, veil, self._clock)
        finally:
            veil.lift(self._clock())
            if not self._keep_loaded:
                await backend.release(seat.contestant)

    def _backend_of(self, seat: Seat) -> Backend:
        """Raises SeatError when nothing serves its endpoint."""
        backend = self._backends.get(seat.contestant.ref.endpoint)
        if backend is None:
            raise SeatError("Nothing serves the endpoint of this model.", "`arena models` lists what is reached.")
        return backend

    def _note_company(self, recorder: Recorder, seat: Seat) -> None:
        """Whoever streams beside another on one device is contended, from either side."""
        for other, its_seat in self._streaming.items():
            if self._device(its_seat) == self._device(seat):
                other.company.add(seat.contestant.fingerprint)
                recorder.company.add(its_seat.contestant.fingerprint)
        self._streaming[recorder] = seat

    def _tell_end(self, answer: Answer) -> None:
        if answer.outcome is Outcome.FAILED:
            self._emit(Failed(answer.seat, self._clock()))
        else:
            self._emit(Closed(answer.seat, self._clock()))


async def hear(backend: Backend, request: Request, clock: Clock = time.monotonic_ns) -> Answer:
    """Ask one model outside of any round. Raises SeatError."""
    recorder = Recorder(0)
    load_ms = await backend.prepare(request.contestant)
    recorder.opened(clock(), queue_ms=0.0, load_ms=load_ms)
    await _listen(backend, request, recorder, Veil(lambda _: None, 0, None), clock)
    return recorder.answer()


async def _listen(backend: Backend, request: Request, recorder: Recorder, veil: Veil, clock: Clock) -> None:
    """Record what a backend says, with the time at which each piece came."""
    async with aclosing(backend.stream(request)) as pieces:
        async for piece in pieces:
            now = clock()
            if isinstance(piece, Sent):
                recorder.sent(now if piece.at_ns is None else piece.at_ns)
            elif isinstance(piece, Usage):
                recorder.counted(piece)
            elif piece.text:  # the first frame may be empty or hold only a role: no token was heard yet
                at_ns = now if piece.at_ns is None else piece.at_ns
                recorder.heard(at_ns, piece)
                veil.tell(at_ns, piece)


def verdict_on(answers: tuple[Answer, ...], words: NamingWords | None = None) -> tuple[RoundState, tuple[str, ...]]:
    """Whether the round can be voted on, and its flags.

    A seat that failed or was called off can't be judged; with fewer than two others the round is void. An empty or
    truncated answer is the model's own doing, so the round stands, flagged. So it does where an answer names a model by
    `words`: that one is `named`, and the store leaves it out of the rating.
    """
    flags = {answer.outcome.value for answer in answers if answer.outcome is not Outcome.ANSWERED}
    void = sum(answer.there for answer in answers) < 2
    if words is not None and any(spans(answer.text, words) for answer in answers):
        flags.add("named")
    return RoundState.VOID if void else RoundState.READY, tuple(sorted(flags))
