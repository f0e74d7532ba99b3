"""Prompt packs: what comes with arena, what a user adds, and every way in which a file can be wrong."""

import os
import shutil
import subprocess
import sys
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from arena.core.errors import ArenaError
from arena.core.text import clean
from arena.packs import MAX_BYTES, SHIPPED, PackError, find_prompt, pack, packs, read_pack, shelf

ROOT = Path(__file__).resolve().parents[1]
SHIPPED_FILES = sorted((ROOT / "prompts").glob("*.toml"))
ONE = '[[prompts]]\nslug = "one"\ntitle = "One"\ntext = "Say one."\n'
MARKDOWN = """+++
title = "Team"
description = "What we ask."
tags = ["coding"]
language = "en"
system = "Be brief."
+++

A note to whoever reads this file.

## First question
Why does this fail?

```bash
## not a heading
```

### Nor is this

## Zweite Frage, größer!
```on one line```
~~~
```
## nor this
~~~
Text.   \t

"""


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "prompts"
    home.mkdir()
    return home


def put(folder, name, content):
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def fault_of(file):
    """What is wrong with a file: one clear sentence that names it, and a hint."""
    with pytest.raises(PackError) as caught:
        read_pack(file)
    fault = caught.value
    assert fault.sentence.startswith(f"{file}")
    assert fault.sentence.endswith(".")
    assert fault.hint.endswith((".", "?"))
    assert clean(str(fault)) == str(fault)
    assert "\n" not in str(fault)
    return fault


# What comes with arena


def test_the_shipped_packs_load_without_a_fault_in_their_order():
    full = shelf(None)
    assert full.faults == ()
    assert tuple(each.name for each in full.packs) == SHIPPED
    assert packs(None) == list(full.packs)


def test_the_shipped_packs_hold_enough_prompts():
    sizes = {each.name: len(each.prompts) for each in packs(None)}
    assert min(sizes.values()) >= 12
    assert sizes["demo"] == 20
    assert sum(sizes.values()) >= 80


def test_shipped_slugs_and_texts_are_unique_and_titles_are_short():
    prompts = [prompt for each in packs(None) for prompt in each.prompts]
    # A bare slug finds its prompt, so it must be unique over all the packs.
    slugs = Counter(p.slug.partition("/")[2] for p in prompts)
    assert [key for key, count in (slugs + Counter(p.sha256 for p in prompts)).items() if count > 1] == []
    assert [p.title for p in prompts if not 0 < cell_len(p.title) <= 40] == []
    assert [p.slug for p in prompts if not p.slug.isascii()] == []


def test_shipped_tags_are_those_of_the_leaderboard_and_name_the_pack_first():
    for each in packs(None):
        for prompt in each.prompts:
            assert prompt.tags[0] == each.name
            assert set(prompt.tags) <= set(SHIPPED)


def test_shipped_languages_fit_the_texts():
    for each in packs(None):
        for prompt in each.prompts:
            hangul = any("\uac00" <= char <= "\ud7a3" for char in prompt.text)
            assert hangul or each.name != "korean"
            assert hangul == (prompt.guessed_language == "ko")
    assert {prompt.guessed_language for prompt in pack("demo").prompts} == {"en", "ko"}


def test_the_question_of_the_guide_is_there_word_for_word():
    assert find_prompt("korean/python-javascript").text == "Python과 JavaScript의 차이를 3줄로 설명해줘"


def test_shipped_texts_are_clean_as_they_stand():
    for each in packs(None):
        assert each.title
        assert each.description.endswith(".")
        for prompt in each.prompts:
            assert clean(prompt.text) == prompt.text == prompt.text.strip() == unicodedata.normalize("NFC", prompt.text)
            assert "\\\n" not in prompt.text, f"{prompt.slug}: a line joined in a literal string"


