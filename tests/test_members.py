"""tasks/members.py: the picture of a blend."""

from __future__ import annotations

import pytest

from tasks.members import members, members_figure

pytestmark = pytest.mark.paints  # elsewhere axes share their ticks


def test_members_are_drawn_by_weight_with_their_errors(tmp_path):
    told = {
        "theta": {"weight": 0.3, "error": 0.8},
        "ets log=True": {"weight": 0.7, "error": 0.05},
        "ridge": {"weight": 0.0, "error": None},
        "last_cycle": {"weight": 0.2, "error": None},
    }
    figure = members_figure(told, "a run")
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["ets log=True", "theta", "last_cycle", "ridge"]
    assert [bar.get_width() for bar in left.patches] == [0.7, 0.3, 0.2, 0.0]
    assert right.lines[0].get_xdata().tolist() == [0.05, 0.8]
    assert [text.get_text() for text in right.texts] == ["weight as usual, not tried", "left out"]
    assert right.get_xscale() == "log"
    members({"gru": {"weight": 1.0, "loss": 0.4}}, tmp_path / "members.png")
    assert (tmp_path / "members.png").is_file()
