"""Dates of other countries and programs in a spelling that times/written.py knows: months and weekdays in English,
digits of other scripts, 2024年1月5日, 20240105T1400Z, 14h30, KW 5/2024, Q1 FY24, `Thu Jan 05 14:30:00 2024`.
"""

from __future__ import annotations

import calendar
import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from times import periods, ranges

ZONES = {  # names of offsets that mean one; those of several (IST, AST) are none of them
    **{"UTC": "+00:00", "GMT": "+00:00", "WET": "+00:00", "WEST": "+01:00", "CET": "+01:00", "CEST": "+02:00"},
    **{"MEZ": "+01:00", "MESZ": "+02:00", "EET": "+02:00", "EEST": "+03:00", "EST": "-05:00", "EDT": "-04:00"},
    **{"CDT": "-05:00", "MST": "-07:00", "MDT": "-06:00", "PST": "-08:00", "PDT": "-07:00"},
}
_LONG = [
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
]
_ENGLISH = [name[:3] for name in _LONG]
# German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Polish, Czech, Turkish, Russian; Indonesian, Malay,
# Romanian, Hungarian, Finnish, Slovene, Serbian, Slovak, Baltic, Icelandic, Catalan, Greek, Ukrainian, Arabic, Hebrew.
_MONTHS = (
    "januar jänner janvier janv enero ene gennaio gen janeiro januari styczeń stycznia sty leden ledna ocak oca "
    "январь января янв ianuarie ian január jaanuar janvāris sausis sausio tammikuu tammikuuta tammi janúar gener "
    "ιανουάριος ιανουαρίου ιαν січень січня січ يناير ינואר",
    "februar février févr fév fevrier febrero febbraio fevereiro fev februari luty lutego lut únor února şubat şub "
    "февраль февраля фев февр februarie február febr veebruar februāris vasaris vasario helmikuu helmikuuta helmi "
    "febrúar febrer φεβρουάριος φεβρουαρίου φεβ лютий лютого лют فبراير פברואר",
    "märz mär mars marzo maerz março maart mrt marts marzec marca březen března mart март марта мар maret mac "
    "martie március márc marec märts kovas kovo maaliskuu maaliskuuta maalis març μάρτιος μαρτίου μαρ березень "
    "березня бер مارس מרץ",
    "avril avr abril abr aprile april kwiecień kwietnia kwi duben dubna nisan nis апрель апреля апр aprilie április "
    "ápr apríl aprill aprīlis balandis balandžio huhtikuu huhtikuuta huhti απρίλιος απριλίου απρ квітень квітня кві "
    "أبريل אפריל",
    "mai mayo maggio mag maio mei maj maja květen května mayıs май мая május máj maijs gegužė gegužės toukokuu "
    "toukokuuta touko maí maig μάιος μαΐου μαϊ травень травня тра مايو מאי",
    "juni juin junio giugno giu junho czerwiec czerwca cze červen června haziran haz июнь июня июн iunie iun június "
    "jún junij juuni jūnijs birželis birželio kesäkuu kesäkuuta kesä júní juny ιούνιος ιουνίου ιουν червень червня "
    "чер يونيو יוני",
    "juli juillet juil julio luglio lug julho lipiec lipca lip červenec července temmuz tem июль июля июл julai "
    "iulie iul július júl julij juuli jūlijs liepa liepos heinäkuu heinäkuuta heinä júlí juliol ιούλιος ιουλίου "
    "ιουλ липень липня лип يوليو יולי",
    "août agosto ago aout augustus augusti sierpień sierpnia sie srpen srpna ağustos ağu август августа авг agustus "
    "agu agt ags ogos augusztus avgust avg augusts rugpjūtis rugpjūčio elokuu elokuuta elo ágúst agost αύγουστος "
    "αυγούστου αυγ серпень серпня сер أغسطس אוגוסט",
    "sept septembre septiembre settembre set sett setembro wrzesień września wrz září eylül eyl сентябрь сентября "
    "сен сент septembrie szeptember szept septembar septembris rugsėjis rugsėjo syyskuu syyskuuta syys setembre "
    "σεπτέμβριος σεπτεμβρίου σεπ вересень вересня вер سبتمبر ספטמבר",
    "oktober octobre octubre ottobre ott okt outubro out październik października paź říjen října ekim eki октябрь "
    "октября окт octombrie október oktobar oktoober oktobris spalis spalio lokakuu lokakuuta loka οκτώβριος "
    "οκτωβρίου οκτ жовтень жовтня жов أكتوبر אוקטובר",
    "novembre noviembre novembro listopad listopada lis listopadu kasım kas ноябрь ноября ноя нояб noiembrie noi "
    "novembar novembris lapkritis lapkričio marraskuu marraskuuta marras nóvember νοέμβριος νοεμβρίου νοε листопад "
    "листопада лис نوفمبر נובמבר",
    "dezember dez décembre diciembre dicembre dic decembre déc dezembro december desember grudzień grudnia gru "
    "prosinec prosince aralık ara декабрь декабря дек decembrie disember dis decembar detsember decembris gruodis "
    "gruodžio joulukuu joulukuuta joulu desembre des δεκέμβριος δεκεμβρίου δεκ грудень грудня гру ديسمبر דצמבר",
)
MONTHS = {word.casefold(): name for name, words in zip(_ENGLISH, _MONTHS, strict=True) for word in words.split()}
_DAYS = {  # of a week, by their first two letters, in the same languages
    "mo", "di", "mi", "do", "fr", "sa", "so", "tu", "we", "th", "su", "lu", "ma", "me", "je", "ve", "gi", "ju",
    "vi", "sá", "se", "te", "qu", "vr", "za", "wo", "zo", "må", "ti", "on", "to", "lö", "sö", "lø", "sø", "pn",
    "wt", "śr", "cz", "pi", "ni", "po", "út", "st", "čt", "pá", "pz", "pa", "ça", "pe", "cu", "ct", "пн", "вт",
    "ср", "чт", "пт", "сб", "вс", "по", "че", "пя", "су", "нд", "δε", "τρ", "τε", "πέ", "πα", "σά", "κυ",
}  # fmt: skip
_NO_DAYS = ("total", "sum", "somme", "mean", "media", "mittel", "moyen", "min", "max")  # though they begin as one does
_WORD = re.compile(r"[^\W\d_]{2,}\.?")
_AFTER_DAY = re.compile(r"(?:-\w+)?[., ]+\d")
_UNTIL = re.compile(
    r"""(?<=:\d\d)(?:[ ]Uhr)? (?:[ ](?:-|\N{EN DASH}|bis|to)[ ] (?:\d[\d./]*\d[ ]|\d{4}-\d\d-\d\d[ ])?
        \d\d?:\d\d(?::\d\d)?(?:[ ]Uhr)?|[ ]Uhr)$""",
    re.VERBOSE,
)
_DAY = r"(?:\d{4}[-/.]\d\d?[-/.]\d\d?|\d\d?[-/.]\d\d?[-/.]\d{4})"
_UNTIL_DAY = re.compile(rf"(?<=\d)(?: (?:-|to|bis|au|al) | ?[\N{{EN DASH}}\N{{EM DASH}}] ?|[-/]){_DAY}$")  # of a week
_BRACKETED = re.compile(rf" \((?:({'|'.join(ZONES)})|[A-Z]{{3,4}}/[A-Z]{{3,4}})\)$")  # (UTC); (CET/CEST) is no offset
_INTERVAL = re.compile(r"(?<=\d)(Z?)/\d{4}-\d\d-\d\d[T ][\d:.]+Z?$")  # of ISO 8601: from / to
_DIGITS = re.compile(r"^((?:19|20)\d\d)(\d\d)(\d\d):(\d\d)(\d\d)$")  # 20160131:2310
_OFFSET = r"(Z|[+-]\d\d(?::?\d\d)?)?"
_Rule = tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]
_HALVES = {"오전": "AM", "上午": "AM", "午前": "AM", "오후": "PM", "下午": "PM", "午後": "PM"}


