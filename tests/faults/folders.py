"""Doors for folders that others publish: data sets in their layouts, and model directories."""

from __future__ import annotations

import functools
import gzip
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from hypothesis import strategies as st

from backbones import ModelSpec
from backbones.model import build_model
from sources.layouts import read_layout

from .. import test_backbones, test_layouts
from . import rubbish
from .strangers import anything, leaves
from .targets import target


@functools.cache
def published() -> dict[str, bytes]:
    """{layout/file: content} of small good folders."""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        test_layouts.refit(place, steps=9)
        samples = [(8.0 * k, float(k % 3)) for k in range(9)]
        for name in ("ukdale", "deddiag-tsv"):
            (place / name).mkdir()
        test_layouts.channels(place / "ukdale", ["aggregate", "kettle"], {1: samples, 2: samples})
        test_layouts.deddiag(place / "deddiag-tsv", {35: samples, 59: samples})
        for file in place.rglob("*.*"):
            if file.is_file():
                found[str(file.relative_to(place))] = file.read_bytes()
    return found


def _spoiled(name: str) -> st.SearchStrategy[tuple[str, bytes]]:
    content = published()[name]
    if name.endswith(".gz"):
        inside = rubbish.spoiled(gzip.decompress(content)).map(gzip.compress)
        return st.tuples(st.just(name), st.one_of(rubbish.spoiled(content), inside))
    return st.tuples(st.just(name), st.one_of(rubbish.spoiled(content), rubbish.texts))


@target(st.deferred(lambda: st.sampled_from(sorted(published())).flatmap(_spoiled)))
def layouts(given: tuple[str, bytes], folder: Path) -> bool:
    """One file of a published data set is rubbish."""
    for name, content in (published() | dict([given])).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    layout = "refit" if "/" not in given[0] else given[0].partition("/")[0]
    place = folder / (given[0] if layout == "refit" else "/".join(given[0].split("/")[:2]))
    series = read_layout(layout, [place], sample=8)
    assert len(set(series.channels)) == len(series.channels) and not np.isinf(series.values).any()
    return True


@functools.cache
def weights() -> bytes:
    """The weights of a model directory."""
    from safetensors.torch import save

    torch.manual_seed(0)
    return save(test_backbones.published_weights())


CONFIG = test_backbones.TTM_CONFIG
changed = st.tuples(st.sampled_from(sorted(CONFIG)), st.one_of(leaves, anything, st.integers(0, 64)))
configs = st.one_of(
    st.lists(changed, min_size=1, max_size=2).map(lambda pairs: json.dumps(CONFIG | dict(pairs))),
    rubbish.spoiled_text(json.dumps(CONFIG)),
)


@target(
    st.tuples(
        configs, st.one_of(st.deferred(lambda: st.just(weights())), st.deferred(lambda: rubbish.spoiled(weights())))
    )
)
def model_directories(given: tuple[str, bytes], folder: Path) -> bool:
    """Settings or weights of a pretrained model are rubbish."""
    (folder / "config.json").write_text(given[0], encoding="utf-8", errors="surrogatepass")
    (folder / "model.safetensors").write_bytes(given[1])
    model = build_model(
        ModelSpec(backbone="ttm", channels=2, length=32, outputs=2, horizon=1, head="pool"), str(folder)
    )
    with torch.inference_mode():
        assert torch.isfinite(model(torch.zeros(1, 2, 32))).all()
    return True
