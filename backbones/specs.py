"""What a model is built from, in plain values that a checkpoint can hold. Without torch, as the registry is."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from errors import UsageError

MOST = 1 << 40  # no number of channels, length or horizon is larger
# The kinds of a model's plain values, see `fits`.
MODEL = {"backbone": "text", "channels": "size", "length": "size", "outputs": "size", "horizon": "size", "head": "text"}
MODEL |= {"args": "table", "ahead": "table?", "pretrained": "table?", "target": "table?", "modalities": "table?"}
MODEL |= {"part": "text?", "copies": "size?", "wide": "table?", "shapes": "flag?"}
MODEL |= {"trees": "flag?", "boosted": "flag?", "rows": "flag?", "aged": "flag?", "second": "flag?"}
MOST_COPIES = 64
FORECAST = {
    "horizon": "size",
    "targets": "places",
    "periods": "places?",
    "levels": "size?",
    "marks": "count?",
    "covariates": "count?",
    "central": "number?",
}
TARGET = {"kind": "text", "outputs": "size", "channel": "count?", "scale": "number?", "shift": "number?"}
TARGET |= {"whole": "flag?", "seen": "count?", "cuts": "numbers?", "things": "flag?"}
ROW = 32  # numbers of a row, at most, each of which may be another quantity whatever they are called


@dataclass(frozen=True)
class ForecastSpec:
    """What a forecast must contain: `horizon` steps of the input channels `targets`, each at `levels` quantiles.

    Parameters
    ----------
    horizon : H, the steps to forecast.
    targets : the input channels to forecast, in the order of the outputs.
    levels : quantiles of each target; 1 for a point forecast.
    marks : time features, the first rows of `known [B, marks + covariates, T + H]`.
    covariates : columns that are known over the horizon too, the rows after them.
    central : the number of the level that is the point forecast; -1: the middle one.
    quantiles : the levels, where they are asked for; () for a point forecast.
    periods : the calendar's cycles in steps, the shortest first; () where steps have no dates.
    """

    horizon: int
    targets: tuple[int, ...]
    levels: int = 1
    marks: int = 0
    covariates: int = 0
    central: int = -1
    periods: tuple[int, ...] = ()
    quantiles: tuple[float, ...] = ()

    @property
    def point(self) -> int:
        """The number of the level that is the point forecast."""
        return self.central if self.central >= 0 else self.levels // 2

    @property
    def outputs(self) -> int:
        """Rows of a forecast: the levels of the first target, then those of the next."""
        return len(self.targets) * self.levels

    def refuse_quantiles(self, backbone: str, why: str) -> None:
        """UsageError where quantiles are asked of a backbone that has none: `why`."""
        if self.levels != 1:
            where = f"--quantiles with --backbone {backbone}"
            hint = "leave the flag out: intervals come with every forecast"
            raise UsageError(f"{why} and has no quantiles", where=where, hint=hint)

    def plain(self) -> dict[str, Any]:
        """The fields as plain values, for a checkpoint."""
        unused = {"central": self.central < 0, "periods": not self.periods, "quantiles": not self.quantiles}
        unset = {name for name in unused if unused[name]}
        kept = {name: value for name, value in asdict(self).items() if name not in unset}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in kept.items()}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> ForecastSpec:
        """The inverse of `plain`."""
        kept: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()
        }
        return cls(**kept)


@dataclass(frozen=True)
class TargetSpec:
    """What a backbone that answers by itself (`Backbone.answers`) is asked for: `outputs` numbers for each window.

    Parameters
    ----------
    kind : "value" (a standardised number), "label" (the logit of true, each output by itself) or "class" (log
        probabilities of which one is true).
    outputs : K.
    channel : the input channel whose later value is the target; None where the target is no input.
    scale, shift : the target's units from those of that channel, `y = x * scale + shift`.
    whole : the target belongs to the whole row, not to the steps after the window.
    seen : the input channel that shows what a label or class was so far; None where none does.
    cuts : where along that channel's values it changes, ascending.
    things : a row is a thing, and each of its steps another quantity.
    """

    kind: str
    outputs: int
    channel: int | None = None
    scale: float = 1.0
    shift: float = 0.0
    whole: bool = False
    seen: int | None = None
    cuts: tuple[float, ...] = ()
    things: bool = False

    def plain(self) -> dict[str, Any]:
        """The fields as plain values, for a checkpoint."""
        kept = {**asdict(self), "cuts": list(self.cuts)}
        idle = (*(("seen", "cuts") if not self.cuts else ()), *(("things",) if not self.things else ()))
        return {name: value for name, value in kept.items() if name not in idle}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> TargetSpec:
        """The inverse of `plain`."""
        return cls(**{**plain, "cuts": tuple(plain.get("cuts", ()))})

    def of_rows(self, numbers: int) -> bool:
        """Whether rows of so many numbers are seen as they are, since each may be another quantity."""
        return self.whole and (self.things or numbers <= ROW)


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """What a backbone is built for; the constructor gets this together with the hyperparameters.

    Parameters
    ----------
    channels : C, of the windows `[B, C, T]`.
    length : T, the steps of a window.
    forecast : what the head "forecast" asks for; None under the other heads.
    target : what a backbone that answers by itself is asked for; None for the others.
    modalities : {name: channels} in the order of the channels, for a backbone with `reads_modalities`; None where all
        channels are one group.
    part : the first of a backbone's `stages`, to build it alone; None for the whole.
    pretrained : the configuration of a model directory that was loaded (`Backbone.load_pretrained`). It fixes the
        architecture, so that a checkpoint can rebuild the model without the directory.
    members : the trained runs that a blend is made of.
    """

    channels: int
    length: int
    forecast: ForecastSpec | None = None
    target: TargetSpec | None = None
    modalities: dict[str, int] | None = None
    part: str | None = None
    pretrained: dict[str, Any] | None = None
    members: tuple[MemberSpec, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ModelSpec(InputSpec):
    """A backbone under a head: everything that builds a model but its weights.

    Parameters
    ----------
    backbone : its registered name.
    outputs, horizon : K and H of the outputs `[B, K, H]`.
    head : "pool", "step" or "forecast" (`Backbone.heads`).
    args : hyperparameters that differ from the defaults of the backbone's HYPER.
    wide : what the closed form under the head is asked for (under.py); None: there is none.
    shapes : that closed form sees shapes (shapes.py).
    trees : trees stand beside it (grown.py).
    boosted : boosted trees do (grown_boosting.py).
    rows : these see the numbers of a row as they are.
    aged : boosted trees see older steps as means of ever more.
    second : another kind of trees, and of boosted ones, stands beside these.
    copies : of the backbone and its head, whose outputs are averaged (copies.py).
    """

    backbone: str
    outputs: int
    horizon: int
    head: str
    args: Mapping[str, Any] = field(default_factory=dict)
    wide: TargetSpec | None = None
    shapes: bool = False
    trees: bool = False
    boosted: bool = False
    rows: bool = False
    aged: bool = False
    second: bool = False
    copies: int = 1

    @property
    def of_things(self) -> bool:
        """Whether a net on a closed form sees things, each step of which is another quantity."""
        return self.wide is not None and self.wide.things

    def plain(self) -> dict[str, Any]:
        """The fields as plain values: what a checkpoint keeps under "model"."""
        optional = {
            "ahead": None if self.forecast is None else self.forecast.plain(),
            "target": None if self.target is None else self.target.plain(),
            "modalities": self.modalities,
            "part": self.part,
            "wide": None if self.wide is None else self.wide.plain(),
            "shapes": self.shapes or None,
            "trees": self.trees or None,
            "boosted": self.boosted or None,
            "rows": self.rows or None,
            "aged": self.aged or None,
            "second": self.second or None,
            "copies": self.copies if self.copies > 1 else None,
        }
        return {
            "backbone": self.backbone,
            "channels": self.channels,
            "length": self.length,
            "outputs": self.outputs,
            "horizon": self.horizon,
            "head": self.head,
            "args": dict(self.args),
            "pretrained": _plain_members(self.members, self.pretrained) if self.members else self.pretrained,
        } | {key: value for key, value in optional.items() if value is not None}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> ModelSpec:
        """The inverse of `plain`: from "model" of a checkpoint, which has the members of a blend under "pretrained".

        Raises ValueError for what is not of its kind.
        """
        _check(plain, MODEL, "model")
        _check(plain.get("ahead") or {"horizon": 1, "targets": []}, FORECAST, "forecast")
        for part in ("target", "wide"):
            asked = plain.get(part) or {"kind": "", "outputs": 1}
            _check(asked, TARGET, part)
            if max(asked.get("channel") or 0, asked.get("seen") or 0) >= plain["channels"]:
                raise ValueError(f"its {part} is a channel that is none")
        if plain["head"] == "forecast":
            _check_forecast(plain)
        kept = {key: plain[key] for key in ("backbone", "channels", "length", "outputs", "horizon", "head", "args")}
        forecast, pretrained = plain.get("ahead"), plain.get("pretrained")
        target, wide = plain.get("target"), plain.get("wide")
        if (copies := plain.get("copies") or 1) > MOST_COPIES:
            raise ValueError(f"its model has {copies} copies")
        members = _members_of(pretrained) if pretrained is not None and "members" in pretrained else ()
        return cls(
            **kept,
            forecast=None if forecast is None else ForecastSpec.of(forecast),
            target=None if target is None else TargetSpec.of(target),
            modalities=plain.get("modalities"),
            part=plain.get("part"),
            wide=None if wide is None else TargetSpec.of(wide),
            shapes=bool(plain.get("shapes")),
            trees=bool(plain.get("trees")),
            boosted=bool(plain.get("boosted")),
            rows=bool(plain.get("rows")),
            aged=bool(plain.get("aged")),
            second=bool(plain.get("second")),
            pretrained=pretrained.get("directory") if members and pretrained else pretrained,
            members=members,
            copies=copies,
        )


@dataclass(frozen=True)
class MemberSpec:
    """A trained run in a blend: its model, which sees the blend's input x as `x * scale + shift`, `[C]` each."""

    model: ModelSpec
    scale: tuple[float, ...]
    shift: tuple[float, ...]

    def __str__(self) -> str:
        return f"{self.model.backbone} on {self.model.length} steps"


