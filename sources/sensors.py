"""Synthetic recordings of a home robot's sensors: who did what where, and which zones need cleaning afterwards.

A recording is thirty steps of a person who does one thing after another, each in a zone. Cooking, eating, snacking and
washing soil the zone they happen in, cleaning makes it clean again, the rest leaves it as it is; a zone needs cleaning
when it was soiled and not cleaned since. No sensor shows that alone: the camera, the microphone and the pose show the
activity (each confuses some with others), the position shows the zone, and the past has to be remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

STEPS = 30
ZONES = ("kitchen", "table", "sofa", "desk", "bed", "bathroom", "hall")
SOIL, CLEAN, LEAVE = 1, -1, 0
OBJECT, SOUND = 0, 1  # what an activity lets one see or hear
# activity: effect on its zone, posture, objects that are seen, sounds that are heard
ACTIVITIES: dict[str, tuple[int, int, tuple[str, ...], tuple[str, ...]]] = {
    "cook": (SOIL, 0, ("pan", "knife", "bottle"), ("chopping", "frying", "fan")),
    "eat": (SOIL, 1, ("plate", "cup", "fork"), ("dishes", "chewing", "speech")),
    "snack": (SOIL, 2, ("bag", "cup", "remote"), ("rustling", "chewing", "tv")),
    "wash": (SOIL, 0, ("towel", "bottle", "brush"), ("water", "splash", "fan")),
    "clean": (CLEAN, 3, ("cloth", "brush", "towel"), ("vacuum", "wiping", "water")),
    "work": (LEAVE, 1, ("laptop", "book", "cup"), ("typing", "speech", "paper")),
    "rest": (LEAVE, 2, ("remote", "book"), ("tv", "music", "breathing")),
    "pass": (LEAVE, 0, (), ("steps",)),
}
OBJECTS = (
    *("pan", "knife", "bottle", "plate", "cup", "fork", "bag"),
    *("remote", "towel", "brush", "cloth", "laptop", "book", "box"),
)
MORE_OBJECTS = ("bowl", "crumbs", "stain", "soap", "vase", "shoe")  # what a newer camera distinguishes
SEEN_MORE = {"cook": ("bowl",), "eat": ("crumbs", "bowl"), "snack": ("crumbs",), "wash": ("soap",), "clean": ("stain",)}
SOUNDS = tuple(dict.fromkeys(sound for *_, sounds in ACTIVITIES.values() for sound in sounds))
# scenario: hours of the day, and which activity happens in which zone
SCENARIOS: dict[str, tuple[tuple[int, int], tuple[tuple[str, str], ...]]] = {
    "breakfast": ((6, 10), (("cook", "kitchen"), ("eat", "table"), ("wash", "bathroom"), ("pass", "hall"))),
    "office": ((8, 18), (("work", "desk"), ("snack", "desk"), ("pass", "hall"), ("eat", "desk"))),
    "lunch": ((11, 15), (("cook", "kitchen"), ("eat", "table"), ("clean", "kitchen"), ("clean", "table"))),
    "chores": ((9, 19), (*(("clean", zone) for zone in ZONES), ("wash", "bathroom"), ("snack", "sofa"))),
    "guests": ((15, 23), (("eat", "table"), ("snack", "sofa"), ("pass", "hall"), ("eat", "sofa"))),
    "evening": ((18, 24), (("snack", "sofa"), ("rest", "sofa"), ("rest", "bed"), ("snack", "bed"))),
    "dinner": ((17, 21), (("cook", "kitchen"), ("eat", "table"), ("eat", "sofa"), ("clean", "kitchen"))),
    "bath": ((6, 23), (("wash", "bathroom"), ("clean", "bathroom"), ("rest", "bed"), ("pass", "hall"))),
    "study": ((14, 23), (("work", "desk"), ("work", "table"), ("snack", "table"), ("clean", "desk"))),
    "quiet": ((0, 24), (("rest", "sofa"), ("rest", "bed"), ("work", "desk"), ("pass", "hall"), ("clean", "bed"))),
}
STRAY = 0.25  # share of activities that happen in any zone
MISTAKEN = 2.0  # share of steps, in units of the noise, at which a sensor takes an activity or zone for another
MOST_SHIFT = 2  # steps by which a sensor may be late or early
JOINTS, POSTURES = 17, 4
SIZES = {"visual": len(OBJECTS), "audio": len(SOUNDS), "pose": 3 * JOINTS, "spatial": len(ZONES), "time": 10}


def recordings(
    samples_per_scenario: int = 200, noise: float = 0.1, seed: int = 7, sizes: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an .npz (readers/npz.py): `visual` [N, 30, 14], `audio` [N, 30, 17], `pose` [N, 30, 51],
    `spatial` [N, 30, 7], `time` [N, 30, 10], `labels` [N, 7], their names, and `scenario` [N].

    N = 10 * samples_per_scenario. `noise` is the deviation of what every sensor adds to its readings in [0, 1], and how
    often it is mistaken. Seen objects change in confidence and go missing, and each sensor is shifted in time.
    `sizes` {modality: features} are others than these: fewer are the first of them; a camera recognises six more
    objects; what is more shows nothing but noise.
    """
    sizes = {**SIZES, **(sizes or {})}
    objects = min(sizes["visual"], len(OBJECTS) + len(MORE_OBJECTS))
    random = np.random.default_rng(seed)
    scenario = np.repeat(np.arange(len(SCENARIOS)), samples_per_scenario)
    activity, zone, labels = _scripts(random, scenario)
    names = (*OBJECTS, *MORE_OBJECTS)[:objects]
    audio = _scores(random, _observed(random, activity, noise, len(ACTIVITIES)), SOUNDS, SOUND, noise)
    visual = _scores(random, _observed(random, activity, noise, len(ACTIVITIES)), names, OBJECT, noise)
    visual = _augmented(random, visual)
    pose = _poses(random, _observed(random, activity, noise, len(ACTIVITIES)), noise)
    spatial = np.eye(len(ZONES))[_observed(random, zone, noise, len(ZONES))]
    spatial = np.clip(spatial + random.normal(0, noise, spatial.shape), 0, 1)
    made = {"visual": visual, "audio": audio, "pose": pose, "spatial": spatial}
    made = {name: _shifted(random, values) for name, values in made.items()}
    arrays = {name: values.astype(np.float32) for name, values in made.items()}
    axes = [f"joint{joint}_{axis}" for joint in range(JOINTS) for axis in "xyz"]
    clock = ["hour_sin", "hour_cos", "weekend", *(f"day{day}" for day in range(7))]
    known = {"visual": names, "audio": SOUNDS, "pose": axes, "spatial": ZONES, "time": clock, "labels": ZONES}
    arrays |= {"time": _clock(random, scenario), "labels": labels.astype(np.float32)}
    words = {name: tuple(each) for name, each in known.items()}
    for name, size in sizes.items():
        arrays[name], words[name] = _sized(arrays[name], words[name], size, noise, (seed, list(SIZES).index(name)))
    arrays |= {f"{name}_names": np.array(each) for name, each in words.items()}
    return arrays | {"scenario": np.array(list(SCENARIOS))[scenario]}


