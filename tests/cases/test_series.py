"""Cases in which steps that lie side by side in an array were taken for neighbours, and others about forecasts."""

from __future__ import annotations

import json


def test_no_switch_on_is_counted_across_a_gap(case):
    run = case("n-01").go(0)
    assert run.code == 0, run.err
    events = json.loads((run.directory / "kpis.json").read_text())["devices"]["heater"]["events"]
    assert [events[key] for key in ("true", "predicted", "matched")] == [2, 2, 2]
