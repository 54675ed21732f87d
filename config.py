"""RunConfig: every setting of a run, frozen, typed and strict; all its problems are reported at once.

A setting is described once, by a `Flag`: in the fields below for what every task shares, in the literal table
`FLAGS` of a task's file for what is its own, in `HYPER` of a backbone's file for `--model-args`. The command line
(cli.py), the YAML file and the checks are all made from these descriptions. Nothing here imports torch or numpy,
so that a wrong flag is answered at once.
"""

from __future__ import annotations

import ast
import math
import re
import typing
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import Any

from errors import UsageError, nearest, without_password

MOST_LISTED = 30  # problems in one message
MOST_WHOLE = 10**15  # steps, windows, sizes: sums and products with the data's own stay within 64 bits
VERSION = "0.6.0"  # of tsrun, see CHANGELOG.md
MODES = ("train", "finetune", "infer")
SPELLED = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None, "null": None}
SPLITS = ("train", "val", "test", "all")
STAGES = ("encoder", "gru", "all", "end2end")
NAMES = "Checkpoint, backbone, names"
GROUPS = ("Run", "Data", "Windows", "Labels", "Split", "Training", "Speed", NAMES, "Reporting")  # as the help has them


@dataclass(frozen=True)
class Flag:
    """One setting. `many`: None for a single value, "+" for one or more, or an exact count."""

    name: str
    kind: type
    default: Any
    help: str
    group: str
    many: str | int | None = None
    choices: tuple[str, ...] = ()
    within: str = ""  # an interval such as "(0,1)" or "[1,)"
    number_too: str = ""  # with choices: a number in this interval is taken as well
    binds: bool = False  # part of what a checkpoint means: a flag that contradicts it is an error
    names: bool = False  # of name=item pairs: the names bind, the items are those of some files
    reads: tuple[str, ...] = ()  # the kinds of data it does something for, see sources/kinds.py; () for all
    channels: bool = False  # its words are names of channels
    makes: str = ""  # with a value, data are of this kind
    instead: str = ""  # what does the same for other kinds
    local: bool = False  # a place on this machine: it may differ between machines that share a search
    trains: bool = True  # False: the weights that training ends with do not depend on it
    alias: str = ""  # another name on the command line
    metavar: str = ""  # placeholder of the value in the help, where the type is too vague

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")


def _flag(default: Any, group: str, text: str, **more: Any) -> Any:
    meta = {"group": group, "help": text, **more}
    return field(default_factory=dict, metadata=meta) if default == {} else field(default=default, metadata=meta)


