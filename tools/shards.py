"""Shards of one inference (`--shard I/N`), checked, and joined into the files of one run over all series."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import yaml

from errors import DataError, UsageError
from rundir import RunDir, write_json
from settings.shards import Part, Shard, of_runs

_NAME = re.compile(r"(.+)_shard\d+of\d+")
BESIDE = ("shard", "device", "threads", "compile", "out", "plots", "explain", "reference", "tensorboard", "db_timeout")


@dataclass(frozen=True)
class ShardRun:
    """The directory of one shard, and its manifest."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def part(self) -> Part:
        """Which series it has."""
        told = self.manifest["shard"]
        return Part(Shard(told["number"], told["of"]), told["series"])

    @property
    def run(self) -> str:
        """The name of the run over all series."""
        match = _NAME.fullmatch(self.path.name)
        return match[1] if match else self.path.name

    @property
    def files(self) -> list[tuple[str, str]]:
        """The checksum of each file that it read, checkpoint and labels among them."""
        return [(file.get("flag", "data"), file["sha256"]) for file in self.manifest["data"]["files"]]

    def settings(self) -> dict[str, Any]:
        """Those that its files depend on."""
        settings = yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))
        return {key: value for key, value in settings.items() if key not in BESIDE}

    def counts(self, file: str) -> list[np.ndarray]:
        """How many lines of a file each of its series has, int64 [N], for each part of the file."""
        return [np.array(of_runs(part), np.int64) for part in self.manifest["shard"]["lines"][file]]


def join(places: Sequence[Path], out: Path | None) -> str:
    """Join the shards of one run.

    Parameters
    ----------
    places : their directories, or folders that hold them.
    out : the directory to write; None for one beside the first shard, with the name of the run over all series.

    Returns
    -------
    What was done, in a few lines.

    Raises
    ------
    UsageError : there are no shards, or those of several runs, or `out` exists.
    DataError : a shard is missing, or they do not belong together.
    """
    shards = gathered(places)
    check(shards)
    final = shards[0].path.parent / shards[0].run if out is None else out
    counted = {}
    with RunDir(str(final.parent), final.name, free=True) as directory:
        for file in shards[0].manifest["shard"]["lines"]:
            joins = _join_arrays if file.endswith(".npz") else _join_lines
            counted[file] = joins(file, shards, directory.path / file)
        write_json(directory.path / "manifest.json", _described(shards))
        directory.commit()
    series, written = shards[0].part.total, ", ".join(f"{file} ({count:,})" for file, count in counted.items())
    told = [f"{len(shards)} shards of {series:,} series joined: {written}"]
    beside = {file.name for file in shards[0].path.iterdir() if file.suffix in (".csv", ".npz")} - counted.keys()
    told += [f"not of one series each, so left in the shards: {', '.join(sorted(beside))}"] * bool(beside)
    if len({shard.manifest["shard"]["values"] for shard in shards}) > 1:
        told.append("warning: some shards were read as float64 and some as float32: last digits may differ")
    return "\n".join([*told, str(final)])


def gathered(places: Sequence[Path]) -> list[ShardRun]:
    """The shards in some folders, by number. UsageError for none, or those of several runs."""
    found = {}
    for place in places:
        for path in [place / "manifest.json", *sorted(place.glob("*/manifest.json"))]:
            if path.is_file() and not path.parent.name.startswith(".") and _NAME.fullmatch(path.parent.name):
                manifest = json.loads(path.read_text(encoding="utf-8"))
                if "shard" in manifest:
                    found[path.parent.resolve()] = ShardRun(path.parent, manifest)
    listed = ", ".join(map(str, places))
    if not found:
        raise UsageError("no run of --shard is there", where=f"--join {listed}")
    runs = sorted({shard.run for shard in found.values()})
    if len(runs) > 1:
        what = f"shards of {len(runs)} runs: {', '.join(runs[:4])}"
        raise UsageError(what, where=f"--join {listed}", hint="give the directories of one run's shards")
    return sorted(found.values(), key=lambda shard: shard.part.shard.number)


