"""The phases of a round on the screen, and which key means something in which."""

from __future__ import annotations

from enum import IntEnum

from textual.binding import Binding, BindingType


class Phase(IntEnum):
    """What the user is doing."""

    ASKING = 0
    ANSWERING = 1
    VOTING = 2
    REVEALED = 3


BLIND = frozenset({Phase.ANSWERING, Phase.VOTING})
"""Nothing that could tell a contestant may be on the screen."""
_FREE = frozenset(Phase) - BLIND
_SHOWN = frozenset(Phase) - {Phase.ASKING}

ALLOWED: dict[str, frozenset[Phase]] = {
    "ask_again": frozenset({Phase.REVEALED}),
    "same_again": frozenset({Phase.REVEALED}),
    "prompt": frozenset({Phase.ASKING}),
    "models": _FREE,
    "board": _FREE,
    "history": _FREE,
    "waiting": _FREE,
    "show_all": frozenset({Phase.ANSWERING}),
    "stop": frozenset({Phase.ANSWERING}),
    "pick": frozenset({Phase.VOTING}),
    "vote": frozenset({Phase.VOTING}),
    "peek": frozenset({Phase.VOTING}),
    "zoom": _SHOWN,
    "pane": _SHOWN,
}
"""The phases in which an action is possible; an action that is not listed always is."""

KEYS: list[BindingType] = [
    Binding("a", "pick('a')", "A", id="vote.a"),
    Binding("b", "pick('b')", "B", id="vote.b"),
    Binding("c", "pick('c')", "C", id="vote.c"),
    Binding("t", "vote('equal')", "Tie", id="vote.tie"),
    Binding("x", "vote('all_bad')", "Bad", tooltip="None of the answers is any good", id="vote.bad"),
    Binding("s", "vote('skip')", "Skip", tooltip="No verdict on this round", id="vote.skip"),
    Binding("enter", "vote('accept')", "Best only", show=False, id="vote.accept"),
    Binding("backspace", "vote('take_back')", "Take back", show=False, id="vote.take_back"),
    Binding("P", "peek", "Peek", tooltip="Reveal without a vote: the round is never rated", show=False, id="vote.peek"),
    Binding("space", "show_all", "Show all", tooltip="Do not wait for the even pace", id="round.show_all"),
    Binding("escape", "stop", "Stop", tooltip="Call the round off", id="round.stop"),
    Binding("n,enter", "ask_again", "New prompt", id="round.new"),
    Binding("r", "same_again", "Again", tooltip="The same prompt in a new round", id="round.again"),
    Binding("i", "prompt", "Prompt", tooltip="Back into the box", id="go.prompt"),
    Binding("m", "models", "Models", tooltip="Choose the contestants", id="go.models"),
    Binding("w", "waiting", "Waiting", tooltip="Judge rounds played without a screen", show=False, id="go.waiting"),
    Binding("l", "board", "Leaderboard", id="go.board"),
    Binding("h", "history", "History", id="go.history"),
    Binding("z", "zoom", "Zoom", tooltip="One pane over the whole width", show=False, id="pane.zoom"),
    Binding("1", "pane(0)", "Pane A", show=False, id="pane.a"),
    Binding("2", "pane(1)", "Pane B", show=False, id="pane.b"),
    Binding("3", "pane(2)", "Pane C", show=False, id="pane.c"),
    Binding("question_mark", "app.help", "Help", id="go.help"),
    Binding("q", "app.leave", "Quit", id="go.quit"),
]
