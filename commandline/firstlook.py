"""What a table is, and the commands that suit it: the answer to a command that does not say what to learn."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from commandline.flags import PROG
from config import RunConfig, check_all, core_flags
from errors import DataError, many
from readers.dialect import AUTO
from sources.appliances import appliance

if TYPE_CHECKING:
    import numpy as np

    from data import Series

DATA = [
    "sep",
    "decimal",
    "thousands",
    "date_order",
    "na",
    "nan",
    "time_col",
    "id_col",
    "columns",
    "categorical",
    "resample",
    "tz",
    "header",
    "index",
    "labels",
    "groups",
]
SAFE = ("resample", "id_col", "time_col")  # flags that a hint of the reader may add, one reading at a time
TRIES = 4
HORIZONS = {"YS": 3, "QS": 4, "MS": 12, "W": 8, "7D": 8, "D": 14, "B": 10, "h": 24, "min": 60, "s": 60}
DAY, A_DAY_FROM = 1440, 10  # minutes; steps from which on a day is asked for
# Steps that are called by letters elsewhere.
STEPS = {"YS": "a year", "QS": "a quarter", "MS": "a month", "W": "a week", "7D": "a week"}
PART = 6  # of the shortest series, at most, that is forecast
COARSE = 3_600_000_000_000  # ns: the longest step with which appliances are told apart
MOST_NAMES = 8
ROWS = 10  # of a wide table, with fewer of which its parts are in time
LEAST = 3  # steps of a row that anything can be learned from
LONG_ROW = 50  # steps, from which on a row can be forecast


def answer(raw: Mapping[str, Any]) -> str:
    """What the data are, and complete commands for them.

    Parameters
    ----------
    raw : the flags that were given, none of them a task.

    Raises
    ------
    DataError : a file that is not there, or is no table.
    """
    if raw.get("csv"):
        return _of_files(raw)
    if raw.get("npz"):
        place = ["--npz", str(raw["npz"])]
        command = ["--task", "classify", *place, "--test-ratio", "0.2"]
        return _shown([], [(command, "the labels that the file holds")])
    if raw.get("db"):
        place = ["--db", "postgresql://USER@HOST/NAME", "--db-query", "FILE.sql"]
        text = "FILE.sql holds a SELECT: the time first, then one column per channel"
        return _shown([], [(["--task", "forecast", *place], text)])
    demos = [(["--task", task, "--demo"], text) for task, text in DEMOS.items()]
    return _shown(["Say what to learn, and from which files. With data of its own:"], demos)


DEMOS = {
    "forecast": "how series go on: electricity load of three sites",
    "classify": "whether the first channel is on in the next step",
    "regress": "the next value of a channel: the temperature of heated rooms",
    "nilm": "which appliance is on, behind the meter of a house",
}


def _of_files(raw: Mapping[str, Any]) -> str:
    words = [str(word) for word in ([raw["csv"]] if isinstance(raw["csv"], str) else raw["csv"])]
    given = {name: raw[name] for name in DATA if name in raw}
    series, more, problem = _read(words, given)
    facts = [", ".join(words) if len(words) < 4 else f"{words[0]} and {len(words) - 1} more"]
    flags = [word for name, value in (given | more).items() for word in _typed(name, value)]
    if series is None:
        assert problem is not None
        if offered := _offered(problem, ["--csv", *words, *flags]):
            return _shown([facts[0], f"  {problem.what}"], offered)
        raise problem
    if not series.numeric:
        raise DataError(f"no column of numbers: {', '.join(series.channels[:MOST_NAMES])}", where=facts[0])
    if int(series.lengths.max()) < LEAST and "time_col" not in {**given, **more}:
        what = f"each line is a series of {many(int(series.lengths.max()), 'step')} here, and no window fits into it"
        hint = "--time-col COL if each line is a step of time, and COL holds times such as 2024-12-31 14:30"
        raise DataError(what, where=facts[0], hint=hint)
    facts += [f"  {line}" for line in _facts(series, {**given, **more})]
    place = ["--csv", *words, *flags]
    commands = _of_long(series, place) if "time_col" in {**given, **more} else _of_wide(series, place)
    return _shown(facts, commands)


def _read(words: Sequence[str], given: Mapping[str, Any]) -> tuple[Series | None, dict[str, Any], DataError | None]:
    """The series, the flags that reading it took, and what stops it where it cannot be read."""
    from readers.dated import dated
    from readers.dialect import Dialect
    from readers.guess import LINE
    from readers.paths import expand_paths
    from readers.unlabelled import unlabelled_in
    from sources.reading import read

    path, *others = expand_paths(words)
    asked = Dialect(str(given.get("sep", AUTO)), str(given.get("decimal", AUTO)))
    found = None if {"time_col", "header", "index"} & given.keys() else dated(path, asked, str(given.get("id_col", "")))
    more: dict[str, Any] = {}
    problem = None
    if found is not None and not found.steps and (found.time != LINE or found.follow or others):
        more = {"time_col": found.time} | ({"id_col": found.ids[0]} if found.ids and "id_col" not in given else {})
    for _ in range(TRIES):
        values, _problems = check_all(core_flags(), {**given, **more, "csv": list(words)})
        try:
            series = read(RunConfig(**values))
            wide = series.labels is None and not others and not {"time_col", "header", "index"} & {*given, *more}
            problem = unlabelled_in(path, asked) if wide else None
            return None if problem else series, more, problem
        except DataError as error:
            problem = error
            added = _added(error, {*given, *more})
            if not added:
                break
            if added.get("time_col") == LINE:  # lines of one series, whatever their times were to tell apart
                more.pop("id_col", None)
            more |= added
    return None, more, problem


def _added(error: DataError, known: set[str]) -> dict[str, Any]:
    """The flag that a hint names, where it does not leave a choice to the user."""
    hint = error.hint.partition("; --time-col line")[0]  # another reading of the whole table
    if "occurs twice" in error.what:
        hint = hint.partition("; --id-col")[0]  # no column was seen to say whose a line is
    named = re.findall(r"--([a-z-]+) (?!names )('[^']*'|[^\s,;]+)", hint)
    if len({name for name, _ in named}) != 1 or len(named) > 1:
        return {}
    name, value = named[0][0].replace("-", "_"), named[0][1].strip("'")
    return {name: value} if name in SAFE and name not in known - {"time_col"} else {}


def _offered(problem: DataError, place: Sequence[str]) -> list[tuple[list[str], str]]:
    """The tasks that a hint names for tables of each kind that this one may be, as commands, and what each is for; of a
    hint that names readings alone, forecasts."""
    found = re.findall(r"(--task \w+(?: --[a-z-]+ [\w-]+)+) (if [^,;]+)", problem.hint)
    parts = ["--test-ratio", "0.2", "--backbone", "auto"]
    commands = [([*words.split(), *place, *parts], kind) for words, kind in found]
    if commands or problem.hint.startswith("--columns"):
        return commands
    found = re.findall(r"(--[a-z-]+ (?:'[^']*'|[^\s,;]+)) (if [^,;]+)", problem.hint)
    readings = [(shlex.split(words), kind) for words, kind in found]
    return [(["--task", "forecast", *place, *words], kind) for words, kind in readings] if len(readings) > 1 else []


def _typed(name: str, value: Any) -> list[str]:
    """A setting as words of a command line."""
    values = [str(part) for part in value] if isinstance(value, (list, tuple)) else [str(value)]
    return [f"--{name.replace('_', '-')}", *values]


# ---- what it is


def _facts(series: Series, settings: Mapping[str, Any]) -> list[str]:
    """Lines on what was read."""
    lengths, columns = series.lengths, ", ".join(series.channels[:MOST_NAMES])
    more = f" and {series.n_channels - MOST_NAMES} more" if series.n_channels > MOST_NAMES else ""
    size = (
        f"{int(lengths.min())}" if lengths.min() == lengths.max() else f"{int(lengths.min())} to {int(lengths.max())}"
    )
    if "time_col" not in settings:
        told = [f"a wide table: {series.n_rows} rows (series) of {size} steps, {many(series.n_channels, 'channel')}"]
        return [*told, *(note.removeprefix("warning: ") for note in series.notes)]
    told = [f"a dated table: {many(series.n_rows, 'series')} of {size} steps, {many(series.n_channels, 'column')}"]
    told[0] += f" ({columns}{more})"
    if series.time is not None and series.clock is not None:
        first, last = series.clock.show(series.time[[int(series.time.argmin()), int(series.time.argmax())]])
        told.append(f"from {first} to {last} in {settings['time_col']!r}, in steps of {_step(series)}")
    for name, words in zip(series.channels[series.numeric :], series.words, strict=True):
        listed = ", ".join(words[:MOST_NAMES]) + (", ..." if len(words) > MOST_NAMES else "")
        told.append(f"categories in {name!r}: {listed}")
    if "id_col" in settings:
        told.append(f"series by {settings['id_col']!r}: {', '.join(series.rows[:MOST_NAMES])}")
    if "resample" in settings:
        told.append(f"steps are not regular: averaged to {settings['resample']}, and steps without a line are missing")
    return [*told, *(note.removeprefix("warning: ") for note in series.notes)]


def _step(series: Series) -> str:
    from readers.rows import span

    assert series.clock is not None
    if series.clock.hours or any(series.clock.dates):
        return str(series.clock)
    return STEPS.get(_kind(series.clock.freq)) or span(series.clock)


# ---- what to type


def _of_long(series: Series, place: Sequence[str]) -> list[tuple[list[str], str]]:
    """Commands for a dated table, and what each is for."""
    horizon = min(_horizon(series), max(int(series.lengths.min()) // PART, 1))
    first = series.channels[0]
    parts = ["--split-mode", "holdout", "--test-ratio", "0.2", "--backbone", "auto"]
    commands = [
        (["--task", "forecast", *place, "--horizon", str(horizon)], f"how it goes on: the next {horizon} steps")
    ]
    mains, devices = _house(series)
    if {"Aggregate", "Appliance1"} <= set(series.channels):
        words = place[: place.index("--time-col")]
        commands.append((["--task", "nilm", "--dataset", "refit", *words], "which appliance is on behind Aggregate"))
    elif devices:
        names = ["--mains-col", mains, "--device-cols", *devices]
        meters = [word for flag in ("--nan", "--id-col") for word in _pair(place, flag)]  # nilm has its own
        plain = [word for word in place if word not in meters]
        commands.append((["--task", "nilm", *plain, *names], f"which appliance is on behind {mains}"))
    commands.append((["--task", "regress", *place, *parts], f"the next value of {first}, from all columns"))
    high = ["--bin-rule", "quantile", "--bin-thr", "0.8"]
    if by_path := _of_paths(place):
        commands.append((["--task", "classify", *place, *parts[2:]], f"the {by_path} of each file, for whole files"))
    elif label := _label(series):
        several = parts[2:] if series.n_rows > 1 else parts
        written = ["--drop-label-from-x"] if label in series.text else []  # what people write beside is not known ahead
        words = ["--task", "classify", *place, "--label-src-ch", label, *written, *several]
        commands.append((words, f"{label}, which has a few values alone"))
    elif len(commands) < 3:
        commands.append(
            (["--task", "classify", *place, *high, *parts], f"whether {first} will be among its highest fifth")
        )
    return commands


def _label(series: Series) -> str:
    """The column that classify would take as the label: the only one with the name of a label, or else the only one of
    codes, or else the only one of words; "" where there is none, or there are several."""
    from readers.guess import is_person
    from readers.named_labels import named_as_labels
    from tasks.label_choice import codes

    numbers = zip(series.channels, series.values[: series.numeric], strict=False)
    coded = [name for name, values in numbers if codes(values) and not is_person(name)]
    named = named_as_labels([*coded, *series.text])
    return next((found[0] for found in (named, coded, series.text) if len(found) == 1), "")


def _are_codes(labels: np.ndarray) -> bool:
    """Whether the labels [N, K] of rows are classes by their numbers, and no measurements."""
    from tasks.label_choice import codes

    return all(bool(codes(column)) for column in labels.T)


def _of_paths(place: Sequence[str]) -> str:
    """What tells the classes of files by their folders or names; "" for nothing that does."""
    from readers.paths import expand_paths
    from sources.path_labels import PLACES, SAID, classes_of

    words = place[1 : next((k for k, word in enumerate(place) if k and word.startswith("--")), len(place))]
    paths = expand_paths(words)
    return next((SAID[each] for each in PLACES if "--id-col" not in place and classes_of(paths, each)), "")


def _horizon(series: Series) -> int:
    if series.clock is None:
        return 24
    if any(series.clock.dates):
        return series.clock.periods[-1]  # a year
    kind = _kind(series.clock.freq)
    minutes = kind.removesuffix("min")
    if minutes.isdecimal() and int(minutes) >= A_DAY_FROM and DAY % int(minutes) == 0:
        return DAY // int(minutes)
    return HORIZONS.get(kind) or HORIZONS.get(kind.lstrip("0123456789"), 24)


def _kind(freq: str) -> str:
    """A step without the day or month on which it begins: W of W-SUN."""
    return re.sub(r"[-@].*$", "", freq)


def _house(series: Series) -> tuple[str, list[str]]:
    """The mains and the devices of a house's meters, ("", []) for another table."""
    fine = series.clock is not None and not series.clock.calendar and series.clock.step <= COARSE
    if not fine or series.n_rows > 1 or series.words:  # nilm reads power alone
        return "", []
    from tasks.nilm.meters import house_of

    known: dict[bytes, str] = {}  # of columns that say the same, as two of the mains may, the first
    for name, values in zip(series.channels[: series.numeric], series.values, strict=False):
        known.setdefault(values.tobytes(), name)
    mains, devices = house_of(list(known.values()))
    return (mains, devices) if any(map(appliance, devices)) else ("", [])


