"""A proposal: what an agent wants to change in the base configuration of a study, and what it may change.

It is a JSON object with `model`, `training` and `data` (only `batch_size`), each a part of that section of an
experiment (experiments/config_file.py). Names of classes are text, such as "optim.Adam". What a proposal leaves out
comes from the base: {} is the base itself. An agent cannot change seed, data and evaluation, nor raise
`training.max_epochs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import backbones
from errors import UsageError, nearest
from experiments import config_file
from nas_agent import runner, spaces
from readers.paths import at_home, is_file
from sources import datasets

Plain = dict[str, Any]
SECTIONS = {"model": "the network", "training": "how it learns", "data": "of this, only batch_size"}
FIXED = ("seed", "evaluation")
OPTIMIZER: dict[str, Plain] = {
    "lr": {"default": 1e-3, "min": 0.0, "help": "learning rate"},
    "weight_decay": {"default": 0.01, "min": 0.0, "help": "weight decay"},
}
SUGGESTED: dict[str, list[str | None]] = {  # classes that need no arguments of their own
    "optimizer_class": ["optim.AdamW", "optim.Adam", "optim.SGD", "optim.RMSprop"],
    "criterion_class": ["nn.MSELoss", "nn.L1Loss", "nn.SmoothL1Loss"],
    "scheduler_class": [None, "optim.lr_scheduler.ReduceLROnPlateau"],
}


def read_base(path: Path) -> Plain:
    """The base configuration of a study, {seed, data, model, training}, with the full path of its table.

    What the file leaves out is as in a run of it: seed 42, the published ETTh1.

    Raises
    ------
    UsageError : it is not an experiment; the message says what is wrong, and where.
    """
    plain = config_file.parse(path).whole()
    if "csv" not in plain["data"]:
        csv = datasets.fetch(config_file.PUBLISHED)
    elif is_file(plain["data"]["csv"]):
        csv = at_home(plain["data"]["csv"])
    else:
        hint = "without data['csv'] it is the published ETTh1, which is downloaded"
        raise UsageError(f"there is no table {plain['data']['csv']!r}", where=f"{path}, data['csv']", hint=hint)
    return plain | {"data": plain["data"] | {"csv": str(csv.resolve())}}


def checked(base: Plain, proposal: Any, study: Path) -> Plain:
    """The configuration that `proposal` makes of `base`.

    Parameters
    ----------
    base, proposal : see `merged`.
    study : the study's folder, out of which no path of a proposal may lead.

    Raises
    ------
    UsageError : it is not a valid one; the message lists all problems.
    """
    made = merged(base, proposal)
    _stay_inside(study, made["model"], proposal.get("model", {}))
    epochs, most = made["training"].get("max_epochs"), base["training"]["max_epochs"]
    if isinstance(epochs, int) and epochs > most:
        what = f"training['max_epochs'] {epochs} is more than the {most} of the study"
        raise UsageError(what, where="proposal", hint=f"1 to {most}")
    if refusal := runner.dry_run(config_file.to_text(made)):
        what, _, hint = refusal.partition("\n  hint: ")
        raise UsageError(what, where="proposal", hint=hint)
    return made


def merged(base: Plain, proposal: Any) -> Plain:
    """`proposal` over `base`, with values unchecked. UsageError for what an agent may not change."""
    if not isinstance(proposal, Mapping):
        raise UsageError("a proposal is a JSON object", where="proposal", hint=_sections())
    for name, section in proposal.items():
        if name in FIXED:
            raise UsageError(f"{name} cannot be changed by a proposal", where="proposal", hint=_sections())
        if name not in SECTIONS:
            hint = nearest(str(name), SECTIONS) or _sections()
            raise UsageError(f"a proposal has no {name!r}", where="proposal", hint=hint)
        if not isinstance(section, Mapping):
            raise UsageError(f"{name} is a JSON object, not {section!r}", where="proposal", hint=_sections())
    for name in proposal.get("data", {}):
        if name != "batch_size":
            why = (
                f"data[{name!r}] cannot be changed by a proposal" if name in config_file.DATA else f"no data[{name!r}]"
            )
            raise UsageError(why, where="proposal", hint="of the data only batch_size may be proposed")
    return {
        "seed": base["seed"],
        "data": base["data"] | dict(proposal.get("data", {})),
        "model": _model(base["model"], proposal.get("model", {})),
        "training": _training(base["training"], proposal.get("training", {})),
    }


def _stay_inside(study: Path, model: Plain, given: Mapping[str, Any]) -> None:
    """UsageError for a path that leads out of the study, links resolved: the same whether anything is there or not."""
    name = config_file.backbone_of({"model": model})
    table = backbones.hyper(name) if name in backbones.names() else {}
    for key, row in table.items():
        if not row.get("local") or key not in given:
            continue
        for path in str(given[key]).split(","):
            if not _lies_in(path.strip(), study):
                raise UsageError(f"{key} leads out of the study", where="proposal", hint="take runs of this study")


def _lies_in(path: str, study: Path) -> bool:
    try:
        return at_home(path).resolve().is_relative_to(study.resolve())
    except (OSError, ValueError, RuntimeError):  # no file can have this name; links that lead in a circle
        return False


def _sections() -> str:
    return "its sections: " + "; ".join(f"{name} ({what})" for name, what in SECTIONS.items())


def _over(base: Mapping[str, Any], given: Mapping[str, Any]) -> Plain:
    """`given` over `base`; null removes a key."""
    return {key: value for key, value in {**base, **given}.items() if value is not None}


def _model(base: Plain, given: Mapping[str, Any]) -> Plain:
    """The model section: another backbone starts from its defaults, the same one keeps the rest of the base."""
    same = config_file.backbone_of({"model": _over(base, given)}) == config_file.backbone_of({"model": base})
    return _over(base if same else {}, given)


def _training(base: Plain, given: Mapping[str, Any]) -> Plain:
    """The training section: arguments extend those of the same class; another one keeps lr and weight_decay."""
    made = {**base, **given}
    for kind in ("optimizer", "scheduler"):
        mine, before = given.get(f"{kind}_params", {}), base.get(f"{kind}_params", {})
        if not isinstance(mine, Mapping):
            continue  # the check of the whole configuration reports it
        if made.get(f"{kind}_class") != base.get(f"{kind}_class"):
            before = {key: before[key] for key in ("lr", "weight_decay") if key in before}
        made[f"{kind}_params"] = _over(before, mine)
    return {key: value for key, value in made.items() if value != {}}


def space(base: Plain) -> Plain:
    """What a proposal may hold: for each key the type, the range, the value of the base, and values to start with."""
    backbone, training = config_file.backbone_of(base), base["training"]
    searched = spaces.Suggestions(backbone)
    table = {key: row for key, row in backbones.hyper(backbone).items() if key not in config_file.DATA}
    params, most = training.get("optimizer_params", {}), training["max_epochs"]
    learning = {key: _leaf(row, params.get(key), searched.of(key)) for key, row in OPTIMIZER.items()}
    row = {"default": most, "min": 1, "max": most, "help": "at most that of the base"}
    epochs = _leaf(row, most, searched.of("epochs"))
    row = {"default": 0, "min": 0, "help": config_file.TRAINING["patience"]["help"]}
    patience = _leaf(row, training["patience"], searched.of("patience"))
    row = {"min": 1, **config_file.DATA["batch_size"]}
    size = _leaf(row, base["data"].get("batch_size"), searched.of("batch_size"))
    steps = {"scheduler_params": schedule} if (schedule := searched.schedule(most)) else {}
    return {
        "model": {"backbone": {"type": "str", "base": backbone, "choices": list(backbones.names())}}
        | {key: _leaf(row, base["model"].get(key), searched.of(f"model_args.{key}")) for key, row in table.items()},
        "training": {key: _class(key, training.get(key), searched.classes(key)) for key in SUGGESTED}
        | {"optimizer_params": learning, "max_epochs": epochs, "patience": patience, **steps},
        "data": {"batch_size": size},
    }


def _class(key: str, value: str | None, searched: list[str | None]) -> Plain:
    names = list(dict.fromkeys([value, *(searched or SUGGESTED[key])]))
    text = f"a class of torch.{config_file.CLASSES[key]}; another class than in the base starts with its own arguments"
    return {"type": "str", "base": value, "help": text, "suggest": names}


def _leaf(row: Mapping[str, Any], value: Any, searched: list[Any]) -> Plain:
    """One key of the space, from a row of a table of hyperparameters, the value of the base, and what is searched."""
    value = row["default"] if value is None else value
    given = {key: row[key] for key in ("min", "max", "choices", "help") if key in row}
    fit = [item for item in searched if row.get("min", item) <= item <= row.get("max", item)]
    suggest = sorted({value, *fit}) if fit else _near(row, value)
    return {"type": type(row["default"]).__name__, "base": value, **given, "suggest": suggest}


def _near(row: Mapping[str, Any], value: Any) -> list[Any]:
    """Values to try: all choices, or half, once and twice the value of the base."""
    if "choices" in row or isinstance(value, bool):
        return list(row.get("choices", [False, True]))
    if not isinstance(value, (int, float)):
        return [value]
    half = value // 2 if isinstance(value, int) else value / 2
    low, high = row.get("min", half), row.get("max", 2 * value)
    return sorted({min(max(candidate, low), high) for candidate in (half, value, 2 * value)})
