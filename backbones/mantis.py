"""Mantis (Feofanov et al. 2025, arXiv 2502.15637) from a directory on this disk: features that were learned on other
series, under a map that is solved.

Each channel becomes one vector (mantis_encoder.py), whose weights stay as they are; the map is that of `rocket`, its
strength chosen by leaving one out. For whole series (`--labels`), and for the next step of a window.

`--pretrained-dir` is needed, and nothing is downloaded. `--backbone llm_ts` with the same directory trains these
weights on, under a head of its own. Of `auto` for whole series it is a member where the directory is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import nn

from backbones import Hyper, InputSpec, pretrained_files, register
from backbones.banks import OnBanks
from backbones.pretrained_files import MantisBody
from errors import CheckpointError, UsageError

HYPER: dict[str, dict[str, Any]] = {}


class Vectors(nn.Module):
    """`x [B, C, T] -> [B, F]`: the vectors of the channels side by side."""

    def __init__(self, config: dict[str, Any], channels: int, length: int) -> None:
        super().__init__()
        # What is not trained has nothing to drop.
        self.body = MantisBody(config | {"transf_dropout": 0.0}, channels, length, 0)
        self.size = self.body.dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x)[:, 0]


@register
class Mantis(OnBanks):
    """The map of what the encoder says of a window."""

    takes_pretrained_dir = True
    needs_pretrained_dir = True

    def __init__(self, inputs: InputSpec, hyper: Hyper) -> None:
        if inputs.pretrained is None:
            raise UsageError(
                "its weights come from a directory on this disk",
                where="--backbone mantis",
                hint="add --pretrained-dir DIR, which holds config.json and model.safetensors",
            )
        super().__init__(inputs, hyper, [Vectors(inputs.pretrained["config"], inputs.channels, inputs.length)])

    @classmethod
    def load_pretrained(cls, inputs: InputSpec, hyper: Hyper, directory: str) -> Mantis:
        """The encoder of a directory."""
        described = describe(directory)

        def make() -> Mantis:
            return cls(replace(inputs, pretrained=described), hyper)

        pretrained_files.check_size(make, directory)
        model = pretrained_files.construct(make)
        model.load(directory)
        return model

    @property
    def body(self) -> MantisBody:
        """What reads a window."""
        (vectors,) = self.banks.banks
        assert isinstance(vectors, Vectors)
        return vectors.body

    def load(self, directory: str) -> None:
        """Take the weights of a directory."""
        pretrained_files.load_body(self.body, directory)


def describe(directory: str) -> dict[str, Any]:
    """The plain dict that rebuilds a directory's architecture. CheckpointError where it is another model's."""
    found = pretrained_files.describe(directory, 0)
    if found["model_type"] != "mantis":
        where = f"--pretrained-dir {directory}"
        raise CheckpointError("config.json does not describe Mantis", where=where, hint="--backbone llm_ts")
    return found
