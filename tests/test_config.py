"""config.py: conversion, ranges, names that never round, settings that a checkpoint fixes."""

from __future__ import annotations

import dataclasses

import pytest

from config import Flag, check_all, convert, core_flags, exact, inside, table_flags
from settings.flags import seconds


def flag(kind=float, **more):
    return Flag(name="thing", kind=kind, default=more.pop("default", None), help="", group="", **more)


@pytest.mark.parametrize(
    ("made", "raw", "value"),
    [
        (flag(float), "1e-4", 1e-4),  # what YAML 1.1 reads as text
        (flag(float), 3, 3.0),
        (flag(int), "12", 12),
        (flag(int), "1e3", 1000),
        (flag(int), 123456789012345, 123456789012345),
        (flag(bool), "Yes", True),
        (flag(bool), False, False),
        (flag(str, choices=("auto", "yes", "no")), True, "yes"),  # YAML's bare yes
        (flag(str, choices=("off", "default")), "off", "off"),
        (flag(str, choices=("global", "none"), number_too="(0,)"), "2.5", 2.5),
        (flag(str, choices=("global", "none"), number_too="(0,)"), "global", "global"),
        (flag(str, many="+"), ["a", "b"], ("a", "b")),
        (flag(str, many="+"), "a", ("a",)),
        (flag(float, many=2), ["0", "125"], (0.0, 125.0)),
        (flag(dict, many="+"), ["d-model=8", "x="], {"d_model": "8", "x": ""}),
        (flag(dict, many="+"), {"d_model": 8}, {"d_model": 8}),
        (flag(dict, many="+", by_name=True), ["Washing-Machine 2=8"], {"Washing-Machine 2": "8"}),
        (flag(dict, many="+", by_name=True), "0.4", {"": "0.4"}),
        (flag(int), None, None),
    ],
)
def test_convert_takes(made, raw, value):
    got = convert(made, raw)
    assert got == value and type(got) is type(value)


@pytest.mark.parametrize(
    ("made", "raw", "text"),
    [
        (flag(float), "nan", "a finite number"),
        (flag(float), float("inf"), "a finite number"),
        (flag(float), "1,5", "takes a number"),
        (flag(float), True, "takes a number"),
        (flag(int), "2.5", "a whole number"),
        (flag(float, within="(0,1)"), "1", r"must be in \(0, 1\), got 1"),
        (flag(float, within="(0,1)"), 0, r"must be in \(0, 1\)"),
        (flag(float, within="[0,1)"), "-0.1", r"must be in \[0, 1\)"),
        (flag(int, within="[1,)"), "0", "must be 1 or more"),
        (flag(str, choices=("group", "rolling")), "roling", "did you mean rolling"),
        (flag(str, choices=("global", "none"), number_too="(0,)"), "globl", "did you mean global"),
        (flag(str, choices=("global", "none"), number_too="(0,)"), "-1", "must be above 0"),
        (flag(bool), "maybe", "true or false"),
        (flag(float, many=2), ["1"], "takes 2 values, got 1"),
        (flag(dict, many="+"), ["d_model"], "key=value"),
    ],
)
def test_convert_refuses(made, raw, text):
    with pytest.raises(ValueError, match=text):
        convert(made, raw)


@pytest.mark.parametrize(
    ("interval", "members", "others"),
    [("(0,1)", [0.5], [0, 1, -1]), ("[0,1)", [0, 0.99], [1]), ("[1,)", [1, 1e9], [0.5]), ("(0,)", [1e-9], [0, -1])],
)
def test_intervals_are_read_as_mathematics_writes_them(interval, members, others):
    assert all(inside(m, interval) for m in members) and not any(inside(o, interval) for o in others)


def test_all_problems_are_collected():
    flags = [dataclasses.replace(flag(int), name="a"), dataclasses.replace(flag(float, within="(0,1)"), name="b")]
    _, problems = check_all(flags, {"a": "x", "b": "7"})
    assert problems == ["--a takes a whole number, got 'x'", "--b must be in (0, 1), got 7"]


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.5, "0.50"), (0.503, "0.503"), (0.1 + 0.2, "0.30000000000000004"), (2, "2.00"), (1e-9, "1e-09")],
)
def test_numbers_in_names_lose_nothing(number, text):
    assert exact(number) == text and float(text) == number


def test_every_flag_is_documented_and_its_default_is_valid():
    for made in core_flags():
        assert made.help and made.group, made.name
        if made.default not in (None, "", ()):
            assert convert(made, made.default) == made.default


def test_a_table_becomes_flags():
    table = {
        "hidden": {"default": 64, "min": 1, "max": 4096, "help": "width"},
        "clip": {"default": None, "type": "float", "many": 2, "help": "ends"},
        "size": {"default": "small", "choices": ("small", "base"), "help": "which"},
    }
    hidden, clip, size = table_flags(table, "gru")
    assert (hidden.kind, hidden.within, clip.kind, size.choices) == (int, "[1,4096]", float, ("small", "base"))
    with pytest.raises(ValueError, match="must be in"):
        convert(hidden, 0)


def test_a_duration_is_seconds():
    assert [seconds(text) for text in ("90", "1.5min", "2h", "1d", "0")] == [90, 90, 7200, 86400, 0]
    budget = flag(duration=True)
    assert convert(budget, "5min") == 300 and convert(budget, 30) == 30
    for wrong in ("soon", "-3", "5 weeks", "inf"):
        with pytest.raises(ValueError, match="takes a duration such as 90s"):
            convert(budget, wrong)