def _pair(words: Sequence[str], flag: str) -> list[str]:
    """A flag and its value among the words of a command; [] where it is not there."""
    return list(words[words.index(flag) : words.index(flag) + 2]) if flag in words else []


def _of_wide(series: Series, place: Sequence[str]) -> list[tuple[list[str], str]]:
    """Commands for wide tables, and what each is for."""
    parts = ["--test-ratio", "0.2", "--backbone", "auto"]
    if series.labels is not None:
        task = "classify" if series.label_words or _are_codes(series.labels) else "regress"
        return [(["--task", task, *place, *parts], "the label that each row has")]
    if series.n_rows < ROWS:
        parts = ["--split-mode", "holdout", *parts]
    first = series.channels[0]
    high = ["--bin-rule", "quantile", "--bin-thr", "0.8"]
    commands = [(["--task", "regress", *place, *parts], f"the next value of {first}")]
    commands.append((["--task", "classify", *place, *high, *parts], f"whether {first} will be among its highest fifth"))
    if int(series.lengths.min()) >= LONG_ROW:
        commands.insert(0, (["--task", "forecast", *place], "how each row goes on"))
    return commands


def _shown(facts: Sequence[str], commands: Sequence[tuple[Sequence[str], str]]) -> str:
    """Facts and commands as text."""
    lines = [line for words, text in commands for line in (f"  {PROG} {shlex.join(words)}", f"      {text}")]
    end = f"{PROG} --task forecast --help shows the flags of a task; nothing was trained."
    return "\n".join([*facts, *([""] if facts else []), *lines, "", end])
