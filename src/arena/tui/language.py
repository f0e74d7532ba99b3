"""The language of the screens, chosen before the first of them is made: `--lang`, the config, else the locale.

English is in the code, every other language in locale/LANGUAGE/LC_MESSAGES/arena.po, which tools/translate.py keeps up
to date. What models, servers and prompt packs say is never translated, nor are faults, which people look up, nor what
commands print, which scripts read.
"""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from pathlib import Path

LANGUAGES = ("en", "ko")
AUTO = "auto"
"""As the locale says."""
_FOLDER = Path(__file__).with_name("locale")
_NAMING = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")
"""What gettext(3) asks, in its order."""
_spoken: list[gettext.NullTranslations] = [gettext.NullTranslations()]


def use(language: str, environ: Mapping[str, str] | None = None) -> None:
    """Speak one of LANGUAGES from now on, or AUTO; English where the locale names none of them."""
    environ = os.environ if environ is None else environ
    named = next((environ[name] for name in _NAMING if environ.get(name)), "en")
    wanted = named.partition(":")[0].partition("_")[0].partition(".")[0] if language == AUTO else language
    _spoken[:] = [gettext.translation("arena", _FOLDER, [wanted], fallback=True)]


def _(text: str) -> str:
    """That sentence of arena's own in the language of the user."""
    return _spoken[0].gettext(text) if text else ""


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Mark a sentence that is translated where it is shown: tables of them are made before the language is known."""
    return text


def plural(one: str, many: str, count: int) -> str:
    """`one` or `many` in the language of the user; `{n}` in it stands for the number."""
    return _spoken[0].ngettext(one, many, count).format(n=count)