def _joined(mark: str, found: re.Match[str]) -> str:
    """The parts that were found, with a mark between."""
    return mark.join(filter(None, found.groups()))


_EASTERN: list[_Rule] = [
    (
        re.compile(r"^(\d{4}) ?[年년] ?(\d\d?) ?[月월](?: ?(\d\d?) ?[日일])?"),
        lambda m: "-".join(filter(None, m.groups())) + " " * m.string[m.end() : m.end() + 1].isdecimal(),
    ),
    (
        re.compile(r" ?(\d\d?)[時时点시] ?(\d\d?)[分분](?: ?(\d\d?)[秒초])?$"),
        lambda m: " " + ":".join(filter(None, m.groups())),
    ),
    (re.compile(r"(?<=\d) ?(\d\d?)[時时点시]$"), r" \1:00"),
    (re.compile(rf" ({'|'.join(_HALVES)}) ?([\d:]+)$"), lambda m: f" {m[2]} {_HALVES[m[1]]}"),
]
_CLOCK = r"\d\d?:\d\d(?::\d\d)?"
_WEEK = r"(?:KW|CW|W|Week|Woche|Semaine|Semana|Sem\.?)"
_YEARS = r"((?:19|20)\d\d)"
COMPACT = re.compile(
    rf"^{_YEARS}(\d\d)(\d\d)[T ](\d\d)(\d\d)(?:(\d\d)(\.\d+)?)?{_OFFSET}$"
)  # basic ISO 8601, maybe with a space
AFTER_COMMA = re.compile(
    r"(?<=\d:\d\d:\d\d)(?:,(?=\d{1,9})|:(?=\d{3}(?:\d{3})?\b))(\d+)(?=$|Z|[ +-])"
)  # parts of a second, as loggers write them
_RULES: list[_Rule] = [
    (re.compile(r"^(\d{4})\. ?(\d\d?)\. ?(\d\d?)\.(?= |$)"), r"\1-\2-\3"),  # of Korea
    (AFTER_COMMA, r".\1"),
    (re.compile(r"^'(?=\d)"), ""),  # by which a spreadsheet marks text
    (re.compile(r"(Z|[+-]\d\d:?\d\d) ?\[\w+(?:/[\w+-]+)*\]$"), r"\1"),  # of Java: +01:00[Europe/Berlin]
    # Of web servers, of C's ctime and Unix' date, of JavaScript.
    (re.compile(rf"^\[?(\d\d)/([A-Za-z]{{3}})/(\d{{4}}):({_CLOCK})(?: ([+-]\d{{4}}))?\]?$"), r"\1-\2-\3 \4\5"),
    (re.compile(rf"^(?:[A-Z][a-z]{{2}} )?([A-Z][a-z]{{2}}) +(\d\d?) ({_CLOCK}) (?:([A-Z]{{3,4}}) )?(\d{{4}})$"),
     lambda m: f"{m[2]} {m[1]} {m[5]} {m[3]}{ZONES.get(m[4] or '', '')}"),
    (re.compile(rf"^[A-Z][a-z]{{2}} ([A-Z][a-z]{{2}}) (\d\d) (\d{{4}}) ({_CLOCK}) GMT([+-]\d{{4}})(?: \(.*\))?$"),
     r"\2 \1 \3 \4\5"),
    (re.compile(rf"^({_CLOCK}),? +({_DAY}|\d\d?[ -][A-Za-z]{{3}}[ -]\d{{4}})$"), r"\2 \1"),
    (COMPACT,
     lambda m: f"{m[1]}-{m[2]}-{m[3]} {m[4]}:{m[5]}:{m[6] or '00'}{m[7] or ''}{m[8] or ''}"),
    (re.compile(r"(?<=\d)(?:st|nd|rd|th)\b"), ""),
    (re.compile(r"(?<=\d[T ])(\d\d?) ?h ?(\d\d)?$"), lambda m: f"{m[1]}:{m[2] or '00'}"),
    (re.compile(rf"^{_WEEK} ?0?(\d\d?)[ ,/.-]+{_YEARS}$", re.IGNORECASE), lambda m: f"{m[2]}-W{int(m[1]):02d}"),
    (re.compile(rf"^{_YEARS}[ ,/.-]*{_WEEK} ?0?(\d\d?)$", re.IGNORECASE), lambda m: f"{m[1]}-W{int(m[2]):02d}"),
    (re.compile(r"^Q([1-4])[ /'-]*(?:FY)?[ '-]*(\d{4}|\d\d)$", re.IGNORECASE), lambda m: f"{full_year(m[2])}-Q{m[1]}"),
    (re.compile(r"^([1-4])Q[ '-]?(\d\d)$", re.IGNORECASE), lambda m: f"{full_year(m[2])}-Q{m[1]}"),
    (re.compile(r"^FY ?'?(\d{4}|\d\d)[ -]?(Q[1-4]|)$", re.IGNORECASE),
     lambda m: f"{full_year(m[1])}-{m[2].upper() or 'Q1'}"),
    *periods.RULES,
]  # fmt: skip
_NUMBER = re.compile(r"[+-]?\d+\.?\d*", re.ASCII)
_SEASON = re.compile(r"(?:FY ?)?((?:1[89]|20)\d\d) ?[-/\N{EN DASH}] ?((?:1[89]|20)?\d\d)")
_LAST_SHORT = 40  # the last year of this century that two digits mean: 41 is 1941
MOST_WORDED = 0.2  # of a table's lines may have words in place of a time: a total of each week, a remark
NO_YEARS = (0, 1, 9999)  # of dates that stand for none
_DATE = re.compile(r"(\d{4})([-/.]?)(\d{1,2})\2(\d{1,2})(?!\d)|(\d{1,2})([-/.])(\d{1,2})\6(\d{4})(?!\d)")
_MONTH_ALONE, _DAY_FIRST = r"(?:1[89]|20)\d\d(?:[-/.]\d{1,2})?", r"\d{4}[-/.]\d{1,2}[-/.]\d"
SEASONS = "times are the years in which their seasons begin: of 2019/20 the first"