def check(shards: Sequence[ShardRun]) -> None:
    """DataError unless these are all shards of one run: the same data, checkpoint and settings."""
    first = shards[0]
    of = first.part.shard.of
    for shard in shards[1:]:
        where = str(shard.path)
        if (shard.part.shard.of, shard.part.total) != (of, first.part.total):
            mine, other = (f"{one.part.shard} of {one.part.total:,} series" for one in (shard, first))
            raise DataError(f"is shard {mine}, where {first.path.name} is {other}", where=where)
        if shard.files != first.files:
            flags = sorted({flag for flag, _ in set(shard.files) ^ set(first.files)})
            raise DataError(f"read other files than {first.path.name}: {', '.join(flags)}", where=where)
        has, had = shard.settings(), first.settings()
        differing = [f"--{key.replace('_', '-')}" for key in has | had if has.get(key) != had.get(key)]
        if differing:
            raise DataError(f"has other settings than {first.path.name}: {', '.join(differing)}", where=where)
    numbers = [shard.part.shard.number for shard in shards]
    if missing := sorted(set(range(1, of + 1)) - set(numbers)):
        listed = ", ".join(f"{number}/{of}" for number in missing[:10]) + ", ..." * (len(missing) > 10)
        what = f"{len(missing)} of {of} shards are missing: {listed}"
        raise DataError(what, where=f"--join {first.path.parent}", hint=f"--shard {missing[0]}/{of} makes the first")
    if len(numbers) > of:
        raise DataError("the same shard is there twice", where=f"--join {first.path.parent}")


def _join_lines(file: str, shards: Sequence[ShardRun], path: Path) -> int:
    """Write the lines of a CSV of the shards in the order of all series; returns how many."""
    total = 0
    handles = [(shard.path / file).open("rb") for shard in shards]
    try:
        with path.open("wb") as out:
            heads = [handle.readline() for handle in handles]
            if len(set(heads)) > 1:
                raise DataError("the columns differ from shard to shard", where=file)
            out.write(heads[0])
            for counts in zip(*(shard.counts(file) for shard in shards), strict=True):
                out.writelines(_in_turn(handles, [each.tolist() for each in counts], shards, file))
                total += int(sum(each.sum() for each in counts))
        for handle, shard in zip(handles, shards, strict=True):
            if handle.readline():
                raise _changed(shard, file)
    finally:
        for handle in handles:
            handle.close()
    return total


def _in_turn(
    handles: Sequence[BinaryIO], counts: Sequence[Sequence[int]], shards: Sequence[ShardRun], file: str
) -> Iterator[bytes]:
    """The lines of each series in turn."""
    for row in range(shards[0].part.total):
        turn, at = row % len(handles), row // len(handles)
        lines = list(islice(handles[turn], counts[turn][at]))
        if len(lines) < counts[turn][at]:
            raise _changed(shards[turn], file)
        yield from lines


def _changed(shard: ShardRun, file: str) -> DataError:
    what = "has another number of lines than its manifest says, or an id has a line's end in it"
    return DataError(what, where=str(shard.path / file))


def _join_arrays(file: str, shards: Sequence[ShardRun], path: Path) -> int:
    """Write the arrays of an .npz of the shards in the order of all series, one at a time; returns how many windows."""
    counts = [shard.counts(file)[0] for shard in shards]
    rows = [np.repeat(np.array(shard.part.numbers), each) for shard, each in zip(shards, counts, strict=True)]
    order = np.argsort(np.concatenate(rows), kind="stable")
    loads = [np.load(shard.path / file) for shard in shards]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in loads[0].files:
            parts = [load[name] for load in loads]
            if name != "channel":  # the others have a value for each window
                if [len(part) for part in parts] != [len(each) for each in rows]:
                    raise _changed(shards[0], file)
                parts[:] = [np.concatenate(parts)[order]]
            with out.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, parts[0], allow_pickle=False)
    return len(order)


def _described(shards: Sequence[ShardRun]) -> dict[str, Any]:
    """The manifest: what all shards have in common."""
    first, total = shards[0].manifest, shards[0].part.total
    same = {key: first[key] for key in ("versions", "model")}
    data = {key: value for key, value in first["data"].items() if key in ("channels", "files")}
    joined = {"series": total, "shards": [str(shard.path) for shard in shards]}
    return {"joined": joined, **same, "data": {"rows": total, **data}}