@pytest.mark.parametrize("file", SHIPPED_FILES, ids=lambda file: file.stem)
def test_shipped_files_are_named_for_their_pack_and_write_everything_out(file):
    document = tomllib.loads(file.read_text("utf-8"))
    assert document["name"] == file.stem
    for table in document["prompts"]:
        assert {"slug", "title", "text"} <= table.keys()


def test_an_installed_package_finds_its_packs_inside_itself(tmp_path):
    shutil.copytree(ROOT / "src" / "arena" / "core", tmp_path / "arena" / "core")
    for name in ("__init__.py", "packs.py"):
        shutil.copy(ROOT / "src" / "arena" / name, tmp_path / "arena" / name)
    script = "from arena.packs import *; s = shelf(); print(*(p.name for p in s.packs), *s.faults)"
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run():
        command = [sys.executable, "-c", script]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout

    assert run().strip() == "arena: its own prompt packs are missing. Install arena again."
    shutil.copytree(ROOT / "prompts", tmp_path / "arena" / "prompts")
    assert tuple(run().split()) == SHIPPED


# What a user adds


def test_a_toml_pack_passes_its_head_on_to_its_prompts(folder):
    head = 'title = """\n My\n pack """\ntags = ["work", "coding"]\nlanguage = "de"\nsystem = "Kurz."\n'
    own = 'tags = ["coding", "sql"]\nlanguage = "ko"\nsystem = "Long."\n'
    text = f'{head}{ONE}{own}[[prompts]]\ntext = "  Only a text.\\nMore."'.replace("\n", "\r\n")
    read = read_pack(put(folder, "My Pack.toml", text))
    first, second = read.prompts
    assert (read.name, read.title, read.description) == ("my-pack", "My pack", "")
    assert read.source == str(folder / "My Pack.toml")
    assert (first.slug, first.title, first.text) == ("my-pack/one", "One", "Say one.")
    assert (first.tags, first.language, first.system) == (("work", "coding", "sql"), "ko", "Long.")
    assert (second.slug, second.title, second.text) == ("my-pack/only-a-text", "Only a text.", "  Only a text.\nMore.")
    assert (second.tags, second.language, second.system) == (("work", "coding"), "de", "Kurz.")


WRITTEN = [MARKDOWN, "\n\n" + MARKDOWN, "\ufeff" + MARKDOWN.replace("\n", "\r\n"), MARKDOWN.replace("\n", "\r")]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_markdown_pack_has_one_prompt_a_section(folder, text):
    read = read_pack(put(folder, "team.md", text))
    first, second = read.prompts
    assert (read.name, read.title, read.description) == ("team", "Team", "What we ask.")
    assert (first.slug, first.title) == ("team/first-question", "First question")
    assert first.text == "Why does this fail?\n\n```bash\n## not a heading\n```\n\n### Nor is this"
    assert (second.slug, second.title) == ("team/zweite-frage-größer", "Zweite Frage, größer!")
    assert second.text == "```on one line```\n~~~\n```\n## nor this\n~~~\nText."
    assert (second.tags, second.language, second.system) == (("coding",), "en", "Be brief.")


def test_a_text_stays_raw(folder):
    read = read_pack(put(folder, "raw.toml", '[[prompts]]\nslug = "x"\ntext = "\\n\\n  a\\u001b[31m  \\n\\u202eb \\n"'))
    assert read.prompts[0].text == "  a\x1b[31m  \n\u202eb"


def test_a_pack_of_the_user_replaces_the_shipped_one_of_that_name(folder):
    put(folder, "mine.toml", 'name = "Coding"\n' + ONE)
    names = [each.name for each in packs(folder)]
    assert names == ["general", "Coding", "reasoning", "writing", "korean", "demo"]
    assert [prompt.slug for prompt in pack("coding", folder).prompts] == ["Coding/one"]
    assert len(pack("coding").prompts) > 1


