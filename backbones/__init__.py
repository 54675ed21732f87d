"""The registry of backbones: a file each, see registry.py.

A backbone file holds a literal table `HYPER` and one class under `@register`. The table is read
without importing the file, so that `--help` and `--model-args` need no torch. A second table, `SPACE`, may say what a
search varies where the rule that makes a space of `HYPER` does not fit (spaces.py).

    HYPER = {"hidden": {"default": 64, "min": 1, "max": 4096, "help": "width of the state"}}

    @register
    class GRU(nn.Module): ...

The contract of the class:

- `__init__(self, channels, length, **hyper)`: C channels, windows of `length` steps; every key of HYPER is passed.
- `forward(x [B, C, T]) -> z [B, T', dim]` with `T' = ceil(T / stride)`: token j speaks for the steps up to
  `T - (T' - 1 - j) * stride`, so the last token ends where the window ends.
- attributes `dim`, `stride`, `pool` ("last" or "mean": how the tokens become one vector) and `causal`
  (token j uses the order of no step after its own; a backbone that normalises each window may still use the
  window's mean and scale).

- `not_compiled` (where it is there) names methods that `torch.compile` is to leave alone.
- `reads_modalities = True` (a class attribute) when it wants to know which channels belong together: it takes a keyword
  `modalities`, a dict {name: channels} in the order of the channels, or None where all are one group.
- `stages` (a class attribute) names its submodules where they can be trained one after the other, two of them: the
  first maps each step by itself, `[B, C, T] -> [B, width, T]`. It takes a keyword `part`: the name of the first, to be
  that part alone under some tokens made of it; or None. While its attribute `encoded` is True, x holds those outputs.
  `adapters` is the dotted name of what holds a module for each modality, and `module_of(modality)` that of the module.

Under a forecasting head (`model.py`) such a backbone is enough. One that forecasts in its own way says so with the
class attribute `forecasts = True` and takes a keyword `ahead` (an `ForecastSpec`, or None when another head wants its
tokens); where `ahead` is given:

- `forward(x [B, C, T], known [B, M, T + H] or None) -> [B, outputs, H]`, in the units of x: the `levels` of the
  first target, then those of the next. `known` holds what is known beforehand, over the context and the horizon.
- `heads` (a class attribute, all three where it is missing) names the heads it serves.
- `reads_known = True` when it looks at `known` itself; the head adds the effect of covariates for the others.
- A closed form offers `fit(train, val, both) -> dict`, called in place of epochs. Each argument is a sequence of
  contiguous pieces `[C, n]` of what the model sees: any window in a piece of `train` is a training window; a piece of
  `val` starts with the T steps before its first target; `both` are those of train and validation in one. It sets the
  weights and returns, as plain values, what it chose. With `reads_known` a fourth argument holds the pieces `[M, n]`
  of `known` that belong to those of `val` (or is None).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from registry import Registry

if TYPE_CHECKING:
    from torch import nn

_registry = Registry(__name__, Path(__file__).parent, table="HYPER")
register, names = _registry.register, _registry.names

HEADS = ("pool", "step", "forecast")


@dataclass(frozen=True)
class ForecastSpec:
    """What a forecaster is asked for: `horizon` steps of the input channels `targets`, each at `levels` quantiles.

    `marks` time features and `covariates` columns known beforehand are the rows of `known`, in this order.
    """

    horizon: int
    targets: tuple[int, ...]
    levels: int = 1
    marks: int = 0
    covariates: int = 0

    @property
    def outputs(self) -> int:
        """Rows of a forecast."""
        return len(self.targets) * self.levels

    def plain(self) -> dict[str, Any]:
        """For a checkpoint."""
        return asdict(self) | {"targets": list(self.targets)}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> ForecastSpec:
        """From a checkpoint."""
        return cls(**plain | {"targets": tuple(plain["targets"])})


@cache
def hyper(name: str) -> dict[str, dict[str, Any]]:
    """The hyperparameters of backbone `name`: {key: {default, help, and where they apply min, max, choices}}."""
    return _registry.table(name, "HYPER")


@cache
def space(name: str) -> dict[str, Any]:
    """What backbone `name` says of its search space, in the form of a space file (spaces.py); empty where nothing."""
    return _registry.table(name, "SPACE")


def backbone_class(name: str) -> type[nn.Module]:
    """The class behind a name; imports its file (and with it torch)."""
    return _registry.load(name)
