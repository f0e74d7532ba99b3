"""Settings: where they come from, and one sentence for each fault."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from arena.config import load
from arena.core.errors import ArenaError, UsageError
from arena.core.rounds import Pace


def test_defaults_lie_in_the_users_folders(own_home):
    settings = load(environ={})
    assert own_home in settings.db.parents
    assert own_home in settings.prompts_folder.parents


def test_a_config_in_the_home_of_nobody_is_said():
    nobodys = "~nobody-here/c.toml"
    with pytest.raises(UsageError, match=f"--config: config can't be '{nobodys}'"):
        load(Path(nobodys), environ={})
    with pytest.raises(UsageError, match=f"ARENA_CONFIG: config can't be '{nobodys}'"):
        load(environ={"ARENA_CONFIG": nobodys})


def test_the_command_line_wins_over_the_environment_over_the_file(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('db = "/file.db"\nseats = 3\npace = "whole"\n[sampling]\ntemperature = 0\n')
    settings = load(path, environ={})
    assert (str(settings.db), settings.seats, settings.pace) == ("/file.db", 3, Pace.WHOLE)
    assert settings.sampling.temperature == 0
    assert str(load(environ={"ARENA_CONFIG": str(path), "ARENA_DB": "/env.db"}).db) == "/env.db"
    assert str(load(path, tmp_path / "cli.db", {"ARENA_DB": "/env.db"}).db) == str(tmp_path / "cli.db")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('\n\npase = "even"', r"line 3: there is no setting 'pase'. Did you mean pace"),
        ('pace = "fast"', r"line 1: pace can't be 'fast'. It is one of: even, live, whole"),
        ("seats = 4", "seats can't be 4"),
        ("gguf_folders = 3", "must be a list of folders"),
        ("db = 3", "db must be text"),
        ("sampling = 3", "must be a table"),
        ("[sampling]\ntemprature = 1", "line 2: .* Did you mean temperature"),
        ("[sampling]\ntop_k = 1.5", "whole number"),
        ("[sampling]\ntemperature = -1", "0 or more"),
        ("[sampling]\ntemperature = nan", "0 or more"),
        ("[sampling]\ncontext = 0", "16 or more"),
        ("[sampling]\nmax_tokens = 0", "1 or more"),
        ("[sampling]\nseed = 99999999999999999999", "can't be"),
        ("seats = 2.0", "seats can't be 2.0"),
        ('gguf_folders = ["~nobody-at-all/x"]', "can't be"),
        ('db = "a\\u0000b"', "can't be"),
        ("pace = ", "not valid TOML"),
    ],
)
def test_every_fault_names_file_key_and_line(tmp_path, text, says):
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        load(path, environ={})
    assert str(path) in str(caught.value)
    assert caught.value.hint


def test_a_config_that_is_named_but_missing_is_said(tmp_path):
    with pytest.raises(UsageError, match="can't be read"):
        load(tmp_path / "none.toml", environ={})


def test_a_wrong_environment_variable_is_named():
    with pytest.raises(UsageError, match="ARENA_PACE"):
        load(environ={"ARENA_PACE": "slow"})
    with pytest.raises(UsageError, match="ARENA_SEATS"):
        load(environ={"ARENA_SEATS": "many"})
    with pytest.raises(UsageError, match="ARENA_SEATS"):
        load(environ={"ARENA_SEATS": "²"})


def test_a_slow_line_can_be_said_in_the_file_and_in_the_environment(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("slow_link = true\n", "utf-8")
    assert load(path, environ={}).slow_link
    assert not load(path, environ={"ARENA_SLOW_LINK": "0"}).slow_link
    assert not load(environ={}).slow_link
    with pytest.raises(UsageError, match="ARENA_SLOW_LINK"):
        load(environ={"ARENA_SLOW_LINK": "a bit"})


def test_the_language_of_the_screens_is_one_that_there_is(tmp_path):
    path = tmp_path / "arena.toml"
    path.write_text('lang = "ko"\n', "utf-8")
    assert load(path, environ={}).lang == "ko"
    assert load(path, environ={"ARENA_LANG": "en"}).lang == "en"
    assert load(environ={}).lang == "auto"
    with pytest.raises(UsageError, match=r"lang can't be 'fr'\. It is one of: auto, en, ko"):
        load(environ={"ARENA_LANG": "fr"})


GOOD = (
    'seats = 3\npace = "even"\n[sampling]\ntemperature = 0.7\n[endpoints.desk]\nkind = "openai"\nurl = "http://a:1"\n'
)
VALUES = [
    "-1",
    "1e999",
    "nan",
    "true",
    '"x\\u0000"',
    "[1, [2]]",
    "{a = 1}",
    "1979-05-27",
    "9" * 5000,
    "[" * 2000,
    '"http://[::1"',
]


@st.composite
def damaged(draw):
    """A good config with values of other kinds, cuts and stray signs."""
    lines = GOOD.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        name = lines[at].partition(" = ")[0]
        lines[at] = draw(st.sampled_from([f"{name} = {value}" for value in VALUES]) | st.text(max_size=9))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@hypothesis_settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200) | damaged())
def test_a_damaged_config_raises_nothing_but_a_sentence(tmp_path, data):
    path = tmp_path / "c.toml"
    path.write_bytes(data)
    fault = None
    try:
        load(path, environ={})
    except ArenaError as caught:
        fault = caught
    assert fault is None or fault.hint
    assert not set("\x00\x1b\x9b\u202e") & set(str(fault))