def test_names_are_found_however_they_are_spelled(folder):
    put(folder, unicodedata.normalize("NFD", "우리팀 Größe.toml"), ONE.replace("one", "질문"))
    assert packs(folder)[-1].name == "우리팀-größe"
    assert pack("우리팀-GRÖSSE", folder) == pack(unicodedata.normalize("NFD", "우리팀-größe"), folder)
    assert find_prompt("우리팀-größe/질문", folder).slug == "우리팀-größe/질문"


def test_only_packs_are_read(folder, tmp_path):
    for name in ("README.md", "._x.toml", ".hidden.md", "notes.txt", "x.toml~"):
        put(folder, name, b"\xff")
    put(folder, "UPPER.TOML", ONE)
    full = shelf(folder)
    assert full.faults == ()
    assert [each.name for each in full.packs if each.name not in SHIPPED] == ["upper"]
    assert shelf(tmp_path / "nowhere") == shelf(None)


# What can be wrong


def test_a_bad_pack_hides_no_good_one(folder):
    put(folder, "bad.toml", "text = ")
    put(folder, "coding.toml", "")
    put(folder, "good.md", MARKDOWN)
    full = shelf(folder)
    assert [each.name for each in full.packs] == [*SHIPPED, "good"]
    assert [Path(fault.source).name for fault in full.faults] == ["bad.toml", "coding.toml"]
    with pytest.raises(PackError, match=r"coding\.toml: it holds no prompt"):
        pack("coding", folder)
    with pytest.raises(PackError, match="it is not TOML"):
        find_prompt("bad/one", folder)
    with pytest.raises(ArenaError, match=r"There is no prompt pack 'good-one'\. Did .*'good'\? One can't be read: /"):
        pack("good-one", folder)


def test_two_files_of_one_name(folder):
    put(folder, "a.md", MARKDOWN)
    put(folder, "a.toml", ONE)
    full = shelf(folder)
    assert [each.source for each in full.packs if each.name == "a"] == [str(folder / "a.md")]
    (fault,) = full.faults
    assert fault.sentence == f"{folder / 'a.toml'}: the name 'a' is taken by {folder / 'a.md'}."