@dataclass(frozen=True)
class RunConfig:
    """One run. Fields are the flags of every task; `options` holds the flags of this run's task."""

    mode: str = _flag("", "Run", "what to do", choices=MODES)
    task: str = _flag("", "Run", "what to learn", binds=True)

    demo: bool = _flag(False, "Data", "synthetic data of the task in place of files")
    csv: tuple[str, ...] = _flag(
        (),
        "Data",
        "wide files (rows = series, columns = time steps, one file per channel), or long ones with --time-col; "
        "CSV, Parquet, Feather or Excel",
        metavar="FILE",
        local=True,
    )
    npz: str = _flag(
        "",
        "Data",
        "recordings by modality: an .npz with arrays (N, T, d) and labels (N, K)",
        metavar="FILE",
        local=True,
    )
    db: str = _flag(
        "",
        "Data",
        "PostgreSQL in place of files: postgresql://USER@HOST/NAME or embedded:DIR",
        metavar="URL",
        local=True,
    )
    db_query: str = _flag(
        "", "Data", "file with the SELECT to run: time first, then one column per channel", metavar="FILE", local=True
    )
    db_timeout: float = _flag(300.0, "Data", "seconds a database statement may take (0: no limit)", within="[0,)")
    time_col: str = _flag(
        "",
        "Data",
        "time column (DATE+TIME for two): the CSVs are long, one row per step and one column per channel",
        metavar="COL",
    )
    id_col: str = _flag(
        "", "Data", "column with the series id in a long CSV or query (default: one series per file)", metavar="COL"
    )
    columns: tuple[str, ...] = _flag(
        (),
        "Data",
        "channels to read, in this order: columns (or name=column) of long files or a query, or MODALITY.NAME of an "
        ".npz (default: all)",
        metavar="NAME",
    )
    resample: str = _flag("", "Data", "resample long data to a regular step by averaging: 1h, 15min, D, ...")
    tz: str = _flag("", "Data", "time zone of times without an offset, such as Europe/Berlin")
    label_src_ch: int = _flag(0, "Data", "channel the label is read from", within="[0,)", binds=True)
    drop_label_from_x: bool = _flag(False, "Data", "keep the label channel out of the model's input", binds=True)
    labels: str = _flag(
        "", "Data", "CSV with one label, or K labels, per row: targets for whole series", metavar="FILE", local=True
    )
    groups: str = _flag(
        "",
        "Data",
        "CSV with a group per row, or an array of the .npz: rows of a group stay in one split",
        metavar="FILE",
        local=True,
    )
    header: str = _flag("auto", "Data", "whether the first line is a header", choices=("auto", "yes", "no"))
    index: str = _flag("auto", "Data", "whether the first column is a row id", choices=("auto", "yes", "no"))
    sep: str = _flag(",", "Data", "field separator")
    decimal: str = _flag(".", "Data", "decimal mark", choices=(".", ","))
    thousands: str = _flag(
        "", "Data", "mark between groups of three digits, as in 1,234", choices=(",", ".", "'", "space", "none")
    )
    date_order: str = _flag(
        "", "Data", "order of day, month and year in dates such as 01/02/2024", choices=("dmy", "mdy", "ymd")
    )
    na: tuple[str, ...] = _flag(
        (), "Data", "further marks of missing values: -9999, n.a. (always: empty cells, NA, nan, null)", metavar="MARK"
    )
    nan: str = _flag("error", "Data", "how to handle missing values", choices=("error", "drop", "ffill", "zero"))

    context_len: int | None = _flag(
        None, "Windows", "steps the model sees (L)", within="[1,)", binds=True, alias="--window"
    )
    label_offset: int = _flag(
        1, "Windows", "steps from the end of the context to the label (K)", within="[1,)", binds=True
    )
    stride: int = _flag(1, "Windows", "steps between window starts", within="[1,)")

    split_mode: str = _flag(
        "group",
        "Split",
        "split by whole rows, by walk-forward folds in time, or by one cut in time",
        choices=("group", "rolling", "holdout"),
    )
    val_ratio: float = _flag(0.2, "Split", "share for validation", within="(0,1)")
    test_ratio: float = _flag(0.0, "Split", "share for test", within="[0,1)")
    split_sizes: tuple[int, ...] = _flag(
        (), "Split", "steps of train,val,test from the start of each row, in place of shares", within="[0,)"
    )
    val_groups: tuple[str, ...] = _flag((), "Split", "groups (or rows) for validation, in place of a share")
    test_groups: tuple[str, ...] = _flag((), "Split", "groups (or rows) for test, in place of a share")
    folds: int = _flag(1, "Split", "number of walk-forward folds (rolling)", within="[1,)")
    gap: int = _flag(0, "Split", "steps left out before validation and before test", within="[0,)")
    eval_split: str = _flag(
        "", "Split", "split to score (default: test if there is one, else val)", choices=SPLITS, trains=False
    )
    plot_split: str = _flag("", "Split", "split to draw (default: the scored one)", choices=SPLITS, trains=False)

    epochs: int = _flag(30, "Training", "passes over the training windows", within="[1,)")
    batch_size: int = _flag(512, "Training", "windows per step, at most", within="[1,)")
    lr: float = _flag(1e-3, "Training", "peak learning rate", within="(0,)")
    weight_decay: float = _flag(0.01, "Training", "decoupled weight decay", within="[0,)")
    optimizer: str = _flag("adamw", "Training", "adamw, adam, sgd, or a class of torch.optim")
    optimizer_args: dict[str, Any] = _flag({}, "Training", "more arguments of the optimizer (key=value)")
    scheduler: str = _flag(
        "cosine", "Training", "learning-rate schedule: cosine, plateau, none, or a class of torch.optim.lr_scheduler"
    )
    scheduler_args: dict[str, Any] = _flag({}, "Training", "arguments of the scheduler (key=value)")
    patience: int = _flag(10, "Training", "epochs without improvement before stopping (0: never)", within="[0,)")
    clip: float = _flag(1.0, "Training", "largest gradient norm (0: no clipping)", within="[0,)")
    seed: int = _flag(777, "Training", "seed of split, weights and the order of batches", within="[0,4294967295]")

    amp: bool = _flag(False, "Speed", "mixed precision where the hardware gains from it")
    compile: str = _flag(
        "off", "Speed", "torch.compile mode", choices=("off", "default", "reduce-overhead", "max-autotune")
    )
    device: str = _flag("auto", "Speed", "auto, cpu, cuda, cuda:1, mps")
    threads: int = _flag(0, "Speed", "CPU threads (0: torch decides)", within="[0,4096]", trains=False)

    ckpt: str = _flag(
        "",
        NAMES,
        "run directory (model.pt.best, then model.pt) or a checkpoint file",
        metavar="PATH",
        alias="--model",
        local=True,
    )
    freeze: tuple[str, ...] = _flag((), NAMES, "parameters to keep fixed (name patterns)", metavar="GLOB")
    train_only: tuple[str, ...] = _flag(
        (), NAMES, "parameters to train, all others stay fixed (name patterns)", metavar="GLOB"
    )
    reinit: tuple[str, ...] = _flag((), NAMES, "parameters to re-initialise (name patterns)", metavar="GLOB")
    adapt_modality: tuple[str, ...] = _flag(
        (), NAMES, "modalities whose features changed: rebuild only the layers that read them"
    )
    refit_scaler: bool = _flag(False, NAMES, "fit the scaler on the new training data")
    resume: bool = _flag(False, NAMES, "continue the interrupted run of this name", trains=False)

    backbone: str = _flag("llm_ts", NAMES, "model under the task's head", binds=True)
    model_args: dict[str, Any] = _flag({}, NAMES, "hyperparameters of the backbone (key=value)", binds=True)
    wide: bool = _flag(
        True, NAMES, "put a closed form on the window and its summaries under the head (classify, regress)", binds=True
    )
    stage: str = _flag("", NAMES, "part of a backbone with training stages to train", choices=STAGES)
    encoder: str = _flag(
        "",
        NAMES,
        "run directory (or attention_encoder.pt) of --stage encoder, for --stage gru",
        metavar="DIR",
        local=True,
    )
    pretrained_dir: str = _flag("", NAMES, "local Hugging Face or TinyTimeMixer directory", metavar="DIR", local=True)

    desc: str = _flag("", NAMES, "text at the end of the run's name", trains=False)
    tag: str = _flag("", NAMES, "whole name of the run, not in use yet (default: made from the settings)", trains=False)
    out: str = _flag("artifacts", NAMES, "folder for the runs", metavar="DIR", trains=False)
    overwrite: bool = _flag(
        False, NAMES, "replace an existing run of this name (default: it moves to NAME.1)", trains=False
    )
    json: bool = _flag(False, "Reporting", "one JSON object on stdout, everything else on stderr", trains=False)
    quiet: bool = _flag(False, "Reporting", "only warnings and the result", trains=False)
    tensorboard: bool = _flag(False, "Reporting", "also write TensorBoard event files", trains=False)
    dry_run: bool = _flag(False, "Reporting", "read, window, split, build and print sizes; train nothing", trains=False)
    reference: str = _flag(
        "auto", "Reporting", "score reference predictors beside the model", choices=("auto", "off"), trains=False
    )
    plots: bool = _flag(True, "Reporting", "draw plots", trains=False)

    notes: tuple[str, ...] = field(default=(), compare=False)  # what a config file leaves out, and what is taken for it
    experiment: str = ""  # text of the config.py that this run comes from, see experiments/
    config_file: str = field(default="", compare=False)  # path of the file that flags or an experiment come from
    options: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = field(default=frozenset(), compare=False)

    def flat(self) -> dict[str, Any]:
        """Every setting under its flag's name, plain and without passwords: what config.yaml and a checkpoint hold."""
        own = {flag.name: vars(self)[flag.name] for flag in core_flags()} | {"db": without_password(self.db)}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in (own | self.options).items()}


