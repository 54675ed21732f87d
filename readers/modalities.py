"""Which of a file's modalities and features a run reads: those of its checkpoint, or of --columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from errors import DataError, nearest
from readers.paths import abridge

BY_MODEL = "the model was trained on"


@dataclass(frozen=True)
class Modality:
    """One array [N, T, d]; `chosen` are the positions of its channels `features` along d."""

    name: str
    features: tuple[str, ...]
    chosen: np.ndarray

    @property
    def channels(self) -> list[str]:
        """Their names in a Series."""
        return [f"{self.name}.{feature}" for feature in self.features]


def choose(
    every: Mapping[str, Modality],
    path: Path,
    columns: Sequence[str] | None,
    free: Sequence[str],
    partly: bool,
    wanted_by: str,
) -> tuple[list[Modality], list[str]]:
    """The modalities and channels to read, and a note on what the file has beyond those of a model.

    Parameters
    ----------
    every : {name: the modality with all its features}, of the file at `path`.
    columns, free, partly, wanted_by : as `readers.npz.read_npz` has them.

    Raises
    ------
    DataError : a modality or a feature of it is missing, or there are more than the model knows.
    """
    if columns is None:
        return list(every.values()), []
    wanted: dict[str, list[str]] = {}
    for column in columns:
        modality, _, feature = column.partition(".")
        wanted.setdefault(modality, []).append(feature)
    absent = [name for name in wanted if name not in every]
    if absent:
        close = nearest(absent[0], every)
        what = f"lacks {abridge(absent)}, which {wanted_by}"
        raise DataError(what, where=str(path), hint=close or f"its modalities: {', '.join(every)}")
    chosen = [
        every[name] if name in free else _pick(every[name], features, path, wanted_by)
        for name, features in wanted.items()
    ]
    if wanted_by == BY_MODEL and not partly:
        _refuse_more(chosen, [every[found.name] for found in chosen], path)
    spare = [channel for found in every.values() if found.name not in wanted for channel in found.channels]
    for found in chosen:
        spare += [name for name in every[found.name].channels if name not in found.channels]
    note = f"warning: {path}: left out are channels that {wanted_by.replace('trained', 'not trained')}: "
    return chosen, [note + abridge(spare)] * bool(spare and wanted_by == BY_MODEL)


def _pick(found: Modality, wanted: Sequence[str], path: Path, wanted_by: str) -> Modality:
    """The wanted features of a modality, in their order."""
    at: Mapping[str, int] = {feature: k for k, feature in enumerate(found.features)}
    absent = [feature for feature in wanted if feature not in at]
    hint = f"--mode finetune --adapt-modality {found.name} adapts the model to other features"
    if absent:
        what = f"has {len(at)} features and lacks {abridge(absent)} of the {len(wanted)} that {wanted_by}"
        close = nearest(absent[0], at)
        raise DataError(what, where=f"{path}:{found.name}", hint=f"{close} {hint}" if close else hint)
    counted = list(map(str, range(len(at))))
    first = list(wanted) == counted[: len(wanted)] and len(wanted) < len(at)
    if list(found.features) == counted and first and wanted_by == BY_MODEL:
        what = f"has {len(at)} features without names, and the model was trained on {len(wanted)}: which, is not known"
        raise DataError(what, where=f"{path}:{found.name}", hint=hint)
    return replace(found, features=tuple(wanted), chosen=np.array([at[feature] for feature in wanted]))


def _refuse_more(chosen: Sequence[Modality], there: Sequence[Modality], path: Path) -> None:
    """DataError where a modality has more features than the model knows: another sensor, or a part of this one?"""
    for mine, every in zip(chosen, there, strict=True):
        strange = [name for name in every.channels if name not in mine.channels]
        if strange:
            what = f"has {len(every.features)} features, and the model was trained on {len(mine.features)}"
            hint = (
                f"--mode finetune --adapt-modality {mine.name} adapts the model to them, --columns reads its own alone"
            )
            raise DataError(f"{what}: it does not know {abridge(strange)}", where=f"{path}:{mine.name}", hint=hint)
