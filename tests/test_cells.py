"""Names and columns measured in cells: letters of Korean take two."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from arena.core.machine import FitParts, Fits, FitVerdict
from arena.core.text import clean_name
from arena.tui.cells import left, name_in, right
from arena.tui.screens.picker import _row
from stage import CAST

WIDE = st.text(st.sampled_from("abcé-/:한국어모델日本語é́😀"), max_size=40)


@given(WIDE, st.integers(1, 40))
def test_a_name_never_takes_more_cells_than_it_may(text, width):
    assert cell_len(name_in(text, width)) <= width


@given(st.text(st.sampled_from("abc-/:0"), max_size=40), st.integers(2, 40))
def test_a_narrow_name_is_cut_as_on_the_command_line(text, width):
    assert name_in(text, width) == clean_name(text, width)


def test_both_ends_of_a_wide_name_are_kept():
    assert name_in("ollama/한국어-모델-7b:q8", 15) == "ollama/…-7b:q8"


@given(WIDE, st.integers(0, 40))
def test_a_text_fills_its_place_from_either_side(text, width):
    for filled in (left(text, width), right(text, width)):
        assert filled.strip() == text.strip()
        assert cell_len(filled) == max(width, cell_len(text))


@pytest.mark.parametrize("width", [60, 90])
def test_a_korean_name_keeps_the_row_of_the_picker_straight(width):
    info = CAST["zephyr-9b"].info
    fit = FitVerdict(str(info), Fits.FITS, 1 << 30, 8 << 30, 0, FitParts(), "exact", 4096, None, None)
    names = ("zephyr-9b", "한국어-모델-" * 6)
    rows = [_row(replace(info, ref=replace(info.ref, name=name)), fit, None, width, marked=True) for name in names]
    assert {row.cell_length for row in rows} == {width}