@lru_cache(maxsize=1)
def core_flags() -> tuple[Flag, ...]:
    """The flags of every task, in the order of the help."""
    hints = typing.get_type_hints(RunConfig)
    return tuple(_core_flag(f.name, hints[f.name], f) for f in fields(RunConfig) if "group" in f.metadata)


def _core_flag(name: str, hint: Any, source: Any) -> Flag:
    meta = dict(source.metadata)
    inner = [a for a in typing.get_args(hint) if a not in (type(None), Ellipsis)]
    many = "+" if typing.get_origin(hint) in (tuple, dict) else None
    kind = dict if typing.get_origin(hint) is dict else (inner[0] if inner else hint)
    default = source.default if kind is not dict else {}
    return Flag(name=name, kind=kind, default=default, many=many, help=meta.pop("help"), **meta)


def table_flags(table: Mapping[str, Mapping[str, Any]], group: str) -> tuple[Flag, ...]:
    """Flags from a literal table (a task's FLAGS, a backbone's HYPER); the type is that of the default, or `type`."""
    kinds = {"float": float, "int": int, "str": str}
    made = []
    for name, row in table.items():
        spec = dict(row)
        low, high = spec.pop("min", None), spec.pop("max", None)
        if low is not None or high is not None:
            below, above = ("" if end is None else end for end in (low, high))
            spec["within"] = f"[{below},{above}]"
        kind = kinds[spec.pop("type")] if "type" in spec else type(spec["default"])
        choices = tuple(spec.pop("choices", ()))
        made.append(Flag(name=name, kind=kind, choices=choices, **({"group": group} | spec)))
    return tuple(made)