def full_year(digits: str) -> str:
    """A year of two digits or four with four.

    Parameters
    ----------
    digits : of the year.
    """
    return digits if len(digits) == 4 else f"{20 if int(digits) <= _LAST_SHORT else 19}{digits}"


@lru_cache(maxsize=1 << 14)  # a name or a time of the first lines is asked for once a separator, a line and a reader
def english(cell: str) -> str:
    """A date with its month in English, without a day of the week, of a time from ... to ... the first, and as above.

    Parameters
    ----------
    cell : its text.
    """
    if _NUMBER.fullmatch(cell):  # as most cells are: no rule is about digits and a dot alone
        return cell
    if not cell.isascii():
        cell = _eastern(cell)
    cell = ranges.first_of(cell, month_of)
    for rule, spelled in _RULES:
        cell = rule.sub(spelled, cell)
    zone = _BRACKETED.search(cell) if cell.endswith(")") else None
    cell = _UNTIL.sub("", cell[: zone.start()] if zone else cell)
    if zone and zone[1]:
        cell = f"{cell}{ZONES[zone[1]]}"
    if "/" in cell or ":" in cell[8:9]:
        cell = _DIGITS.sub(r"\1-\2-\3 \4:\5", _INTERVAL.sub(r"\1", cell))
    cell = _UNTIL_DAY.sub("", cell)
    if not _WORD.search(cell):
        return cell
    day = _WORD.match(cell)
    rest = cell[day.end() :] if day else ""
    alone = day and (not _is_month(day[0]) or any(map(_is_month, _WORD.findall(rest))))  # mar. is mardi and mars
    if day and alone and day[0].casefold()[:2] in _DAYS and not day[0].casefold().startswith(_NO_DAYS):
        cell = re.sub(r"^(?:-\w+)?[., ]+", "", rest) if _AFTER_DAY.match(rest) else cell
    cell = re.sub(r"(?<=\d)\. ?(?=[^\W\d])", " ", cell)
    cell = re.sub(r"(?<=[\d\w]) de(?= [^\W\d]| \d{4})", "", cell)  # 5 de enero de 2024
    return _WORD.sub(lambda word: MONTHS.get(word[0].casefold().removesuffix("."), word[0]), cell)


