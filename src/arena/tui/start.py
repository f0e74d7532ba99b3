"""From an Arena to its screens: language, keys, colours and signs are chosen before the first of them is made."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from arena.tui import language
from arena.tui.app import ArenaApp
from arena.tui.leaving import leaves_when_told
from arena.tui.terminal import draws_ascii_only, has_few_colors
from arena.tui.theme import DARK, SIXTEEN
from arena.wiring import Arena


def show(arena: Arena, models: Sequence[str], *, judge: bool) -> int:
    """Run the screens until the user leaves. Returns the exit code. Raises UsageError for keys that can't be.

    Only after `check_terminal`: Textual reads the environment when it is imported.
    """
    settings = arena.settings
    language.use(settings.lang)
    notes = [settings.note] if settings.note else []
    if settings.keys:
        from arena.tui import keys  # noqa: PLC0415 - every screen comes with it

        keys.take(settings.keys)
        notes += keys.warnings()
    app = ArenaApp(
        arena,
        models,
        judge=judge,
        theme=(SIXTEEN if has_few_colors() else DARK).name,
        ascii_only=draws_ascii_only() if settings.ascii is None else settings.ascii,
        notes=notes,
    )
    with leaves_when_told(partial(arena.close, dropped=True)):
        app.run()
    return app.return_code or 0
