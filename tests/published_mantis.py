"""A small model folder laid out as the published ones of Mantis, its weights set by a rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

CONFIG: dict[str, Any] = {  # as `save_pretrained` of mantis-tsfm 1.1 writes it
    "device": "cpu", "epsilon_scalar_enc": 1.1, "hidden_dim": 16, "hidden_dim_scalar_enc": 4, "num_patches": 8,
    "output_token": "cls_token", "pre_training": False, "return_transf_layer": -1, "scalar_scales": None,
    "seq_len": 64, "transf_depth": 2, "transf_dim_head": 8, "transf_dropout": 0.1, "transf_mlp_dim": 24,
    "transf_num_heads": 2,
}  # fmt: skip


def shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """The published names of its tensors, and their shapes."""
    d, s, count = config["hidden_dim"], config["hidden_dim_scalar_enc"], config["num_patches"]
    heads, hidden = config["transf_num_heads"] * config["transf_dim_head"], config["transf_mlp_dim"]
    width = config["seq_len"] // count
    found: dict[str, tuple[int, ...]] = {"transf_unit.cls_token": (d,), "transf_unit.pos_encoder.pe": (count + 1, 1, d)}
    for i in range(config["transf_depth"]):
        layer = f"transf_unit.transformer.layers.{i}"
        found |= dict.fromkeys((f"{layer}.{j}.norm.{name}" for j in (0, 1) for name in ("weight", "bias")), (d,))
        found |= {f"{layer}.0.fn.to_qkv.weight": (3 * heads, d), f"{layer}.0.fn.to_out.0.weight": (d, heads)}
        found |= {f"{layer}.0.fn.to_out.0.bias": (d,), f"{layer}.1.fn.net.0.weight": (hidden, d)}
        found |= {f"{layer}.1.fn.net.0.bias": (hidden,), f"{layer}.1.fn.net.3.weight": (d, hidden)}
        found |= {f"{layer}.1.fn.net.3.bias": (d,)}
    for i in (0, 1):
        tokens = "tokgen_unit"
        found |= {
            f"{tokens}.convs.{i}.conv.weight": (d, 1, width + 1 - width % 2),
            f"{tokens}.convs.{i}.conv.bias": (d,),
        }
        found |= dict.fromkeys((f"{tokens}.layer_norms.{i}.{name}" for name in ("weight", "bias")), (d,))
        found[f"{tokens}.scalar_encoders.{i}.scales"] = (9,)
        for j in range(9):
            one = f"{tokens}.scalar_encoders.{i}.encoders.{j}"
            found |= {f"{one}.{name}": (1, s) for name in ("w", "b")}
            found |= {f"{one}.layer_norm.{name}": (s,) for name in ("weight", "bias")}
    found |= {"tokgen_unit.linear_encoder.linear.weight": (d, 2 * d + 2 * s)}
    found |= {
        f"tokgen_unit.linear_encoder.{name}": (d,) for name in ("linear.bias", "layer_norm.weight", "layer_norm.bias")
    }
    found |= {"prj.0.weight": (d,), "prj.0.bias": (d,), "prj.1.weight": (d, d), "prj.1.bias": (d,)}
    return found


def weights(config: dict[str, Any], unit: str = "transf_unit") -> dict[str, torch.Tensor]:
    """Tensors by the published names: sines of the square of a running number; scales and places as published."""
    found = {}
    for k, (name, shape) in enumerate(sorted(shapes(config).items())):
        at = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
        drawn = torch.sin(at.square() * (0.37 + k / 7) + k).float().reshape(shape)
        scale = 3 / shape[-1] ** 0.5 if name.endswith("weight") and len(shape) > 1 else 0.5
        found[name.replace("transf_unit", unit)] = scale * drawn + float("norm" in name and name.endswith("weight"))
    for i in (0, 1):
        found[f"tokgen_unit.scalar_encoders.{i}.scales"] = torch.tensor([10.0**power for power in range(-4, 5)])
    count, d = config["num_patches"] + 1, config["hidden_dim"]
    angle = torch.arange(count)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)
    places = torch.empty(count, 1, d)
    places[:, 0, 0::2], places[:, 0, 1::2] = angle.sin(), angle.cos()
    found[f"{unit}.pos_encoder.pe"] = places
    return found


def write(folder: Path, unit: str = "transf_unit", **changed: Any) -> str:
    """A folder with `config.json` and `model.safetensors`."""
    from safetensors.torch import save_file

    config = CONFIG | changed
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights(config, unit), folder / "model.safetensors")
    return str(folder)
