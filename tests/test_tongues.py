"""times/tongues.py: dates of other countries and programs, taken as the time column and read."""

from __future__ import annotations

import datetime
import re

import numpy as np
import pytest

from times import tongues
from times.stamps import read_stamps
from times.tongues import english, is_season
from times.words import is_time

from .test_strangers import taken

MONTHS = {
    "German": "Jan Feb Mär Apr Mai Jun Jul Aug Sep Okt Nov Dez",
    "Indonesian": "Januari Februari Maret April Mei Juni Juli Agustus September Oktober November Desember",
    "Malay": "Januari Februari Mac April Mei Jun Julai Ogos September Oktober November Disember",
    "Romanian": "ianuarie februarie martie aprilie mai iunie iulie august septembrie octombrie noiembrie decembrie",
    "Hungarian": "január február március április május június július augusztus szeptember október november december",
    "Finnish": "tammikuu helmikuu maaliskuu huhtikuu toukokuu kesäkuu heinäkuu elokuu syyskuu lokakuu marraskuu "
    "joulukuu",
    "Slovene": "januar februar marec april maj junij julij avgust september oktober november december",
    "Catalan": "gener febrer març abril maig juny juliol agost setembre octubre novembre desembre",
    "Greek": "Ιανουάριος Φεβρουάριος Μάρτιος Απρίλιος Μάιος Ιούνιος Ιούλιος Αύγουστος Σεπτέμβριος Οκτώβριος Νοέμβριος "
    "Δεκέμβριος",
    "Ukrainian": "січень лютий березень квітень травень червень липень серпень вересень жовтень листопад грудень",
    "Arabic": "يناير فبراير مارس أبريل مايو يونيو يوليو أغسطس سبتمبر أكتوبر نوفمبر ديسمبر",
    "French": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "Spanish": "ene feb mar abr may jun jul ago sep oct nov dic",
    "Italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "Portuguese": "jan fev mar abr mai jun jul ago set out nov dez",
    "Dutch": "januari februari maart april mei juni juli augustus september oktober november december",
    "Swedish": "januari februari mars april maj juni juli augusti september oktober november december",
    "Polish": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
    "Turkish": "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
    "Russian": "январь февраль март апрель май июнь июль август сентябрь октябрь ноябрь декабрь",
}
DATES = {  # two cells, and what they say in ISO 8601
    "2024年1月5日 14时30分|2024年10月6日 4时05分": "2024-01-05T14:30 2024-10-06T04:05",
    "2024年1月|2024年2月": "2024-01-01 2024-02-01",
    "2024. 1. 5. 오후 2:30:00|2024. 1. 6. 오전 2:30:00": "2024-01-05T14:30 2024-01-06T02:30",
    "2024년 1월 5일|2024년 1월 6일": "2024-01-05 2024-01-06",
    "٢٠٢٤-٠١-٠٥|٢٠٢٤-٠١-٠٦": "2024-01-05 2024-01-06",
    "20240105T143000Z|20240105T144500Z": "2024-01-05T14:30 2024-01-05T14:45",
    "20240105 143000|20240105 144500": "2024-01-05T14:30 2024-01-05T14:45",
    "13.01.2024, 14:30 Uhr|13.01.2024, 15:30 Uhr": "2024-01-13T14:30 2024-01-13T15:30",
    "13-01-2024 14.30|13-01-2024 15.30": "2024-01-13T14:30 2024-01-13T15:30",
    "13/01/2024 14h30|13/01/2024 15h": "2024-01-13T14:30 2024-01-13T15:00",
    "14:30:00 13/01/2024|15:30:00 13/01/2024": "2024-01-13T14:30 2024-01-13T15:30",
    "[05/Jan/2024:14:30:00 +0100]|[05/Jan/2024:15:30:00 +0100]": "2024-01-05T13:30 2024-01-05T14:30",
    "Fri Jan  5 14:30:00 2024|Sat Jan 13 14:30:00 2024": "2024-01-05T14:30 2024-01-13T14:30",
    "Fri Jan 05 14:30:00 CET 2024|Sat Jan 13 14:30:00 CET 2024": "2024-01-05T13:30 2024-01-13T13:30",
    "Fri Jan 05 2024 14:30:00 GMT+0100 (CET)|Fri Jan 05 2024 15:30:00 GMT+0100 (CET)": (
        "2024-01-05T13:30 2024-01-05T14:30"
    ),
    "Jan-1-1995|Feb-1-1995": "1995-01-01 1995-02-01",
    "January 2nd, 2024|January 13th, 2024": "2024-01-02 2024-01-13",
    "'2024-01-05|'2024-01-06": "2024-01-05 2024-01-06",
    "2024-01-01 - 2024-01-07|2024-01-08 - 2024-01-14": "2024-01-01 2024-01-08",
    "08.01.2024\N{EN DASH}14.01.2024|15.01.2024\N{EN DASH}21.01.2024": "2024-01-08 2024-01-15",
    "KW 02/2024|KW 03/2024": "2024-01-08 2024-01-15",
    "2024 W2|2024 W12": "2024-01-08 2024-03-18",
    "Week 2, 2024|Week 12, 2024": "2024-01-08 2024-03-18",
    "Q1 FY24|Q4 FY24": "2024-01-01 2024-10-01",
    "FY2024 Q1|FY2024 Q4": "2024-01-01 2024-10-01",
    "4Q99|1Q00": "1999-10-01 2000-01-01",
    "FY2019|FY2020": "2019-01-01 2020-01-01",
    "2019/20|2020/21": "2019-01-01 2020-01-01",
    "2010-11|2011-12": "2010-01-01 2011-01-01",  # the 11th and 12th month, were it not for the other line
    "2019-2020|2020-2021": "2019-01-01 2020-01-01",
    "vendredi 5 janvier 2024|mardi 9 janvier 2024": "2024-01-05 2024-01-09",
    "sexta-feira, 5 de janeiro de 2024|terça-feira, 9 de janeiro de 2024": "2024-01-05 2024-01-09",
}