def convert(flag: Flag, raw: Any) -> Any:
    """`raw` (text from a shell, or a value from YAML) as the flag's type; ValueError with what the flag takes."""
    if raw is None:  # null in YAML
        if flag.default in (None, "", (), {}):
            return flag.default
        raise ValueError("takes a value, got null: leave the key out for the default")
    if flag.kind is dict:
        return _pairs(raw)
    if flag.many is None:
        return _scalar(flag, raw[0] if isinstance(raw, list) and len(raw) == 1 else raw)
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    if flag.kind is not str:  # 8640,2880,2880 is three numbers too
        items = [part for item in items for part in (item.split(",") if isinstance(item, str) else [item])]
    values = tuple(_scalar(flag, item) for item in items)
    if isinstance(flag.many, int) and len(values) != flag.many:
        raise ValueError(f"takes {flag.many} values, got {len(values)}")
    return values


def _pairs(raw: Any) -> dict[str, Any]:
    if isinstance(raw, Mapping):
        return {str(key).replace("-", "_"): value for key, value in raw.items()}
    items = raw if isinstance(raw, (list, tuple)) else [raw]
    for item in items:
        if not re.match(r"[A-Za-z_][\w-]*=", str(item)):
            raise ValueError(f"takes key=value pairs, got {item!r}")
    return {key.replace("-", "_"): value for key, _, value in (str(item).partition("=") for item in items)}


def typed(raw: Any) -> Any:
    """A value of `k=v` without a declared type: text becomes the number, list, yes, no or none that it spells."""
    if isinstance(raw, (list, tuple)):
        return [typed(item) for item in raw]
    word = str(raw).strip()
    if not isinstance(raw, str) or word.lower() in SPELLED:
        return SPELLED.get(word.lower(), raw)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = ast.literal_eval(word)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):  # whatever text leads a parser to
        return raw
    if isinstance(value, (list, tuple)):
        return [typed(item) for item in value]
    return value if isinstance(value, (int, float, str)) else raw


