"""The contract of a backbone: its inputs, its outputs and the attributes that describe it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from backbones import HEADS, KINDS, ForecastSpec, Hyper, InputSpec
from backbones.fitting import Fitting
from backbones.histories import Histories, HistoryFitting, KnownAhead, Stretches
from errors import nearest

__all__ = ["Backbone", "KnownAhead", "Stretches", "check_contract"]
log = logging.getLogger("tsrun")
METHODS = (property, classmethod, staticmethod)


class Backbone(nn.Module):
    """Windows `x [B, C, T]` in, tokens `z [B, T', dim]` or a forecast `[B, outputs, H]` out.

    **Tokens.** `forward(x) -> z` with `T' = ceil(T / stride)`. Token j stands for the steps up to
    `T - (T' - 1 - j) * stride`, so that the last token ends where the window ends. A head (`backbones/model.py`) makes
    the outputs of a task from them; this is enough for every task, forecasts too.

    **Forecasts.** A backbone with `forecasts = True` forecasts by itself where `inputs.forecast` is given:
    `forward(x, known) -> y [B, outputs, H]` in the units of x, the `levels` of the first target first. `known
    [B, marks + covariates, T + H]`, or None, is what is known over the context and the horizon.

    **Answers.** A backbone with `answers = True` has no head under "pool": `forward(x) -> y [B, K, 1]`, as
    `inputs.target` wants them. What it knows is set by `fit_windows`, from windows and their targets.

    **Histories.** A backbone with `reads_history = True` forecasts from all of a series before the target, not from the
    look-back alone (backbones/histories.py): `from_histories(histories) -> y [n, outputs, H]`, in the units of x, is
    called instead of `forward`, which takes the look-back for the history. What it knows is set by `fit_histories`.

    Parameters
    ----------
    inputs : the windows' sizes, and what else the model is built for.
    hyper : the values of the file's HYPER, `hyper.d_model`.

    Attributes
    ----------
    A class sets those that differ from the default; where one depends on a hyperparameter, its constructor does.

    dim, stride : width of a token, steps from token to token.
    pool : how the tokens become one vector: the "last" one, or their "mean".
    causal : token j does not depend on the order of later steps (it may use the mean and scale of the window).
    heads : the heads that it serves, of "pool", "step" and "forecast".
    forecasts : it forecasts by itself.
    answers : under the head "pool", it gives the outputs itself.
    variants : further classes that `build` may give, for other heads.
    kinds : of those that answer, the kinds of target that it serves, of "value", "label" and "class".
    separate : it forecasts each channel from that channel alone.
    reads_known : it reads `known` itself; for other backbones the head adds the effect of covariates.
    reads_marks : it reads time features, which `known` then begins with.
    reads_modalities : it needs `inputs.modalities`.
    reads_history : it forecasts from whole histories.
    closed_form : it offers `fit` (forecasts), `fit_windows` (answers) or `fit_histories`, which is called instead of
        training epochs.
    in_step : several processes fit it together, each to its share of the windows: its sums over windows are those of
        all (`ranks.sharing`). Else the first process fits it, and gives it to the others.
    takes_pretrained_dir : it offers `load_pretrained`.
    needs_pretrained_dir : it is not built without a directory; where it is not fitted, it forecasts as it is.
    blends_runs : it is made of trained runs, `inputs.members`.
    stages : the names of two submodules that can be trained one after the other. The first maps each step by itself,
        `[B, C, T] -> [B, width, T]`; with `inputs.part` it is built alone, with tokens made from its outputs.
    adapters : of a backbone with stages, the dotted name of the container of a module for each modality (`module_of`).
    encoded : set from outside: x holds the outputs of the first stage already.
    not_compiled : methods that `torch.compile` must not compile.
    """

    dim: int
    stride: int
    pool: Literal["last", "mean"]
    causal: bool
    heads: tuple[str, ...] = HEADS
    forecasts: bool = False
    answers: bool = False
    variants: tuple[type, ...] = ()
    kinds: tuple[str, ...] = KINDS
    separate: bool = False
    reads_known: bool = False
    reads_marks: bool = False
    reads_modalities: bool = False
    reads_history: bool = False
    closed_form: bool = False
    in_step: bool = False
    takes_pretrained_dir: bool = False
    needs_pretrained_dir: bool = False
    blends_runs: bool = False
    stages: tuple[str, ...] = ()
    adapters: str = ""
    encoded: bool = False
    not_compiled: tuple[str, ...] = ()

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        super().__init__()
        assert inputs.forecast is not None or self.heads != ("forecast",), "a forecaster without a forecast to make"
        self.hyper = hyper
        self.forecast: ForecastSpec | None = inputs.forecast
        self.pretrained: dict[str, Any] | None = inputs.pretrained  # what a checkpoint keeps of a model directory

    @classmethod
    def build(cls, inputs: InputSpec, hyper: Hyper) -> Backbone:
        """The backbone for these inputs; a name that serves several heads may have a class for each."""
        return cls(inputs, hyper)

    @classmethod
    def in_time(cls, args: Mapping[str, Any], seconds: float, head: str) -> dict[str, Any]:
        """Hyperparameters with which it makes use of so many seconds (0: not said) under a head; most make none."""
        if seconds and cls.closed_form and head == "forecast":
            log.warning("warning: --budget changes nothing here: of forecasts it is for nets and --backbone auto")
        return dict(args)

    @classmethod
    def runs_in(cls, args: Mapping[str, Any], head: str) -> list[str]:
        """The directories of trained runs that hyperparameters name, `inputs.members` under a head."""
        return []

    @property
    def runs(self) -> Sequence[nn.Module]:
        """The models of these runs, in their order."""
        return []

    def fit(self, train: Stretches, val: Stretches, both: Stretches, known: KnownAhead | None = None) -> dict[str, Any]:
        """Set the weights of a closed form that forecasts.

        Parameters
        ----------
        train : contiguous stretches `[C, n]` of what the model sees; any window in one is a training window.
        val : stretches `[C, n]`, each from the T steps before its first target on.
        both : training and validation, joined where they touch.
        known : what is known ahead in each of them; None where nothing is.

        Returns
        -------
        What was chosen, in plain values, for the summary. "refit": True means that validation was fitted on too.

        Raises
        ------
        DataError : where there are too few steps to fit or to choose on.
        """
        raise AssertionError(f"{type(self).__name__} has no closed form")

    def keep_chosen(self, told: Mapping[str, Any]) -> None:
        """Keep what was chosen when a fit is repeated on more data: what `fit` or `fit_histories` told of it.

        Parameters
        ----------
        told : what the first fit returned.
        """

    def fit_windows(self, data: Fitting) -> dict[str, Any]:
        """Set what a backbone that answers knows, on the device that it is on.

        Parameters
        ----------
        data : windows and targets of training, on which it is fitted, and of validation, on which it may choose.

        Returns
        -------
        What was chosen, in plain values, for the summary.

        Raises
        ------
        DataError : where there is too little to fit or to choose on.
        """
        raise AssertionError(f"{type(self).__name__} is not fitted to windows")

    def fit_histories(self, data: HistoryFitting) -> dict[str, Any]:
        """Set what a backbone that reads histories knows.

        Parameters
        ----------
        data : histories of training, on which it is fitted, and of validation, on which it may choose.

        Returns
        -------
        What was chosen, in plain values, for the summary.

        Raises
        ------
        DataError : where there is too little to fit or to choose on.
        """
        raise AssertionError(f"{type(self).__name__} is not fitted to histories")

    def from_histories(self, histories: Histories) -> torch.Tensor:
        """Forecast from whole histories (`reads_history = True`).

        Parameters
        ----------
        histories : n origins, in any series: those of training, or others.

        Returns
        -------
        y [n, outputs, H] float32, in the units of x.
        """
        raise AssertionError(f"{type(self).__name__} reads no histories")

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> Backbone:
        """The backbone with the architecture and the weights of a model directory (`takes_pretrained_dir = True`).

        The `pretrained` of the result is a plain dict; with it in `inputs.pretrained` the constructor rebuilds the
        architecture without the directory.

        Raises
        ------
        CheckpointError : for a directory that holds no model, or one that does not fit the inputs.
        UsageError : where a hyperparameter was given that the directory fixes.
        """
        raise AssertionError(f"{cls.__name__} takes no directory")

    @classmethod
    def module_of(cls, modality: str) -> str:
        """The module that reads a modality (`reads_modalities = True`).

        Parameters
        ----------
        modality : its name.

        Returns
        -------
        The module's dotted name below the backbone.
        """
        raise AssertionError(f"{cls.__name__} reads no modalities")


def check_contract(cls: type) -> None:
    """AssertionError where a class breaks the contract.

    It must be a `Backbone`, and every public attribute of the class that is not a method must be one of `Backbone`:
    nobody would read a misspelt one. Constants belong in the module; annotations without a value are allowed.
    """
    assert issubclass(cls, Backbone), f"{cls.__qualname__} must be a subclass of Backbone"
    owners = [owner for owner in cls.__mro__ if issubclass(owner, Backbone) and owner is not Backbone]
    for owner in owners:
        for name, value in vars(owner).items():
            if not name.startswith("_") and not callable(value) and not isinstance(value, METHODS):
                _check_attribute(f"{owner.__qualname__}.{name}", name, value)
    owners += [owner for variant in cls.variants for owner in variant.__mro__ if issubclass(owner, Backbone)]
    owners = [owner for owner in owners if owner is not Backbone]
    flags = {
        "closed_form": (cls.closed_form, ("fit", "fit_windows", "fit_histories")),
        "answers": (cls.answers, ("fit_windows",)),
        "reads_history": (cls.reads_history, ("from_histories",)),
        "takes_pretrained_dir": (cls.takes_pretrained_dir, ("load_pretrained",)),
    }
    for flag, (value, methods) in flags.items():
        offered = any(method in vars(owner) for owner in owners for method in methods)
        listed = "() or ".join(methods)
        assert value is offered, f"{cls.__qualname__}.{flag} must be True exactly if there is a {listed}()"


def _check_attribute(where: str, name: str, value: object) -> None:
    known = Backbone.__annotations__
    assert name in known, f"{where}: a backbone has no such attribute. {nearest(name, known)}"
    default = vars(Backbone).get(name)
    assert default is None or type(value) is type(default), f"{where} must be of type {type(default).__name__}"