@pytest.mark.parametrize("cells", DATES)
def test_dates_of_other_countries_and_programs(cells):
    texts, expected = cells.split("|"), np.array(DATES[cells].split(), "datetime64[ns]").astype(np.int64)
    assert all(map(is_time, texts))
    assert read_stamps(np.array(texts, object), str).times.tolist() == expected.tolist()


@pytest.mark.parametrize("tongue", MONTHS)
def test_months_of_other_languages(tongue, put):
    lines = [f"{name} {year};{year},5" for year in (2001, 2002) for name in MONTHS[tongue].split()]
    series = taken(put("\n".join(["when;y", *lines])))
    expected = [datetime.date(year, month, 1) for year in (2001, 2002) for month in range(1, 13)]
    assert [np.datetime64(int(t), "ns").astype("datetime64[D]").item() for t in series.times(0)] == expected
    assert series.values[0].tolist() == [2001.5] * 12 + [2002.5] * 12


@pytest.mark.parametrize("cell", ["Mar 5, 2024", "KW 12", "12 h", "Lot 20240105-1", "2011/12", "x"])
def test_other_cells_stay(cell):
    assert english(cell) == cell


def test_a_month_is_no_season_unless_all_lines_are():
    assert is_season("2011/12") and not is_season("2011/11") and not is_season("2011/1")
    months = [f"2011/{month:02d}" for month in range(1, 13)]
    expected = np.array([f"2011-{month:02d}" for month in range(1, 13)], "datetime64[ns]").astype(np.int64)
    assert read_stamps(np.array(months, object), str).times.tolist() == expected.tolist()


def test_no_rule_changes_a_number(monkeypatch):
    """So that numbers need not be looked at: the rules themselves leave each as it is."""
    draw = np.random.default_rng(0)
    digits = ["".join(draw.choice(list("0123456789"), draw.integers(1, 15))) for _ in range(300)]
    numbers = [sign + cell for cell in (*digits, "2024.05", "20240131", "2024.") for sign in ("", "-", "+")]
    numbers += [f"{cell[:k]}.{cell[k:]}" for cell in digits for k in (1, 2, 4, 8)]
    assert [english(cell) for cell in numbers] == numbers
    monkeypatch.setattr(tongues, "_NUMBER", re.compile("(?!)"))
    assert [english(cell) for cell in numbers] == numbers