def _scalar(flag: Flag, raw: Any) -> Any:
    if raw is None or isinstance(raw, (list, tuple, dict)):
        raise ValueError(f"takes one value, got {'null' if raw is None else raw!r}")
    if "\0" in str(raw):
        raise ValueError("holds a zero byte, which no text and no name has")
    if flag.choices and not flag.number_too:
        text = _chosen(str(raw), flag.choices)
        if text not in flag.choices and not (text == "" and flag.default == ""):
            raise ValueError(_not_in_choices(text, flag.choices))
        return text
    if flag.choices and str(raw) in flag.choices:
        return str(raw)
    if flag.kind is bool:
        return _boolean(raw)
    if flag.kind is str and not flag.number_too:
        return str(raw)
    try:
        return _number(float if flag.number_too else flag.kind, raw, flag.number_too or flag.within)
    except ValueError as error:
        if flag.number_too:
            raise ValueError(f"{_not_in_choices(str(raw), flag.choices)}, or a number ({error})") from None
        raise


def _chosen(text: str, choices: Iterable[str]) -> str:
    """The choice that a yes or no means: `no` and `false` are `off` where that is what can be chosen."""
    means = SPELLED.get(text.lower())
    same = [choice for choice in choices if means is not None and SPELLED.get(choice) is means]
    return same[0] if text not in choices and len(same) == 1 else text


def _not_in_choices(text: str, choices: Iterable[str]) -> str:
    listed = ", ".join(choices)
    close = nearest(text, choices)
    return f"{text!r} is not one of {listed}" + (f" ({close})" if close else "")


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    means = {**SPELLED, "1": True, "0": False}.get(str(raw).lower())
    if means is None:
        raise ValueError(f"takes true or false, got {raw!r}")
    return means


def _number(kind: type, raw: Any, within: str) -> Any:
    word = "a whole number" if kind is int else "a number"
    if isinstance(raw, bool):
        raise ValueError(f"takes {word}, got {raw!r}")
    try:
        value = float(raw)  # text too: YAML reads 1e-4 as a string
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"takes {word}, got {raw!r}") from None
    if not math.isfinite(value):
        raise ValueError(f"takes a finite number, got {raw!r}")
    if kind is int:
        if value != int(value):
            raise ValueError(f"takes a whole number, got {raw!r}")
        value = int(raw) if isinstance(raw, (int, str)) and str(raw).lstrip("+-").isdigit() else int(value)
        if abs(value) > MOST_WHOLE:
            raise ValueError(f"takes a whole number of at most {MOST_WHOLE:,}, got {str(raw)[:40]!r}")
    if within and not inside(value, within):
        raise ValueError(f"must be {_bounds(within)}, got {raw}")
    return value


def _bounds(interval: str) -> str:
    low, high = interval[1:-1].split(",")
    if high:
        return f"in {interval[0]}{low}, {high}{interval[-1]}"
    return f"{low} or more" if interval[0] == "[" else f"above {low}"


def inside(value: float, interval: str) -> bool:
    """Whether a number lies in an interval in mathematical notation: "(0,1)", "[1,)"."""
    low, high = interval[1:-1].split(",")
    above = not low or (value >= float(low) if interval[0] == "[" else value > float(low))
    below = not high or (value <= float(high) if interval[-1] == "]" else value < float(high))
    return above and below


def check_all(flags: Iterable[Flag], raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Convert every given value: ({name: value} with defaults for the rest, [problems])."""
    values, problems = {}, []
    for flag in flags:
        if flag.name not in raw:
            values[flag.name] = flag.default
            continue
        try:
            values[flag.name] = convert(flag, raw[flag.name])
        except ValueError as error:
            values[flag.name] = flag.default
            problems.append(f"{flag.option} {error}")
    return values, problems


def refuse(problems: list[str], hint: str = "") -> None:
    """Raise one UsageError that lists every problem, or return when there is none."""
    if len(problems) == 1:
        raise UsageError(problems[0], hint=hint)
    if problems:
        listed = [*problems[:MOST_LISTED], *["..."] * (len(problems) > MOST_LISTED)]
        raise UsageError(f"{len(problems)} problems:\n  " + "\n  ".join(listed), hint=hint)


def exact(value: float) -> str:
    """A number for a run's name: two decimals where that is exact (0.50), else all its digits (0.503)."""
    short = f"{value:.2f}"
    return short if float(short) == value else repr(float(value))