def _plain_members(members: tuple[MemberSpec, ...], directory: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "members": [member.model.plain() for member in members],
        "scales": [list(member.scale) for member in members],
        "shifts": [list(member.shift) for member in members],
    } | ({} if directory is None else {"directory": directory})


def _members_of(plain: Mapping[str, Any]) -> tuple[MemberSpec, ...]:
    rows = zip(plain["members"], plain["scales"], plain["shifts"], strict=True)
    return tuple(MemberSpec(ModelSpec.of(model), tuple(scale), tuple(shift)) for model, scale, shift in rows)


def _check(plain: Mapping[str, Any], kinds: Mapping[str, str], what: str) -> None:
    for name, kind in kinds.items():
        left_out = kinds is not MODEL and name != "channel"  # there, a default is
        given = kind.rstrip("?") if left_out and name in plain else kind
        if not fits(plain.get(name), given):
            raise ValueError(f"the {name} of its {what} is {str(plain.get(name))[:40]!r}")


def _check_forecast(plain: Mapping[str, Any]) -> None:
    ahead = plain.get("ahead")
    if ahead is None:
        raise ValueError("its forecast is missing")
    targets, levels = ahead["targets"], ahead.get("levels", 1)
    if ahead["horizon"] != plain["horizon"] or plain["outputs"] not in (len(targets), len(targets) * levels):
        raise ValueError("its outputs are not those of its forecast")
    if any(channel >= plain["channels"] for channel in targets) or not -1 <= ahead.get("central", -1) < levels:
        raise ValueError("it forecasts channels or levels that are none")