FAULTS = [
    ('title = "x', "line 1: it is not TOML", "that line"),
    ("\n\ntitle = \n", "line 3: it is not TOML (Invalid value)", "that line"),
    ('[[prompts]]\ntext = """\na\n\n', "line 3: it is not TOML", "three quotes"),
    ("title = " + "9" * 5000, ".toml: a number or a nesting in it is out of bounds", "Keep to"),
    ("title = " + "[" * 5000, ".toml: a number or a nesting in it is out of bounds", "Keep to"),
    ('title = "x"', ".toml: it holds no prompt", "Add [[prompts]]"),
    ('[prompts]\ntext = "x"', ".toml: 'prompts' must be a list of tables", "[[prompts]]"),
    ('prompts = ["x"]', ".toml: 'prompts' must be a list of tables", "[[prompts]]"),
    (ONE + "[[prompts]] # 2", "prompt at line 5: 'text' is missing or empty", "Write what"),
    ('[[prompts]]\ntext = " \\n\\t "', "prompt at line 1: 'text' is missing or empty", "Write what"),
    ("[[prompts]]\ntext = 12", "prompt at line 1: 'text' must be a string", 'Write text = "..."'),
    ("prompts = 1", ".toml: 'prompts' must be a list of tables", "[[prompts]]"),
    ("description = 2020-01-01\n" + ONE, ".toml: 'description' must be a string", "with quotes"),
    ('tags = "coding"\n' + ONE, ".toml: 'tags' must be a list of strings", '["coding"]'),
    (ONE + "tags = [1]", "prompt at line 1: 'tags' must be a list of strings", '["coding"]'),
    (ONE + 'tags = [""]', "prompt at line 1: 'tags' is missing", "letters"),
    (ONE + 'tags = ["a b"]', "prompt at line 1: 'tags' can't be 'a b'", "letters"),
    ('language = "Korean"\n' + ONE, ".toml: 'language' can't be 'Korean'", '"ko"'),
    ('name = "a/b"\n' + ONE, ".toml: 'name' can't be 'a/b'", "letters"),
    (ONE.replace('"one"', '"a/b"'), "prompt at line 1: 'slug' can't be 'a/b'", "letters"),
    (ONE.replace('"one"', '"a\\u3164"'), "prompt at line 1: 'slug' can't be 'a'", "letters"),
    ('[[prompts]]\ntext = "?!"', "prompt at line 1: 'slug' is missing", "Give a slug"),
    (ONE + ONE.replace("one", "ONE"), "line 5: an earlier prompt has the slug 'ONE'", "Give one"),
    ("titel = 1\n" + ONE, ".toml: the key 'titel' is unknown", "Did you mean 'title'?"),
    (ONE + "txet = 1", "prompt at line 1: the key 'txet' is unknown", "Did you mean 'text'?"),
    ("zzz = 1\n" + ONE, ".toml: the key 'zzz' is unknown", "The keys are: name, title,"),
    (ONE + 'name = "x"', "line 1: the key 'name' is unknown", "above the first [[prompts]]"),
    ('prompts = [{text = "x"}, {txt = "y"}]', "prompt 2: the key 'txt' is unknown", "'text'"),
    ('"\\u001b[2J" = 1', ".toml: the key '␛[2J' is unknown", "The keys are"),
    (b'title = "x"\ntext = "\xb0\xa1"', "line 2: it is not UTF-8", "CP949"),
    (ONE.encode("utf-16"), "line 1: it is not UTF-8", "UTF-16"),
    (b"#" * (MAX_BYTES + 1), ".toml: it is larger than 1 MiB", "Split"),
    (b"\xef\xbb\xbf" + b"#" * MAX_BYTES, ".toml: it is larger than 1 MiB", "Split"),
    ("## A\ntext\n", ".md: its +++ head is missing", "Begin"),
    ("x\n" + MARKDOWN, ".md: its +++ head is missing", "Begin"),
    ("+++\n## A\ntext\n", ".md: its +++ head is missing or has no end", "Begin"),
    ("\n+++\n\ntitle = x\n+++  \n## A\ntext\n", ".md, line 4: it is not TOML", "that line"),
    ("+++\nprompts = []\n+++\n## A\ntext\n", ".md: the key 'prompts' is unknown", "The keys are"),
    ("+++\n+++\n# Title\ntext\n", ".md: it holds no prompt", "## section"),
    ("+++\n+++\n## A\n\n \n## B\nx", ".md, prompt at line 3: 'text' is missing", "Write what"),
    ("+++\n+++\n## A\nx\n## a \ny", ".md, prompt at line 5: an earlier prompt has the slug 'a'", "Give"),
    ("+++\n+++\n## A\n````sh\nx\n```\n## B", ".md, line 4: this code block has no end", "````"),
]


@pytest.mark.parametrize(("content", "sentence", "hint"), FAULTS, ids=range(len(FAULTS)))
def test_a_fault_is_one_sentence_with_a_hint(folder, content, sentence, hint):
    fault = fault_of(put(folder, "x.md" if sentence.startswith(".md") else "x.toml", content))
    assert sentence in fault.sentence
    assert hint in fault.hint


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in a folder there")
def test_what_is_no_file_or_can_not_be_opened(folder, tmp_path):
    (folder / "folder.toml").mkdir()
    (folder / "gone.toml").symlink_to(tmp_path / "nowhere")
    os.mkfifo(folder / "pipe.toml")
    assert [fault.sentence.partition(": ")[2] for fault in shelf(folder).faults] == ["it is not a regular file."] * 3
    (fault,) = shelf(put(folder, "file", "")).faults
    assert fault.sentence == f"{folder / 'file'}: it can't be read (Not a directory)."


