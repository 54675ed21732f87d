"""tasks/nilm/overlay.py: traces of other houses and of plugs, pasted into training windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from tasks.nilm.overlay import Traces

from .runs import go, strict

FLAGS = "--mode train --task nilm --csv a.csv --time-col time --device-cols kettle --window 60 --epochs 1 --no-plots"
FLAGS += " --seeds 1"


def lay(path, columns, steps=1500, watts=2200.0, every=150):
    """A table with a run of 100 s every 150 steps of 8 s, on the base load of each column."""
    power = np.where(np.arange(steps) % every < 12, watts, 0.0)
    times = pd.date_range("2024-01-01", periods=steps, freq="8s")
    pd.DataFrame({"time": times, **{name: power + base for name, base in columns.items()}}).to_csv(path, index=False)


def test_a_trace_lies_somewhere_in_the_window_scaled():
    trace = np.arange(1, 5, dtype=np.float32)
    traces = Traces(((trace,),))
    whole = traces.drawn(0, 10, torch.tensor([0.0, 0.5, 0.5]))
    assert whole.sum() == pytest.approx(trace.sum()) and len(whole) == 10
    first, last = (traces.drawn(0, 10, torch.tensor([0.9, where, 0.0])) for where in (0.0, 0.999))
    assert first[0] == pytest.approx(0.8 * 4) and first[1:].sum() == 0  # its last step alone
    assert last[-1] == pytest.approx(0.8 * 1) and last[:-1].sum() == 0
    longer = Traces(((np.ones(50, np.float32),),)).drawn(0, 10, torch.tensor([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(longer, 1.2, rtol=1e-6)


def test_runs_of_another_house_and_of_a_plug_are_told_and_used_in_training_alone(tmp_path):
    lay(tmp_path / "a.csv", {"mains": 100, "kettle": 0})
    lay(tmp_path / "b.csv", {"total": 300, "Wasserkocher": 0}, every=100)
    lay(tmp_path / "kettle_plug.csv", {"power": 0}, steps=300)
    done = go(tmp_path, f"{FLAGS} --overlay-from b.csv kettle_plug.csv")
    assert done.code == 0, done.err
    assert "alone, runs from 2 files scaled by 0.8 to 1.2: 17 of kettle\n" in done.err  # 15 and 2
    files = strict(done.directory / "manifest.json")["data"]["files"]
    assert sum(file.get("flag") == "--overlay-from" for file in files) == 2
    again = go(tmp_path, f"--mode infer --ckpt {done.directory} --csv a.csv --no-plots")
    assert again.code == 0 and "pasted" not in again.err


@pytest.mark.parametrize(
    ("files", "told"), [("a.csv", "is a file of this run"), ("c.csv", "has none of the devices kettle: it has sauna")]
)
def test_files_that_cannot_serve_are_refused(tmp_path, files, told):
    lay(tmp_path / "a.csv", {"mains": 100, "kettle": 0})
    lay(tmp_path / "c.csv", {"mains": 100, "sauna": 0})
    done = go(tmp_path, f"{FLAGS} --overlay-from {files} --dry-run")
    assert done.code in (2, 3) and told in done.err