def fits(value: Any, kind: str, count: int = -1) -> bool:
    """Whether a plain value is of a kind.

    Parameters
    ----------
    value : None fits a kind that ends with "?".
    kind : "text", "flag", "number", "size" (a whole number above 0), "count" (or 0); "table" (text: anything), "notes"
        (text: text); lists of any length: "words", "numbers", "places" (counts), "nested" (numbers in lists in lists,
        or missing); lists of `count`: "K" (numbers), "some" (numbers, or None), "K words", "each" (anything), "grid"
        (lists of as many numbers).
    count : K.
    """
    if value is None:
        return kind.endswith("?")
    kind = kind.rstrip("?")
    if kind == "table":
        return isinstance(value, dict) and all(isinstance(name, str) for name in value)
    if kind == "notes":
        return fits(value, "table") and fits([*value.values()], "words")
    if kind == "K words":
        return fits(value, "words") and len(value) == count
    if kind == "words":
        return isinstance(value, list) and all(isinstance(word, str) for word in value)
    if kind in ("flag", "text"):
        return isinstance(value, {"flag": bool, "text": str}[kind])
    if kind == "size":
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value < MOST
    if kind == "count":
        return type(value) is int and 0 <= value < MOST
    if kind == "places":
        return isinstance(value, list) and all(type(one) is int and 0 <= one < MOST for one in value)
    if kind == "each":
        return isinstance(value, list) and len(value) == count
    if kind == "number":
        return _is_number(value) and abs(value) <= sys.float_info.max
    if kind == "numbers":
        return isinstance(value, list) and all(fits(one, "number") for one in value)
    if kind in ("K", "some"):
        one_of = {"K": "number", "some": "number?"}[kind]
        return isinstance(value, list) and len(value) == count and all(fits(one, one_of) for one in value)
    if kind == "grid":
        rows = isinstance(value, list) and all(isinstance(row, list) and len(row) > 1 for row in value)
        return rows and len(value) == count and all(fits(row, "K", len(value[0])) for row in value)
    assert kind == "nested", kind
    if isinstance(value, list):
        return all(fits(one, "nested?") for one in value)
    return _is_number(value) and (isinstance(value, float) or fits(value, "number"))  # a margin may be infinite


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