def test_a_file_one_may_not_read(folder):
    class Locked(type(folder)):
        def open(self, *_args, **_options):
            raise PermissionError(13, "Permission denied")

    fault = fault_of(Locked(put(folder, "x.toml", ONE)))
    assert fault.sentence.endswith(": it can't be read (Permission denied).")


MUTATIONS = ["", "\n", '"', "'", "[", "]", "{", "=", "#", "##", "+++", "```", "\\", "\x00", "\ud800", "ㅤ", "\u0130"]


@st.composite
def damaged(draw):
    """A good pack with a few places cut out or written over."""
    text = draw(st.sampled_from([MARKDOWN, 'tags = ["a"]\n' + ONE + ONE.replace("one", "two")]))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 12))
        text = text[:start] + draw(st.sampled_from(MUTATIONS) | st.text(max_size=4)) + text[end:]
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300) | damaged())
def test_a_damaged_file_raises_nothing_but_pack_errors(tmp_path, data):
    for file in (put(tmp_path, "x.md", data), put(tmp_path, "x.toml", data)):
        try:
            read = read_pack(file)
        except PackError:
            fault_of(file)
            continue
        slugs = [prompt.slug for prompt in read.prompts]
        assert len({slug.casefold() for slug in slugs}) == len(slugs) > 0
        for prompt in read.prompts:
            assert prompt.text.strip()
            assert clean(prompt.slug) == prompt.slug


def test_long_lines_take_no_long_time(folder):
    for name, text in (
        ("a.md", "## " + " " * 900_000 + "x"),
        ("b.md", "`" * 900_000),
        ("c.md", "## a\nb" + "\n" * 900_000),
    ):
        put(folder, name, "+++\n+++\n" + text)
    put(folder, "d.toml", "[[prompts]]\ntext = '''" + " \n" * 400_000 + "'''")
    assert len(shelf(folder).packs) == len(SHIPPED) + 1


# Names


@pytest.mark.parametrize(
    ("name", "hint"),
    [("codin", "Did you mean 'coding'?"), ("Demos", "Did you mean 'demo'?"), ("xyz", "There are: general, coding,")],
)
def test_an_unknown_pack_comes_with_a_suggestion(name, hint):
    with pytest.raises(ArenaError) as caught:
        pack(name)
    assert caught.value.sentence == f"There is no prompt pack '{name}'."
    assert hint in caught.value.hint


def test_a_prompt_is_found_by_its_full_and_by_its_short_slug(folder):
    assert find_prompt("demo/capital-france") == find_prompt("Capital-France")
    assert find_prompt("demo/capital-france").slug == "demo/capital-france"
    put(folder, "own.toml", ONE.replace('"one"', '"capital-france"'))
    assert find_prompt("own/capital-france", folder).text == "Say one."
    with pytest.raises(ArenaError, match=r"in several packs\. Write demo/capital-france or own/capital-france"):
        find_prompt("capital-france", folder)


@pytest.mark.parametrize(
    ("slug", "sentence", "hint"),
    [
        ("demo/capital-franc", "There is no prompt 'demo/capital-franc'.", "Did you mean 'capital-france'?"),
        ("strawbery", "There is no prompt 'strawbery'.", "Did you mean 'strawberry'?"),
        ("q", "There is no prompt 'q'.", "`arena prompts`"),
        ("", "There is no prompt ''.", "`arena prompts`"),
        ("dem/x", "There is no prompt pack 'dem'.", "Did you mean 'demo'?"),
        ("a\x1b[2J", "There is no prompt 'a␛[2J'.", "`arena prompts`"),
    ],
)
def test_an_unknown_prompt_comes_with_a_suggestion(slug, sentence, hint):
    with pytest.raises(ArenaError) as caught:
        find_prompt(slug)
    assert caught.value.sentence == sentence
    assert hint in caught.value.hint
