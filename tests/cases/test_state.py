"""Cases of what is kept on disk: config files, resumed runs, searches, homes, agents, streams and exported files."""

from __future__ import annotations

import cli

from ..runs import standing_in


def test_integers_with_leading_zeros_stay_text(case):
    place = case("n-15")
    with standing_in(place.folder):
        config = cli.parse(place.commands[0].split())
    assert config.options["devices"] == ("035", "kettle=201")
    assert (config.tag, config.seed, config.context_len) == ("007", 10, 300)
