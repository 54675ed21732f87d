"""splits.py: what belongs where, worked out by the definition."""

from __future__ import annotations

import numpy as np
import pytest

import splits
import windows
from errors import DataError, UsageError
from readers.wide import read_wide


def index_of(n_rows=10, steps=40, length=5, offset=1, stride=1):
    offsets = np.arange(n_rows + 1, dtype=np.int64) * steps
    usable = np.ones(n_rows * steps, bool)
    usable_y = usable if offset is not None else np.ones(n_rows, bool)
    return offsets, windows.plan(offsets, usable, usable_y, length=length, offset=offset, stride=stride)


def make(index, offsets, **how):
    settings = {"mode": "group", "val_ratio": 0.2, "test_ratio": 0.0, "seed": 777} | how
    return splits.make(index, offsets, **settings)


def test_group_gives_every_row_to_one_split():
    offsets, index = index_of()
    (split,) = make(index, offsets, test_ratio=0.3)
    rows = {name: set(split[name].rows()) for name in splits.NAMES}
    assert [len(rows[name]) for name in splits.NAMES] == [5, 2, 3]
    assert set.union(*rows.values()) == set(range(10))
    assert sum(map(len, rows.values())) == 10
    assert split.how["rows"] == {name: sorted(rows[name]) for name in splits.NAMES}
    assert splits.overlap(split, 400) == 0


def test_rows_of_one_group_stay_together():
    offsets, index = index_of()
    groups = np.array(list("aabbccddee"))
    (split,) = make(index, offsets, groups=groups)
    of = {name: set(groups[list(set(split[name].rows()))]) for name in ("train", "val")}
    assert len(of["val"]) == 1 and not of["train"] & of["val"]


