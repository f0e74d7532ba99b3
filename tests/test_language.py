"""The languages of the screens: who chooses, and whether the translations are whole."""

from __future__ import annotations

import gettext
import importlib.util
import string
import sys
from pathlib import Path

import pytest

from arena.tui import language

TOOL = Path(__file__).parents[1] / "tools" / "translate.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("translate", TOOL)
    module = importlib.util.module_from_spec(spec)
    sys.modules["translate"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=[name for name in language.LANGUAGES if name != "en"])
def po(tool, request):
    return tool.LOCALE / request.param / "LC_MESSAGES" / "arena.po"


@pytest.fixture
def catalog(tool, po):
    return tool.read(po)


@pytest.fixture
def in_english():
    yield
    language.use("en")


def sentences(catalog):
    return [message for message in catalog if message.id]


def forms(texts):
    return (texts,) if isinstance(texts, str) else tuple(texts)


@pytest.mark.parametrize(
    ("wanted", "environ", "spoken"),
    [
        ("ko", {}, "도움"),
        ("auto", {"LANG": "ko_KR.UTF-8"}, "도움"),
        ("auto", {"LANG": "C.UTF-8", "LC_ALL": "ko_KR.UTF-8"}, "도움"),
        ("auto", {"LANGUAGE": "ko:en", "LANG": "en_US.UTF-8"}, "도움"),
        ("auto", {"LANG": "de_DE.UTF-8"}, "Help"),
        ("auto", {}, "Help"),
        ("en", {"LANG": "ko_KR.UTF-8"}, "Help"),
    ],
)
@pytest.mark.usefixtures("in_english")
def test_the_option_is_asked_first_and_then_the_locale(wanted, environ, spoken):
    language.use(wanted, environ)
    assert language._("Help") == spoken


@pytest.mark.usefixtures("in_english")
def test_a_number_stands_in_its_sentence():
    language.use("ko")
    assert language.plural("{n} vote", "{n} votes", 1) == "투표 1회"
    language.use("en")
    assert [language.plural("{n} vote", "{n} votes", n) for n in (1, 2)] == ["1 vote", "2 votes"]


def test_the_translations_hold_what_the_screens_say_and_nothing_else(tool, catalog):
    assert [message.id for message in sentences(catalog)] == tool.collect(), "python tools/translate.py mends it"
    assert not catalog.obsolete


def test_every_sentence_is_translated_and_none_is_a_guess(catalog):
    assert [message.id for message in sentences(catalog) if message.fuzzy] == []
    assert [message.id for message in sentences(catalog) if not all(forms(message.string))] == []


def test_a_translation_has_the_gaps_of_its_sentence(catalog):
    def gaps(text: str) -> set[tuple[str | None, str | None]]:
        return {(name, form) for _, name, form, _ in string.Formatter().parse(text) if name is not None}

    for message in sentences(catalog):
        for translated in forms(message.string):
            assert gaps(translated) == gaps(forms(message.id)[-1]), message.id


def test_a_translation_keeps_the_blanks_at_the_ends(catalog):
    for message in sentences(catalog):
        if isinstance(message.id, str) and not message.id.strip().isalpha():
            assert message.string.endswith(" ") is message.id.endswith(" "), message.id


def test_what_is_read_is_what_was_translated(catalog, po):
    with po.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for message in sentences(catalog):
        if isinstance(message.id, str):
            assert compiled.gettext(message.id) == message.string, "python tools/translate.py compiles it"
        else:
            assert compiled.ngettext(*message.id, 2) == message.string[0]
