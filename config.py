"""RunConfig: every setting of a run, frozen, typed and strict; all its problems are reported at once.

A setting is described once, by a `Flag` (settings/flags.py): in the fields below for what every task shares, in the
literal table `FLAGS` of a task's file for what is its own, in `HYPER` of a backbone's file for `--model-args`. The
command line (cli.py), the YAML file and the checks are all made from these descriptions. Nothing here imports torch or
numpy, so that a wrong flag is answered at once.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

from errors import UsageError, without_password
from settings.flags import Flag as Flag
from settings.flags import check_all as check_all
from settings.flags import convert as convert
from settings.flags import inside as inside
from settings.flags import table_flags as table_flags
from settings.flags import typed as typed

MOST_LISTED = 30  # problems in one message
VERSION = "0.6.0"  # of tsrun, see CHANGELOG.md
MODES = ("train", "finetune", "infer")
SPLITS = ("train", "val", "test", "all")
STAGES = ("encoder", "gru", "all", "end2end")
BY_STAGE = {  # what a stage may have of its own, and its other names
    "epochs": "epochs", "batch_size": "batch_size", "lr": "lr", "batch": "batch_size", "learning_rate": "lr",
}  # fmt: skip
NAMES = "Checkpoint, backbone, names"
GROUPS = ("Run", "Data", "Windows", "Labels", "Split", "Training", "Speed", NAMES, "Reporting")  # as the help has them


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
        "time column (DATE+TIME for two, line for none): CSVs are long, one row per step and one column per channel",
        metavar="COL",
    )
    id_col: str = _flag(
        "",
        "Data",
        "column with the series id in a long CSV or query, A+B for two (default: one series per file)",
        metavar="COL",
    )
    columns: tuple[str, ...] = _flag(
        (),
        "Data",
        "channels to read, in this order: columns (or name=column) of long files or a query, or MODALITY.NAME of an "
        ".npz (default: all)",
        metavar="NAME",
    )
    categorical: tuple[str, ...] = _flag(
        (),
        "Data",
        "columns (wide: files, or columns beside labels) of categories: a channel for each level; other text is left "
        "out, unless --columns or --known-future names it",
        metavar="NAME",
        binds=True,
    )
    drop_columns: tuple[str, ...] = _flag(
        (),
        "Data",
        "columns of a table of things that are no input, such as one that repeats the label",
        metavar="COL",
        binds=True,
    )
    max_levels: int = _flag(
        20, "Data", "levels of a category with channels of their own; rarer ones share one", within="[1,)", binds=True
    )
    resample: str = _flag("", "Data", "resample long data to a regular step by averaging: 1h, 15min, D, ...")
    tz: str = _flag("", "Data", "time zone of times without an offset, such as Europe/Berlin")
    label_src_ch: int | str = _flag(
        0,
        "Data",
        "channel the label is read from: its number from 0, the name of a column, or folder or filename of each file",
        within="[0,)",
        binds=True,
        name_too=True,
        metavar="CH",
    )
    drop_label_from_x: bool = _flag(False, "Data", "keep the label channel out of the model's input", binds=True)
    labels: str = _flag(
        "",
        "Data",
        "CSV with one label, or K labels, per row, or a label per step; FILE:COLUMN reads one column of it",
        metavar="FILE",
        local=True,
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
    sep: str = _flag("auto", "Data", "field separator; auto takes the only one that fits the lines of a file")
    decimal: str = _flag("auto", "Data", "decimal mark", choices=("auto", ".", ","))
    thousands: str = _flag(
        "", "Data", "mark between groups of three digits, as in 1,234", choices=(",", ".", "'", "space", "none")
    )
    date_order: str = _flag(
        "",
        "Data",
        "order of day, month and year in dates such as 01/02/2024, or that numbers are Excel's days",
        choices=("dmy", "mdy", "ymd", "excel"),
    )
    strict: bool = _flag(
        False,
        "Data",
        "refuse what is otherwise taken or left out, and told: separator, decimal mark, time column, order of dates, "
        "units, totals",
    )
    na: tuple[str, ...] = _flag(
        (), "Data", "further marks of missing values: -9999, n.a. (always: empty cells, NA, nan, null)", metavar="MARK"
    )
    nan: str = _flag(
        "auto",
        "Data",
        "missing values: auto repeats the value before in short gaps, never scored, and leaves out windows with others",
        choices=("auto", "error", "drop", "ffill", "zero"),
    )
    shard: str = _flag(
        "",
        "Data",
        "predict only every N-th series, from the I-th on: I/N, such as 3/8; tools/report.py --join joins the files",
        metavar="I/N",
        trains=False,
    )

    context_len: int | None = _flag(
        None, "Windows", "steps the model sees (L)", within="[1,)", binds=True, alias="--window"
    )
    label_offset: int = _flag(
        1, "Windows", "steps from the end of the context to the label (K)", within="[1,)", binds=True
    )
    stride: int = _flag(
        1, "Windows", "steps between window starts; 0: a row is one window, stretched to --context-len", within="[0,)"
    )

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

    epochs: int = _flag(
        30, "Training", "passes over the training windows (classify, regress: more where they are few)", within="[0,)"
    )
    batch_size: int = _flag(
        512, "Training", "windows per step, at most (classify, regress: fewer where they are few)", within="[1,)"
    )
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
    budget: float = _flag(
        0.0,
        "Training",
        "time for training, such as 5min: fewer epochs, less data for closed forms; nets join auto but in forecasts",
        duration=True,
    )
    divergence_check: bool = _flag(
        True, "Training", "stop where the loss or the weights grow a millionfold", trains=False
    )
    seed: int = _flag(777, "Training", "seed of split, weights and the order of batches", within="[0,4294967295]")

    amp: bool = _flag(
        False,
        "Speed",
        "mixed precision where the hardware gains from it (default: timed where training on a CPU takes over a minute)",
    )
    compile: str = _flag(
        "off", "Speed", "torch.compile mode", choices=("off", "default", "reduce-overhead", "max-autotune")
    )
    device: str = _flag("auto", "Speed", "auto, cpu, cuda, cuda:1, mps")
    memory: str = _flag(
        "",
        "Speed",
        "memory for data, such as 4GB: larger ones stay in a file, read as they are needed (default: what is free)",
        metavar="SIZE",
        trains=False,
    )
    threads: int = _flag(
        0, "Speed", "CPU threads (0: torch decides; fewer are timed as for --amp)", within="[0,4096]", trains=False
    )

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
    refit: bool = _flag(
        False,
        "Training",
        "once it is judged, train it once more on everything, for as many epochs as were best",
    )

    refit_scaler: bool = _flag(False, NAMES, "fit the scaler on the new training data")
    resume: bool = _flag(False, NAMES, "continue the interrupted run of this name", trains=False)

    backbone: str = _flag("llm_ts", NAMES, "model under the task's head", binds=True)
    model_args: dict[str, Any] = _flag({}, NAMES, "hyperparameters of the backbone (key=value)", binds=True)
    wide: bool = _flag(
        True, NAMES, "put a closed form on the window and its summaries under the head (classify, regress)", binds=True
    )
    stage: str = _flag("", NAMES, "part of a backbone with training stages to train", choices=STAGES, then="stage_args")
    stage_args: dict[str, Any] = _flag(
        {},
        NAMES,
        "epochs, batch_size or lr of one stage in place of the run's (also after --stage all): encoder.epochs=30",
    )
    encoder: str = _flag(
        "",
        NAMES,
        "run directory (or attention_encoder.pt) of --stage encoder, for --stage gru",
        metavar="DIR",
        local=True,
    )
    pretrained_dir: str = _flag("", NAMES, "local Hugging Face or TinyTimeMixer directory", metavar="DIR", local=True)

    desc: str = _flag("", NAMES, "text at the end of the run's name", trains=False)
    tag: str = _flag(
        "",
        NAMES,
        "whole name of the run, not in use yet (default: made from the settings; '{date}' adds date and time to that)",
        trains=False,
    )
    out: str = _flag("artifacts", NAMES, "folder for the runs", metavar="DIR", trains=False)
    overwrite: bool = _flag(
        False, NAMES, "replace an existing run of this name (default: it moves to NAME.1)", trains=False
    )
    json: bool = _flag(False, "Reporting", "one JSON object on stdout, everything else on stderr", trains=False)
    quiet: bool = _flag(False, "Reporting", "only warnings and the result", trains=False)
    tensorboard: bool = _flag(False, "Reporting", "also write TensorBoard event files", trains=False)
    track: str = _flag("", "Reporting", "also record the run in a tracker", choices=("mlflow",), trains=False)
    dry_run: bool = _flag(False, "Reporting", "read, window, split, build and print sizes; train nothing", trains=False)
    reference: str = _flag(
        "auto", "Reporting", "score reference predictors beside the model", choices=("auto", "off"), trains=False
    )
    plots: bool = _flag(True, "Reporting", "draw plots", trains=False)
    explain: bool = _flag(
        False,
        "Reporting",
        "how much worse the scored windows are predicted with a channel, or a block of lags, shuffled among them",
        trains=False,
    )

    notes: tuple[str, ...] = field(default=(), compare=False)  # what a config file leaves out, and what is taken for it
    experiment: str = ""  # text of the config.py that this run comes from, see experiments/
    config_file: str = field(default="", compare=False)  # path of the file that flags or an experiment come from
    options: dict[str, Any] = field(default_factory=dict)
    given: frozenset[str] = field(default=frozenset(), compare=False)
    measured: dict[str, Any] | None = field(default=None, compare=False)  # flags that the clock chose; None: none yet

    def for_part(self, part: str) -> RunConfig:
        """The settings of one training stage: those of `--stage-args PART.NAME=VALUE` in place of the run's."""
        own = {key.partition(".")[2]: value for key, value in self.stage_args.items() if key.startswith(f"{part}.")}
        return replace(self, **own) if own else self

    def read_as(self, **other: Any) -> RunConfig:
        """The settings with others for reading the data in another way; the run keeps its own."""
        return replace(self, **other)

    @property
    def column_of(self) -> dict[str, str]:
        """The channels that --columns names, in order, and the column that each is in."""
        return {name: column or name for name, _, column in (word.partition("=") for word in self.columns)}

    def as_measured(self, measured: Mapping[str, Any] | None) -> RunConfig:
        """The settings with the flags that the clock chose, see training/stopwatch.py, but for those given."""
        own = None if measured is None else {key: value for key, value in measured.items() if key not in self.given}
        return self if own is None else replace(self, **own, measured=own)

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
