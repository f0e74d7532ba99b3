"""The phases of a round on the screen, and which key means something in which."""

from __future__ import annotations

from enum import Enum

from textual.binding import Binding, BindingType


class Phase(Enum):
    """What the user is doing. The value is the step of the phase bar: ask, read, vote, reveal."""

    ASKING = "asking", 0
    ANSWERING = "answering", 1
    VOTING = "voting", 2
    FOLLOWING = "following", 2
    """Writing a further turn for the same sealed contestants."""
    VOTED = "voted", 2
    """The vote is on the disk, and can be taken back until the names come out."""
    REVEALED = "revealed", 3

    @property
    def css(self) -> str:
        """The class of the screen in this phase."""
        return f"-{self.value[0]}"

    @property
    def step(self) -> int:
        """Where it stands in the phase bar."""
        return self.value[1]


BLIND = frozenset({Phase.ANSWERING, Phase.VOTING, Phase.FOLLOWING, Phase.VOTED})
"""Nothing that could tell a contestant may be on the screen."""
_FREE = frozenset(Phase) - BLIND
_SHOWN = frozenset(Phase) - {Phase.ASKING}
_JUDGING = frozenset({Phase.VOTING, Phase.REVEALED})
VERDICTS = frozenset({"pick", "clearly", "level", "tie", "vote", "reroll", "peek"})
"""Actions that say or end something for good; who has not meant them can't take them all back."""
OPENERS = frozenset({"further", "note", "copy", "keep", "differ"})
"""Actions that open something with keys of its own; what is sent in one go with them may arrive before it is there."""

ALLOWED: dict[str, frozenset[Phase]] = {
    "ask_again": frozenset({Phase.REVEALED}),
    "same_again": frozenset({Phase.REVEALED}),
    "note": frozenset({Phase.REVEALED}),
    "question": _SHOWN,
    "thinking": frozenset({Phase.REVEALED}),
    "prompt": frozenset({Phase.ASKING}),
    "pace": frozenset({Phase.ASKING}),
    "private": _FREE,
    "settings": frozenset({Phase.ASKING}),
    "editor": frozenset({Phase.ASKING, Phase.FOLLOWING}),
    "others": frozenset({Phase.REVEALED}),
    "prompts": _FREE,
    "models": _FREE,
    "board": _FREE,
    "history": _FREE,
    "waiting": _FREE,
    "show_all": frozenset({Phase.ANSWERING}),
    "stop": frozenset({Phase.ANSWERING, Phase.FOLLOWING}),
    "pick": _JUDGING,
    "clearly": frozenset({Phase.VOTING}),
    "level": frozenset({Phase.VOTING}),
    "tie": _JUDGING,
    "vote": frozenset({Phase.VOTING}),
    "further": frozenset({Phase.VOTING}),
    "reroll": frozenset({Phase.VOTING}),
    "peek": frozenset({Phase.VOTING}),
    "reveal": frozenset({Phase.VOTED}),
    "take_back": frozenset({Phase.VOTED}),
    "zoom": _SHOWN,
    "pane": _SHOWN,
    "find": _SHOWN,
    "copy": _SHOWN,
    "keep": _SHOWN,
    "differ": _SHOWN - {Phase.ANSWERING},
}
"""The phases in which an action is possible; an action that is not listed always is."""

KEYS: list[BindingType] = [
    Binding("a", "pick('a')", "A", id="vote.a"),
    Binding("b", "pick('b')", "B", id="vote.b"),
    Binding("c", "pick('c')", "C", id="vote.c"),
    Binding("A", "clearly('a')", "A is clearly better", show=False, id="vote.clearly_a"),
    Binding("B", "clearly('b')", "B is clearly better", show=False, id="vote.clearly_b"),
    Binding("C", "clearly('c')", "C is clearly better", show=False, id="vote.clearly_c"),
    Binding("equals_sign", "level", "As good as the next", show=False, id="vote.level"),
    Binding("t", "tie", "Tie", id="vote.tie"),
    Binding("x", "vote('all_bad')", "Bad", tooltip="None of the answers is any good", id="vote.bad"),
    Binding("s", "vote('skip')", "Skip", tooltip="No verdict on this round", id="vote.skip"),
    Binding("enter", "vote('accept')", "Best only", show=False, id="vote.accept"),
    Binding("backspace", "vote('take_back')", "Take back", show=False, id="vote.take_back"),
    Binding("f", "further", "Follow up", tooltip="Ask them one more thing before you vote", id="vote.further"),
    Binding("R", "reroll", "Re-roll", tooltip="New answers from the same sealed models", show=False, id="vote.reroll"),
    Binding("P", "peek", "Peek", tooltip="Reveal without a vote: the round is never rated", show=False, id="vote.peek"),
    Binding("enter,space", "reveal", "Reveal", id="vote.reveal"),
    Binding("u", "take_back", "Undo", tooltip="Take the vote back; the names are not out yet", id="vote.undo"),
    Binding("space", "show_all", "Show all", tooltip="Do not wait for the even pace", id="round.show_all"),
    Binding("escape", "stop", "Stop", tooltip="Call the round off", id="round.stop"),
    Binding("n,enter", "ask_again", "Next", id="round.new"),
    Binding("r", "same_again", "Again", tooltip="The same prompt in a new round", id="round.again"),
    Binding("o", "note", "Note", tooltip="Write a note on your vote", show=False, id="round.note"),
    Binding("i", "prompt", "Prompt", tooltip="Back into the box", id="go.prompt"),
    Binding("e", "pace", "Pace", tooltip="How answers are shown: even, live, whole", show=False, id="round.pace"),
    Binding("p", "prompts", "Packs", tooltip="Take a prompt, or have a pack played", show=False, id="go.prompts"),
    Binding("m", "models", "Models", tooltip="Choose the contestants", id="go.models"),
    Binding("w", "waiting", "Waiting", tooltip="Judge rounds played without a screen", show=False, id="go.waiting"),
    Binding("l", "board", "Board", id="go.board"),
    Binding("h", "history", "History", id="go.history"),
    Binding("v", "question", "Whole question", tooltip="All of a long prompt", show=False, id="round.question"),
    Binding(
        "d", "thinking", "Thinking", tooltip="What they thought before they answered", show=False, id="round.think"
    ),
    Binding("z", "zoom", "Zoom", tooltip="One pane over the whole width", show=False, id="pane.zoom"),
    Binding("slash", "find", "Find", tooltip="Find words in the answers", show=False, id="pane.find"),
    Binding("D", "differ", "Compare", tooltip="Two answers, sentence by sentence", show=False, id="pane.differ"),
    Binding("y", "copy", "Copy", tooltip="An answer or its code, to the clipboard", show=False, id="pane.copy"),
    Binding("Y", "keep", "Copy to file", tooltip="An answer or its code, into a file", show=False, id="pane.keep"),
    Binding("1", "pane(0)", "Pane A", show=False, id="pane.a"),
    Binding("2", "pane(1)", "Pane B", show=False, id="pane.b"),
    Binding("3", "pane(2)", "Pane C", show=False, id="pane.c"),
    Binding("question_mark", "app.help", "Help", id="go.help"),
    Binding("q", "app.leave", "Quit", id="go.quit"),
]
