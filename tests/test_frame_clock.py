"""When a frame may be drawn."""

from __future__ import annotations

import pytest

from arena.tui.wire.frame_clock import (
    FRAMES_A_SECOND,
    HURRY_S,
    PATIENCE_S,
    SLOW_A_SECOND,
    SLOW_FROM_S,
    UNANSWERED_A_SECOND,
    FrameClock,
)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def clocks(*, answers: bool) -> tuple[FrameClock, Time]:
    time = Time()
    frames = FrameClock(time)
    if answers:
        frames.answered()  # Textual's own question
    return frames, time


def test_the_first_frame_waits_for_nobody():
    assert clocks(answers=False)[0].wait_s(backlog=False) == 0


def test_a_frame_waits_until_the_last_one_was_answered():
    frames, time = clocks(answers=True)
    assert frames.asks
    frames.sent()
    time.now += 5
    assert frames.wait_s(backlog=False) > 0
    frames.answered()
    assert frames.wait_s(backlog=False) == 0


def test_an_answer_that_is_lost_costs_some_patience_and_no_more():
    frames, time = clocks(answers=True)
    frames.sent()
    time.now += frames.wait_s(backlog=False)
    assert time.now == 100 + PATIENCE_S
    assert frames.wait_s(backlog=False) == 0


def test_there_are_never_more_frames_than_the_limit():
    for answers, slow, limit in (
        (True, False, FRAMES_A_SECOND),
        (False, False, UNANSWERED_A_SECOND),
        (True, True, SLOW_A_SECOND),
        (False, True, SLOW_A_SECOND),
    ):
        frames, time = clocks(answers=answers)
        frames.slow = slow
        drawn = 0
        while time.now < 110:
            time.now += max(0.001, frames.wait_s(backlog=False))
            if frames.wait_s(backlog=False) == 0:
                frames.sent()
                frames.answered() if answers else None
                drawn += 1
        assert limit * 9 < drawn <= limit * 10 + 1


def test_nobody_is_asked_who_never_answered():
    frames, time = clocks(answers=False)
    frames.sent()
    assert not frames.asks
    time.now += 1
    assert frames.wait_s(backlog=False) == 0


@pytest.mark.parametrize("answers", [True, False])
def test_while_the_last_frame_is_not_written_there_is_no_next_one(answers):
    frames, time = clocks(answers=answers)
    frames.sent()
    time.now += 60
    assert frames.wait_s(backlog=True) > 0
    assert frames.wait_s(backlog=False) == 0


def test_another_terminal_is_not_taken_for_one_that_answers():
    frames, time = clocks(answers=True)
    frames.sent()
    frames.restart()
    time.now += 2 / UNANSWERED_A_SECOND
    assert frames.wait_s(backlog=False) == 0
    assert not frames.asks


def test_a_key_is_not_held_back_by_the_wish_for_few_frames():
    frames, time = clocks(answers=True)
    frames.slow = True
    frames.sent()
    frames.answered()
    time.now += 1 / FRAMES_A_SECOND + 0.001
    assert frames.wait_s(backlog=False) > 0
    frames.hurry()
    assert frames.wait_s(backlog=False) == 0
    time.now += HURRY_S
    frames.sent()
    frames.answered()
    time.now += 1 / FRAMES_A_SECOND + 0.001
    assert frames.wait_s(backlog=False) > 0


def test_the_line_is_slow_when_half_of_the_answers_take_long():
    for took_s, slow in ((SLOW_FROM_S * 1.1, True), (SLOW_FROM_S / 2, False)):
        frames, time = clocks(answers=True)
        for _ in range(9):
            assert not frames.link_is_slow
            frames.sent()
            time.now += took_s
            frames.answered()
        assert frames.link_is_slow is slow