def _is_month(word: str) -> bool:
    return month_of(word) > 0


def month_of(word: str) -> int:
    """The number of a month by its name in any language, maybe a short one; 0 for another word."""
    bare = word.casefold().removesuffix(".")
    name = MONTHS.get(bare, bare.title())
    return next((number for number, long in enumerate(_LONG, 1) if name in (long, long[:3])), 0)


def _eastern(cell: str) -> str:
    """A date with digits of ASCII, and without the signs of years, months and days of China, Japan and Korea."""
    cell = "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in cell)
    for rule, spelled in _EASTERN:
        cell = rule.sub(spelled, cell)
    return cell.strip()


def is_span(cell: str) -> bool:
    """Whether a cell holds a time, or days, from ... to ...

    Parameters
    ----------
    cell : its text.
    """
    bare = _BRACKETED.sub("", cell)
    found = _UNTIL.search(bare) or _INTERVAL.search(cell) or _UNTIL_DAY.search(bare)
    named = ranges.first_of(cell, month_of) != cell
    return named or (found is not None and any(map(str.isdigit, found[0])))


def is_season(cell: str) -> bool:
    """Whether a cell names a year and the next one, as seasons and fiscal years are called: 2019/20, 2019-2020.

    Parameters
    ----------
    cell : its text; 2011/12 may be a month as well.
    """
    found = _SEASON.fullmatch(cell)
    return found is not None and (int(found[1]) + 1) % 100 == int(found[2][-2:]) and len(found[2]) in (2, 4)


