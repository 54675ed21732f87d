"""readers/glyphs.py: digits of other scripts, and apostrophes of word processors between thousands."""

from __future__ import annotations

import numpy as np
import pytest

from .test_strangers import DAYS, VALUES, table, taken

DIGITS = {"full width": "０１２３４５６７８９．", "Arabic": "٠١٢٣٤٥٦٧٨٩٫", "Persian": "۰۱۲۳۴۵۶۷۸۹٫"}


@pytest.mark.parametrize("script", DIGITS)
def test_digits_of_other_scripts(script, put):
    form = str.maketrans("0123456789.", DIGITS[script])
    text = table("date,y", lambda day, value: f"{day},{value}".translate(form))
    series = taken(put(text))
    assert series.channels == ("y",) and np.allclose(series.values[0], VALUES[:40])
    assert np.array_equal(series.times(0), np.array(DAYS, "datetime64[ns]").astype(np.int64))
    assert any("digits of other scripts" in note for note in series.notes)


@pytest.mark.parametrize("mark", "\N{RIGHT SINGLE QUOTATION MARK}'")
def test_apostrophes_between_thousands(mark, put):
    series = taken(put(table("Datum;y", lambda day, value: f"{day:%d.%m.%Y};{value:,.2f}".replace(",", mark))))
    assert series.channels == ("y",) and np.allclose(series.values[0], VALUES[:40])


def test_an_apostrophe_in_a_word_stays(put):
    lines = [f"{day},{VALUES[k]},{'rock’n’roll' if k % 2 else '1’23'}" for k, day in enumerate(DAYS)]
    series = taken(put("\n".join(["date,y,l’été", *lines])))
    assert series.channels == ("y",) and any("'l’été' ('1’23', 'rock’n’roll')" in note for note in series.notes)
