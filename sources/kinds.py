"""The kind of data that the settings name, and the flags that would do nothing there.

A flag that is ignored without a word is a mistake that nobody sees: it is an error that says what the flag is for, and
what does the same here. `READS` lists the kinds of data for which a flag of every task does something, and `Flag.reads`
those of a flag of one task.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from config import Flag

KINDS = {  # in the order in which they are asked for
    "demo": "--demo",
    "npz": "--npz",
    "layout": "--dataset",
    "query": "--db with --db-query",
    "tables": "--db",
    "long": "--csv with --time-col",
    "wide": "--csv without --time-col",
}

_TABLES, _TIMED = ("wide", "long", "query"), ("long", "query", "layout", "tables")
READS: dict[str, tuple[str, ...]] = {
    "db_timeout": ("query", "tables"),
    "time_col": ("long",),
    "id_col": ("long", "query"),
    "columns": ("long", "query", "npz"),
    **dict.fromkeys(("categorical", "max_levels"), ("wide", "long", "query", "npz")),
    **dict.fromkeys(("resample", "tz"), _TIMED),
    **dict.fromkeys(("labels", "sep", "decimal"), _TABLES),
    **dict.fromkeys(("groups", "nan", "na"), (*_TABLES, "npz")),
    "thousands": ("wide", "long"),
    "date_order": ("long",),
    "drop_columns": ("wide",),
    **dict.fromkeys(("header", "index"), ("wide",)),
}
BY_STEPS: tuple[str, ...] = (  # flags for backbones that are trained by steps
    "epochs", "batch_size", "lr", "weight_decay", "optimizer", "optimizer_args", "scheduler", "scheduler_args",
    "patience", "clip",
)  # fmt: skip
INSTEAD = {"columns": "--csv names the wide files to read", "drop_columns": "--columns names those to read"}


def kind_of(flags: Iterable[Flag], values: Mapping[str, Any]) -> str:
    """The kind of data that settings name.

    Parameters
    ----------
    flags : those of the task and of all tasks.
    values : the settings by the flags' names, those of the task among them.

    Returns
    -------
    A key of KINDS.
    """
    if values["demo"] or values["npz"]:
        return "demo" if values["demo"] else "npz"
    if values["db"]:
        return "query" if values["db_query"] else "tables"
    made = [flag.makes for flag in flags if flag.makes and values[flag.name]]
    if made:
        return made[0]
    return "long" if values["time_col"] else "wide"


def idle(
    flags: Sequence[Flag], values: Mapping[str, Any], usual: Mapping[str, Any], given: Container[str]
) -> list[str]:
    """What is wrong with the given flags that do nothing for the kind of data: a line each.

    Parameters
    ----------
    flags : those of the task and of all tasks.
    values : the settings by name, all of `flags` among them.
    usual : their defaults.
    given : names of the flags that a user gave; one at its default does no harm.
    """
    kind = kind_of(flags, values)
    alike: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for flag in flags:
        reads = flag.reads or READS.get(flag.name, ())
        if reads and kind not in reads and flag.name in given and values[flag.name] != usual[flag.name]:
            alike.setdefault((reads, flag.instead or INSTEAD.get(flag.name, "")), []).append(flag.option)
    return [_line(options, kind, reads, instead) for (reads, instead), options in alike.items()]


def _line(options: Sequence[str], kind: str, reads: Sequence[str], instead: str) -> str:
    """One line for flags that are for the same kinds: most often one mistake."""
    belongs, does = ("belongs", "it does") if len(options) == 1 else ("belong", "they do")
    told = f"{', '.join(options)} {belongs} to {' or '.join(_uses(reads))}: with {KINDS[kind]} {does} nothing"
    return f"{told}; {instead}" if instead else told


def _uses(reads: Sequence[str]) -> list[str]:
    """Kinds as flags: --csv and --db alone where they stand for both of their kinds."""
    both = {"long": ("wide", "--csv"), "wide": ("long", ""), "query": ("tables", "--db"), "tables": ("query", "")}
    uses = (both[kind][1] if kind in both and both[kind][0] in reads else KINDS[kind] for kind in reads)
    return [use for use in uses if use]


def idle_training(
    why: str,
    values: Mapping[str, Any],
    usual: Mapping[str, Any],
    given: Container[str],
    names: Iterable[str] = BY_STEPS,
) -> str:
    """A warning of the given flags among `names` that say how to train by steps; "" without any."""
    idle = [name for name in names if name in given and values[name] != usual[name]]
    flags = ", ".join("--" + name.replace("_", "-") for name in idle)
    return f"warning: {flags} {'does' if len(idle) == 1 else 'do'} nothing: {why}" if idle else ""