def seasons(cells: Sequence[str]) -> list[str]:
    """The first of January of each cell's first year where all cells are such seasons; [] where one is not.

    Parameters
    ----------
    cells : text.
    """
    found = [_SEASON.fullmatch(cell) for cell in cells if is_season(cell)]
    return [f"{match[1]}-01-01" for match in found if match] if len(found) == len(cells) else []


def is_unreal(cell: str) -> bool:
    """Whether a date is of a day that its month lacks, in each order that it may have (2021-02-29, 31/04/2021), or one
    that databases and spreadsheets put where there is none: 0000-00-00, 1900-01-00, 0001-01-01, 31.12.9999.

    Parameters
    ----------
    cell : text.
    """
    found = _DATE.match(cell)
    if not found:
        return False
    year, mark, month, day, *ends, last = found.groups()
    if year and not mark and len(found[0]) < len("20240101"):  # the number of a detector
        return False
    if int(year or last) in NO_YEARS:
        return True
    orders = [(month, day)] if year else [(ends[0], ends[2]), (ends[2], ends[0])]
    dates = [(int(month), int(day)) for month, day in orders if int(month) <= 12 and int(day) <= 31]
    return bool(dates) and all(not 0 < day <= _days(int(year or last), month) for month, day in dates)


def _days(year: int, month: int) -> int:
    """How many days a month has; 0 for none."""
    return calendar.monthrange(year, month)[1] if month else 0


def of_whole_months(text: Any) -> Any:
    """Mask [n] of the few times of a pandas column that are a month or a year alone, where all others begin with a day
    (2023-01 among 2023-01-31); None where none is, or many are.

    Parameters
    ----------
    text : cells [n].
    """
    short = text.str.fullmatch(_MONTH_ALONE).fillna(False).to_numpy(bool)
    if not short.any() or short.sum() > MOST_WORDED * len(short):
        return None
    return short if text[~short].str.match(_DAY_FIRST).all() else None
