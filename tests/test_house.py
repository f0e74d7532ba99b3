"""The house keeps its shape: arrows point down, files stay small, doors open fast, no style drifts."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
BIN = Path(sys.executable).parent
LONGEST = 400
CHECKED = ("src", "tests", "tools", "benchmarks")


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_contracts_of_the_house_are_kept():
    done = run(str(BIN / "lint-imports"), "--no-cache")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT / "src")))
def test_every_file_says_what_it_is_for_and_stays_small(path):
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "no module docstring"
    assert text.count("\n") <= LONGEST, "which noun wants a room of its own?"


def test_ruff_finds_nothing():
    done = run(str(BIN / "ruff"), "check", *CHECKED, "--no-cache", "--output-format", "concise")
    assert done.returncode == 0, done.stdout


def test_files_are_formatted():
    done = run(str(BIN / "ruff"), "format", "--check", *CHECKED, "--no-cache")
    assert done.returncode == 0, done.stdout


def test_types_hold():
    done = run(str(BIN / "mypy"))
    assert done.returncode == 0, done.stdout


def imported_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter has loaded after `code`."""
    tail = "import sys, json; print('\\n' + json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = run(sys.executable, "-c", f"{code}\n{tail}")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


CALL = """
import sys
from arena.cli import main
sys.argv = {argv}
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def test_importing_arena_costs_nothing():
    assert imported_by("import arena") & {"textual", "rich", "numpy", "sqlite_utils", "click", "asyncio"} == set()


@pytest.mark.parametrize(
    ("argv", "heavy"),
    [
        (["arena", "--help"], {"textual", "rich", "numpy", "sqlite_utils", "psutil", "asyncio", "llama_cpp"}),
        (["arena", "explain"], {"textual", "rich", "numpy", "sqlite_utils", "psutil", "asyncio", "llama_cpp"}),
        (["arena", "fit"], {"textual", "rich", "numpy", "llama_cpp"}),
        (["arena", "models"], {"textual", "rich", "numpy", "llama_cpp"}),
        (["arena", "history"], {"textual", "rich", "numpy", "llama_cpp"}),
        (["arena", "board"], {"textual", "rich", "llama_cpp"}),
    ],
    ids=lambda value: " ".join(value[1:]) if isinstance(value, list) else "",
)
def test_a_command_imports_only_what_it_needs(argv, heavy):
    call = CALL.format(argv=argv)
    imported_by(call)  # the first one makes the database, and sqlite-utils brings pandas along where that is installed
    assert imported_by(call) & heavy == set()