def test_the_seed_decides_and_only_the_seed():
    offsets, index = index_of()
    first, again, other = (make(index, offsets, seed=s)[0].how["rows"]["val"] for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("gap", [0, 3])
def test_holdout_cuts_at_the_target_and_lets_the_context_reach_back(gap):
    offsets, index = index_of(n_rows=2, steps=50)
    (split,) = make(index, offsets, mode="holdout", val_ratio=0.2, test_ratio=0.3, gap=gap)
    column = {name: split[name].targets() % 50 for name in splits.NAMES}
    assert (column["train"].min(), column["train"].max()) == (5, 24 - gap)
    assert (column["val"].min(), column["val"].max()) == (25, 34 - gap)
    assert (column["test"].min(), column["test"].max()) == (35, 49)
    assert (split.val.starts() % 50).min() == 25 - 5  # the context of the first validation window lies in training
    assert splits.overlap(split, 100) == 0


@pytest.mark.parametrize("test_ratio", [0.0, 0.1])
def test_rolling_folds_walk_forward_and_never_score_a_step_twice(test_ratio):
    offsets, index = index_of(n_rows=3, steps=100)
    made = make(index, offsets, mode="rolling", val_ratio=0.1, test_ratio=test_ratio, folds=3)
    scored = [s.test if test_ratio else s.val for s in made]
    columns = [set(part.targets() % 100) for part in scored]
    assert [(min(c), max(c)) for c in columns] == [(70, 79), (80, 89), (90, 99)]
    for split in made:
        assert (split.train.targets() % 100).max() < (split.val.targets() % 100).min()
        assert splits.overlap(split, 300) == 0
    assert len(made[0].train) < len(made[1].train) < len(made[2].train)


def test_rows_of_different_length_are_cut_at_the_same_share():
    offsets = np.array([0, 20, 120])
    usable = np.ones(120, bool)
    index = windows.plan(offsets, usable, usable, length=2, offset=1)
    (split,) = make(index, offsets, mode="holdout", val_ratio=0.25)
    first = [split.val.targets()[split.val.rows() == r].min() - offsets[r] for r in (0, 1)]
    assert first == [15, 75]


def test_an_empty_split_names_the_sizes():
    offsets, index = index_of(n_rows=2, steps=40, length=30)
    with pytest.raises(DataError, match=r"the train split has no window \(windows: train 0, val 20"):
        make(index, offsets, mode="holdout", val_ratio=0.3)
    with pytest.raises(DataError, match=r"1 row\(s\) cannot be split into train, val"):
        make(*reversed(index_of(n_rows=1)))


def test_folds_that_reach_before_the_data_are_an_error():
    offsets, index = index_of(n_rows=2, steps=40)
    with pytest.raises(DataError, match="of fold 0 has no window"):
        make(index, offsets, mode="rolling", val_ratio=0.3, folds=4)


def test_a_span_belongs_to_the_split_that_holds_all_of_it():
    """The field's numbers: 8640, 2880, 2880 hours give 8640 - L - H + 1 and twice 2880 - H + 1 windows."""
    usable, offsets = np.ones(17420, bool), np.array([0, 17420])
    index = windows.plan(offsets, usable, usable, length=336, offset=1, horizon=96)
    (split,) = make(index, offsets, mode="holdout", sizes=(8640, 2880, 2880))
    assert [len(split[name]) for name in splits.NAMES] == [8640 - 336 - 96 + 1, 2785, 2785]
    assert split.val.starts()[0] == 8640 - 336 and split.test.starts()[0] == 11520 - 336
    assert split.test.targets()[-1] + 96 == 14400
    assert splits.overlap(split, 17420) == 0
    straddling = splits.Split(split.train, index.with_target_in(np.array([8600]), np.array([8740])), split.test, {})
    assert splits.overlap(straddling, 17420) == 40


def test_sizes_that_do_not_fit_are_refused():
    usable, offsets = np.ones(100, bool), np.array([0, 100])
    index = windows.plan(offsets, usable, usable, length=5, offset=1)
    with pytest.raises(DataError, match=r"80 \+ 20 \+ 20 = 120 steps, and the shortest row has 100"):
        make(index, offsets, mode="holdout", sizes=(80, 20, 20))


def test_whole_row_labels_cannot_be_cut_in_time():
    offsets, index = index_of(offset=None)
    with pytest.raises(UsageError, match="--split-mode group"):
        make(index, offsets, mode="holdout")


def test_overlap_counts_what_a_broken_split_would_share():
    _, index = index_of(n_rows=2)
    broken = splits.Split(index, index.of_rows(np.array([True, False])), index.of_rows(np.zeros(2, bool)), {})
    assert splits.overlap(broken, 80) == len(broken.val)


@pytest.mark.slow
def test_a_nearest_neighbour_finds_no_leak_in_group_or_rolling_splits(shared):
    """Office occupancy an hour ahead from temperature, humidity and CO2, by the five most similar training windows.

    Neighbouring windows share nine of ten steps: drawn at random, nearly the same window lies in training and the
    probe looks perfect. Its score must fall to an honest one when whole rows, days, or the time are parted.
    """
    from sklearn.metrics import average_precision_score
    from sklearn.neighbors import KNeighborsClassifier

    folder = shared / "occupancy_detection"
    names = ["ch0_Occupancy", "ch1_Temperature", "ch2_Humidity", "ch4_CO2", "ch5_HumidityRatio"]
    series = read_wide([folder / f"{name}.csv" for name in names])
    days = np.array([line[:10] for line in (folder / "row_start.txt").read_text().splitlines()])
    usable = np.ones(int(series.offsets[-1]), bool)
    index = windows.plan(series.offsets, usable, usable, length=10, offset=60)
    x = series.values[1:]
    x = (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)
    y = series.values[0, index.targets()] > 0
    flat = (
        np.lib.stride_tricks.sliding_window_view(x, 10, axis=1)[:, index.starts()]
        .transpose(1, 0, 2)
        .reshape(len(y), -1)
    )
    number = dict(zip(index.targets().tolist(), range(len(y)), strict=True))

    def probe(train, held_out):
        model = KNeighborsClassifier(5).fit(flat[train], y[train])
        return average_precision_score(y[held_out], model.predict_proba(flat[held_out])[:, 1])

    order = np.random.default_rng(0).permutation(len(y))
    assert probe(order[len(y) // 5 :], order[: len(y) // 5]) > 0.985
    for how in ({}, {"groups": days}, {"mode": "rolling", "folds": 3}, {"mode": "holdout"}):
        for split in make(index, series.offsets, **how):
            assert splits.overlap(split, len(usable)) == 0
            train, held_out = ([number[t] for t in part.targets().tolist()] for part in (split.train, split.val))
            assert probe(train, held_out) < 0.75, how


def test_the_split_of_an_earlier_run_comes_back_whatever_made_it():
    offsets, index = index_of()
    (split,) = make(index, offsets, groups=np.array(list("aabbccddee")), seed=3, test_ratio=0.2)
    again = splits.of_rows(index, split.how, np.arange(10))
    assert all((again[name].targets() == split[name].targets()).all() for name in splits.NAMES)


def test_named_groups_are_exactly_the_split_and_the_rest_trains():
    offsets, index = index_of()
    groups = np.array(["mon", "mon", "tue", "tue", "wed", "wed", "thu", "thu", "fri", "fri"])
    (split,) = make(index, offsets, groups=groups, named={"val": ["tue"], "test": ["fri", "mon"]})
    assert split.how["rows"] == {"train": [4, 5, 6, 7], "val": [2, 3], "test": [0, 1, 8, 9]}
    assert splits.overlap(split, 400) == 0
    # What is not named is a share of all, and never of what is named.
    (drawn,) = make(index, offsets, groups=groups, named={"test": ["wed"]}, val_ratio=0.4)
    assert drawn.how["rows"]["test"] == [4, 5] and len(drawn.how["rows"]["val"]) == 4
    assert not {4, 5} & set(drawn.how["rows"]["val"])
    again = make(index, offsets, groups=groups, named={"test": ["wed"]}, val_ratio=0.4)[0]
    assert again.how == drawn.how


def test_without_groups_a_row_is_named_by_its_id():
    offsets, index = index_of(n_rows=3)
    (split,) = make(index, offsets, rows=("house_1", "house_2", "house_3"), named={"test": ["house_2"]})
    assert split.how["rows"]["test"] == [1] and split.how["groups"] == 3


@pytest.mark.parametrize(
    ("named", "kind", "text"),
    [
        ({"test": ["tuesday"]}, UsageError, "--test-groups: there is no group 'tuesday'\n  hint: did you mean tue?"),
        ({"val": ["x"]}, UsageError, "the groups are mon, tue, wed"),
        ({"val": ["mon"], "test": ["mon"]}, UsageError, "group 'mon' is in --val-groups too"),
        ({"val": ["mon"], "test": ["tue", "wed"]}, DataError, "3 group(s), without the 3 that are named"),
    ],
)
def test_names_that_cannot_be_a_split_are_told(named, kind, text):
    offsets, index = index_of(n_rows=6)
    with pytest.raises(kind) as caught:
        make(index, offsets, groups=np.array(["mon", "mon", "tue", "tue", "wed", "wed"]), named=named)
    assert text in str(caught.value)


def forecast_index(lengths, context, horizon):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    usable = np.ones(offsets[-1], bool)
    return offsets, windows.plan(offsets, usable, usable, length=context, offset=1, horizon=horizon)


@pytest.mark.parametrize(
    ("steps", "horizon", "val_from", "test_from"),
    [(36, 3, 27, 30), (60, 12, 36, 48), (108, 12, 74, 86), (144, 12, 103, 115), (400, 12, 280, 320)],
)
def test_parts_of_short_series_are_of_whole_horizons(steps, horizon, val_from, test_from):
    # By hand: shares of .1 and .2 hold share - H + 1 windows; a part with fewer than 8 has the nearest whole horizons.
    offsets, index = forecast_index([steps], 12, horizon)
    (split,) = make(index, offsets, mode="holdout", val_ratio=0.1, test_ratio=0.2)
    cuts = {"val_from": val_from, "test_from": test_from, "end": steps}
    assert split.how["cuts"] == cuts and all(len(split[name]) for name in splits.NAMES)
    assert ("whole_horizons" in split.how) == (steps < 400) == bool(splits.told(split, 1))
    assert splits.overlap(split, steps) == 0
    again = splits.of_cuts(index, offsets, split.how)
    assert all((again[name].starts() == split[name].starts()).all() for name in splits.NAMES)


def test_many_short_series_keep_their_shares():
    offsets, index = forecast_index([60, 70, 80, 90] * 4, 6, 5)  # val of 60 steps: 2 windows, but 16 series have 80
    (split,) = make(index, offsets, mode="holdout", val_ratio=0.1, test_ratio=0.2)
    assert "whole_horizons" not in split.how and split.how["cuts"]["test_from"][0] == 48


def test_few_rows_of_many_classes_change_places_until_training_sees_each():
    offsets, index = index_of(24, offset=None)
    kinds = np.repeat(np.arange(12), 2)
    (split,) = make(index, offsets, kinds=kinds, test_ratio=0.2)
    (drawn,) = make(index, offsets, test_ratio=0.2)
    rows = {name: split.how["rows"][name] for name in splits.NAMES}
    assert [len(rows[name]) for name in splits.NAMES] == [14, 5, 5] == [len(drawn.how["rows"][n]) for n in splits.NAMES]
    assert set(kinds[rows["train"]]) == set(range(12)) and sum(map(len, map(set, rows.values()))) == 24
    missing = 12 - len(set(kinds[drawn.how["rows"]["train"]]))
    assert missing > 0
    assert f"split: {missing} drawn rows or groups changed places" in splits.told(split, 24)[0]
    assert splits.told(drawn, 24) == []


def test_validation_gets_a_second_class_where_there_is_one_to_spare():
    offsets, index = index_of(12, offset=None)
    (drawn,) = make(index, offsets)
    kinds = np.ones(12, int)
    kinds[[row for row in range(12) if row not in drawn.how["rows"]["val"]][:3]] = 0
    (split,) = make(index, offsets, kinds=kinds)
    assert set(kinds[split.how["rows"]["val"]]) == set(kinds[split.how["rows"]["train"]]) == {0, 1}


def test_the_only_group_of_validation_makes_room_for_one_of_several_classes():
    """Days of a room, of which most are empty: before, an empty one was all of validation, and training stopped."""
    offsets, index = index_of(35, offset=None)
    groups, kinds = np.arange(35) // 5, np.zeros(35, int)
    (drawn,) = make(index, offsets, groups=groups)
    (alone,) = {int(groups[row]) for row in drawn.how["rows"]["val"]}
    busy = [group for group in range(7) if group != alone][:2]
    kinds[np.isin(groups, busy) & (np.arange(35) % 2 == 0)] = 1
    (split,) = make(index, offsets, groups=groups, kinds=kinds)
    rows = split.how["rows"]
    assert {*groups[rows["val"]].tolist()} < {*busy} and {*kinds[rows["train"]]} == {*kinds[rows["val"]]} == {0, 1}
    assert len(rows["val"]) == 5 and split.how["exchanged"] == 1


def test_a_draw_that_lacks_no_class_stays_and_so_do_rows_that_are_named():
    offsets, index = index_of(20, offset=None)
    kinds = np.arange(20) % 2
    assert make(index, offsets, kinds=kinds)[0].how == make(index, offsets)[0].how
    kinds = np.r_[[5, 5], np.arange(18) % 2]
    named = {"test": ["0", "1"]}
    (split,) = make(index, offsets, kinds=kinds, rows=[str(row) for row in range(20)], named=named)
    assert split.how["rows"]["test"] == [0, 1]


def test_a_pause_where_validation_would_be_makes_parts_of_windows():
    """Steps 0 to 59 and 90 to 99 are known: of 100 steps 80 to 89 are validation. 58 + 8 windows of two steps and the
    next one are cut at numbers 46 and 52, whose targets are the steps 48 and 54."""
    offsets = np.array([0, 100])
    known = ~((np.arange(100) >= 60) & (np.arange(100) < 90))
    index = windows.plan(offsets, known, known, length=2, offset=1)
    (split,) = make(index, offsets, mode="holdout", val_ratio=0.1, test_ratio=0.2)
    assert [len(split[name]) for name in splits.NAMES] == [46, 6, 14]
    assert split.val.targets().tolist() == [*range(48, 54)]
    assert split.how["cuts"] == {"val_from": 48, "test_from": 54, "end": 100}
    assert splits.overlap(split, 100) == 0 and "shares of the windows" in splits.told(split, 1)[0]
    with pytest.raises(DataError, match="the val split has no window"):
        make(index, offsets, mode="holdout", val_ratio=0.1, test_ratio=0.2, sizes=(70, 10, 20))
