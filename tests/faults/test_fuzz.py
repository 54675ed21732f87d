"""Rubbish at every door: refused with a message, or read. Never a traceback, never more than two seconds.

`make fuzz` tries 10,000 cases a target, with another seed each time; a case that fails goes into FOUND.
"""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings

from . import checkpoints, folders, rubbish, strangers, targets

CASES = int(os.environ.get("FUZZ", "0"))  # 0: a few, the same each time
SLOW = {"whole_runs": 50, "checkpoint_types": 20, "agents": 10, "agents_calls": 5}  # times a usual try
LIES: list[tuple[tuple[Any, ...], Any]] = [
    (("config",), None),
    (("config", "model_args"), ["x=1"]),
    (("config", "resample"), None),
    (("state", "head.weight"), torch.full((1, 4), float("nan"))),
    (("model", "backbone"), "../../x"),
    (("model", "length"), 10**9),
    (("model", "outputs"), 10**9),
    (("model", "pretrained"), torch.zeros(2)),
    (("scaler", "std"), [0.0]),
    (("fitted", "mean"), ["x"]),
    (("split",), 3),
    (("outputs",), [None]),
    (("scaler", "mean"), [10**400]),
    (("split", "rows", "train"), ["x"]),
]
OF_FORECASTS: list[tuple[tuple[Any, ...], Any]] = [
    (("config", "known_future"), [0]),
    (("config", "horizon"), 10**9),
    (("config", "backbone"), "x"),
    (("config", "label_offset"), 10**9),
    (("model", "ahead"), None),
    (("model", "ahead", "marks"), -1),
    (("model", "ahead", "targets"), [0]),
    (("calibration", "coverage"), None),
]
OF_LABELS: list[tuple[tuple[Any, ...], Any]] = [
    (("calibration", "shift"), [None]),
    (("calibration", "f1_on_val"), [torch.zeros(2)]),
    (("calibration", "probabilities"), []),
    (("config", "drop_label_from_x"), True),
]
SIZES = [{"adaptive_patching_levels": float("inf")}, {"d_model": 10**6}, {"prediction_length": 10**9}]
FOUND: list[tuple[str, Any]] = [
    ("braces", "~nouser/x.csv"),
    ("braces", "{" * 1200),
    ("braces", "{" * 30_000 + "}" * 30_000),
    ("braces", "{a,b" * 20_000),
    ("braces", "{1.." + "9" * 900 + "}"),
    ("braces", "{1.." + "9" * 5000 + "}"),
    ("braces", "a" * 5000),
    ("braces", "\0"),
    ("npz", rubbish.marked(rubbish.archive(), rubbish.FLAG, 1)),  # encrypted
    ("npz", rubbish.marked(rubbish.archive(), rubbish.METHOD, 77)),  # an unknown way of packing
    ("npz", rubbish.marked(rubbish.archive(), 6, 200)),  # a zip of version 20.0
    ("npz", rubbish.headed("{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000, 9), }\n", b"", 8)),
    ("npz", rubbish.headed("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2, 2), }\n", b"1234" * 4, 0)),
    ("npz", rubbish.headed("{'descr': '<U1', 'fortran_order': False, 'shape': (1,), }\n", b"\0\xd8\0\0", 0)),
    *[("checkpoint_types", ("regress", checkpoints.replaced(targets.STORED["regress"], [change]))) for change in LIES],
    (
        "checkpoint_types",
        ("classify", checkpoints.replaced(targets.STORED["classify"], [(("calibration", "tau"), None)])),
    ),
    ("yaml_flags", "seed: 2020-13-45\n"),
    ("yaml_flags", "lr: !!float x\n"),
    ("yaml_flags", "lr: !!timestamp x\n"),
    ("yaml_flags", "seed: " + "9" * 5000),
    ("yaml_flags", "a: " + "[" * 2000),
    ("yaml_flags", "- " * 2000),
    ("yaml_flags", "a: &a [*a]\n"),
    ("yaml_flags", "".join(f"a{k}: &a{k} [{f'*a{k - 1}, ' * 9 if k else 'x'}]\n" for k in range(12))),
    ("yaml_flags", 'csv: "\\0"\n'),
    ("yaml_flags", "\x07"),
    ("yaml_flags", "".join(f"key{k}: 1\n" for k in range(9000))),
    ("python_config", "a = " + "-" * 50_000 + "1"),
    ("python_config", "a = " + "b." * 20_000 + "c"),
    ("python_config", "a = " + "9" * 5000),
    ("python_config", rubbish.EXPERIMENT.replace('"lr": ', '"lr":A')),
    ("long_csv", b'time,load\n2"024-01-01 00:00,a,1\n2024-01-01 01:00,a,2\n'),
    ("xlsx", strangers.workbook(strangers.FAR, '<dimension ref="A1:XFD1048576"/>')),
    ("xlsx", strangers.workbook(f'<row r="1"><c r="A1" t="str"><v>{"9" * 10**7}</v></c></row>')),
    ("passwords", ("--groups", f"mqtt://host:99999/x?api_key={strangers.SECRET}")),
    ("layouts", ("ukdale/house_1/labels.dat", b"\x801 aggregate\n2 kettle\n")),
    *[("model_directories", (json.dumps(folders.CONFIG | change), folders.weights())) for change in SIZES],
    ("model_directories", ("{}", folders.weights())),
    ("yaml_config", "seed: " + "9" * 5000),
    ("yaml_config", "seed: !!int ''\n"),
    ("whole_runs", ("classify", [("--seed", "4294967296")])),
    ("whole_runs", ("regress", [("--gap", "1e300")])),
    ("whole_runs", ("classify", [("--stride", "1e19")])),
    ("whole_runs", ("regress", [("--threads", "18446744073709551616")])),
]


@pytest.mark.fault(
    "a checkpoint with wrong types",
    "exit 4, though its checksum is right; what is accepted predicts numbers",
)
@pytest.mark.parametrize(
    ("name", "thing"), FOUND, ids=lambda value: value if isinstance(value, str) and value.isidentifier() else ""
)
def test_what_was_found_once_stays_mended(name, thing, tmp_path):
    targets.attempt(name, thing, tmp_path)


@pytest.mark.fault("a checkpoint with wrong types")
@pytest.mark.parametrize(("name", "lies"), [("forecast", OF_FORECASTS), ("labels", OF_LABELS)])
def test_a_fresh_checkpoint_of_a_lie_is_refused(name, lies, tmp_path):
    task, content = "classify" if name == "labels" else name, targets.FRESH[name]()
    for lie in lies:
        assert not targets.attempt("checkpoint_types", (task, checkpoints.replaced(content, [lie])), tmp_path), lie


@pytest.mark.fault("a checkpoint with wrong types")
@pytest.mark.fault(
    "rubbish in tables, archives, settings, names, messages, proposals",
    "refused with a message within two seconds of CPU, or read; what is read is the same the second time",
)
@pytest.mark.parametrize("name", targets.TARGETS)
def test_rubbish_is_refused_or_read(name, tmp_path):
    strategy, _ = targets.TARGETS[name]
    accepted = []

    @settings(
        max_examples=max(CASES // SLOW.get(name, 1), 50) if CASES else max(60 // SLOW.get(name, 1), 6),
        derandomize=not CASES,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink) if CASES else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(thing=strategy)
    def attempts(thing: Any) -> None:
        accepted.append(targets.attempt(name, thing, tmp_path))

    attempts()
    print(f"{name}: {len(accepted):,} tries, {sum(accepted):,} accepted")
