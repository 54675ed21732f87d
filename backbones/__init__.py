"""The registry of backbones: a file each (registry.py), with a literal table `HYPER` and a class under `@register`.

    HYPER = {"hidden": {"default": 64, "min": 1, "max": 4096, "help": "width of the state"}}

    @register
    class GRU(Backbone):
        def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
            super().__init__(inputs, hyper)
            self.rnn = nn.GRU(inputs.channels, hyper.hidden)

The table is read without importing the file, so that `--help` and `--model-args` need no torch. A second table,
`SPACE`, may give what a search varies where the space derived from `HYPER` does not fit (studies/spaces.py).
What the class has to offer is in `backbones/base.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import errors  # not `nearest` of it: that is a backbone's module here
from backbones.specs import ForecastSpec, InputSpec, MemberSpec, ModelSpec, TargetSpec
from errors import UsageError
from registry import Namespace, Registry

if TYPE_CHECKING:
    from backbones.base import Backbone

__all__ = ["ForecastSpec", "Hyper", "InputSpec", "MemberSpec", "ModelSpec", "backbone_class", "hyper", "names"]
__all__ += ["HEADS", "KINDS", "TargetSpec", "other_names", "register", "space"]

HEADS = ("pool", "step", "forecast")
KINDS = ("value", "label", "class")  # of TargetSpec

_Class = TypeVar("_Class", bound="type[Backbone]")
_registry = Registry(__name__, Path(__file__).parent, table="HYPER")
names = _registry.names


def register(cls: _Class) -> _Class:
    """Make `cls` the backbone of its file. AssertionError where it does not keep the contract of `Backbone`."""
    from backbones.base import check_contract  # imports torch, which reading names and tables does not need

    check_contract(cls)
    return _registry.register(cls)


@cache
def hyper(name: str) -> dict[str, dict[str, Any]]:
    """The hyperparameters of backbone `name`: {key: {default, help, and where they apply min, max, choices}}."""
    return _registry.table(name, "HYPER")


@cache
def other_names(name: str) -> dict[str, str]:
    """{other name: name} of the hyperparameters of backbone `name` that have another, as papers call them."""
    return {str(row["alias"]): key for key, row in hyper(name).items() if "alias" in row}


@cache
def space(name: str) -> dict[str, Any]:
    """The search space in the file of backbone `name`, in the form of a space file (spaces.py); {} without one."""
    return _registry.table(name, "SPACE")


def backbone_class(name: str) -> type[Backbone]:
    """The class behind a name; imports its file (and with it torch)."""
    return _registry.load(name)


class Hyper(Namespace):
    """The hyperparameters of one backbone as attributes, `hyper.d_model`: its HYPER's defaults and what was given.

    Parameters
    ----------
    name : the backbone's registered name.
    given : {key: value} that replace defaults.

    Raises
    ------
    UsageError : for a key that HYPER does not have.
    AttributeError : at `hyper.key`, for a key that HYPER does not have.
    """

    def __init__(self, name: str, given: Mapping[str, Any] | None = None) -> None:
        other, table = other_names(name), hyper(name)
        given = {other.get(key, key): value for key, value in (given or {}).items()}
        for key in given:
            if key not in table:
                known = f"{name} has {', '.join(table) or 'none'}"
                what = f"{name} has no hyperparameter {key!r}"
                raise UsageError(what, where="--model-args", hint=errors.nearest(key, table) or known)
        super().__init__({key: row["default"] for key, row in table.items()} | dict(given))