def _sized(
    values: np.ndarray, words: tuple[str, ...], size: int, noise: float, seed: tuple[int, int]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values [N, T, d] and their names cut to `size` features, or with noise as the ones that are more."""
    more = size - len(words)
    if more <= 0:
        return values[..., :size], words[:size]
    extra = np.random.default_rng(seed).normal(0, noise, (*values.shape[:2], more)).astype(np.float32)
    return np.concatenate([values, extra], axis=2), (*words, *(f"noise{k}" for k in range(more)))


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """The arrays as a compressed .npz, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part.npz")
    packed: dict[str, Any] = dict(arrays)
    np.savez_compressed(part, **packed)
    part.replace(path)


def _scripts(random: np.random.Generator, scenario: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Activity and zone at each step, int [N, 30], and which zones are soiled at the end, bool [N, 7]."""
    codes, kinds = list(SCENARIOS.values()), list(ACTIVITIES)
    activity = np.empty((len(scenario), STEPS), np.int64)
    zone = np.empty_like(activity)
    soiled = np.zeros((len(scenario), len(ZONES)), bool)
    for n, which in enumerate(scenario):
        parts = int(random.integers(3, 7))
        cuts = np.sort(random.choice(np.arange(2, STEPS - 1), parts - 1, replace=False))
        for begin, end in zip([0, *cuts], [*cuts, STEPS], strict=True):
            kind, usual = codes[which][1][random.integers(len(codes[which][1]))]
            at = int(random.integers(len(ZONES))) if random.random() < STRAY else ZONES.index(usual)
            activity[n, begin:end], zone[n, begin:end] = kinds.index(kind), at
            effect = ACTIVITIES[kind][0]
            soiled[n, at] = effect == SOIL or (effect == LEAVE and soiled[n, at])
    return activity, zone, soiled


def _observed(random: np.random.Generator, truth: np.ndarray, noise: float, kinds: int) -> np.ndarray:
    """`truth` [N, T] as one sensor takes it: now and then for anything else."""
    mistaken = random.random(truth.shape) < min(MISTAKEN * noise, 1)
    return np.where(mistaken, random.integers(0, kinds, truth.shape), truth)


def _scores(
    random: np.random.Generator, activity: np.ndarray, names: tuple[str, ...], sense: int, noise: float
) -> np.ndarray:
    """Confidences [N, T, names] in [0, 1]: two in three of an activity's own are high at a step, the others low."""
    own = np.zeros((len(ACTIVITIES), len(names)))
    for k, (kind, (_, _, *kinds)) in enumerate(ACTIVITIES.items()):
        words = kinds[sense] + (SEEN_MORE.get(kind, ()) if sense == OBJECT else ())
        own[k, [names.index(word) for word in words if word in names]] = 1
    present = own[activity] * (random.random((*activity.shape, len(names))) < 2 / 3)
    level = present * random.uniform(0.5, 1, present.shape)
    scores: np.ndarray = np.clip(level + random.normal(0, noise, level.shape), 0, 1)
    return scores


def _augmented(random: np.random.Generator, visual: np.ndarray) -> np.ndarray:
    """Each recording's objects with changed confidence, and some of them out of sight for all of it."""
    n, _, objects = visual.shape
    confidence = random.uniform(0.7, 1.2, (n, 1, objects))
    in_sight = random.random((n, 1, objects)) > 0.1
    return np.clip(visual * confidence * in_sight, 0, 1)


def _poses(random: np.random.Generator, activity: np.ndarray, noise: float) -> np.ndarray:
    """Joints [N, T, 51]: the posture of the activity, a body's own proportions, a slow sway and noise."""
    templates = np.random.default_rng(0).normal(0, 0.5, (POSTURES, JOINTS * 3))  # the same bodies at every seed
    posture = np.array([facts[1] for facts in ACTIVITIES.values()])[activity]
    n, steps = activity.shape
    body = random.normal(0, 0.15, (n, 1, JOINTS * 3))
    phase = random.uniform(0, 2 * np.pi, (n, 1, JOINTS * 3))
    sway = 0.1 * np.sin(2 * np.pi * np.arange(steps)[None, :, None] / 12 + phase)
    joints: np.ndarray = templates[posture] + body + sway + random.normal(0, noise, (n, steps, JOINTS * 3))
    return joints


def _shifted(random: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Each recording [T, d] early or late by up to two steps; what is missing at an end repeats."""
    n, steps, _ = values.shape
    at = np.arange(steps) + random.integers(-MOST_SHIFT, MOST_SHIFT + 1, (n, 1))
    return np.take_along_axis(values, np.clip(at, 0, steps - 1)[:, :, None], axis=1)


def _clock(random: np.random.Generator, scenario: np.ndarray) -> np.ndarray:
    """Sine and cosine of the hour, weekend, and the day of the week one-hot: float32 [N, 30, 10]."""
    span = np.array([hours for hours, _ in SCENARIOS.values()], np.float64)[scenario]
    hour = random.uniform(span[:, 0], span[:, 1])[:, None] + np.arange(STEPS) / 60
    day = random.integers(0, 7, len(scenario))
    angle = 2 * np.pi * hour / 24
    whole = np.broadcast_to(np.eye(7)[day][:, None], (*hour.shape, 7))
    weekend = np.broadcast_to((day >= 5)[:, None], hour.shape)
    return np.concatenate([np.stack([np.sin(angle), np.cos(angle), weekend], axis=2), whole], axis=2).astype(np.float32)
