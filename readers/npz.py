"""An .npz of recordings: an array [N, T, d] per modality, and what is known of the N recordings beside them.

`NAME` [N, T, d] is a modality with channels `NAME.0`, `NAME.1`, ... or, where an array `NAME_names` [d] holds text,
`NAME.cup`, ... `labels` [N, K] (or [N]) are targets of whole recordings, with names in `labels_names` [K]; `groups` [N]
says which recordings stay in one split. An array [N] that --categorical names is a category with one word a recording;
others of one dimension are ignored, with a note. An array [N, T] is a modality of one channel. Of X_train, y_train,
X_test and y_test the first two are learned from, and the others predicted. Nothing in the file is unpickled.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from config import RunConfig
from data import Series, Source
from errors import DataError, nearest
from readers import mapped, register
from readers.base import Reader, TableText
from readers.categories import Coded, with_categories
from readers.dialect import Dialect
from readers.divided import divided
from readers.files import sha256_of
from readers.missing import check_policy, count_gaps, counted, fill, gap_error, is_allowed, refuses, suspect
from readers.modalities import BY_MODEL, Modality, choose
from readers.paths import abridge, expand_paths
from readers.precision import narrowed
from readers.sidecars import attach

READS = {"endings": [".npz", ".npy"]}
LABELS, GROUPS, NAMES = "labels", "groups", "_names"
ALSO_LABELS = ("label", "y", "Y", "target", "targets", "classes")  # where there is no array of the first name
SECOND = "arr_1"  # what numpy.savez calls the second of arrays without names
MOST_PACKED, HEADER = 1040, 1 << 16  # deflate makes at most 1,032 bytes of one; a small array is mostly header


@register
class NpzReader(Reader):
    """Arrays, given by --npz and not by --csv."""

    def text(self, file: io.BufferedReader, path: Path) -> TableText:
        """Refuse: an archive of arrays is no table. DataError that names --npz."""
        raise DataError("has arrays, not a table", where=str(path), hint="--npz reads recordings by modality")

    def series(self, config: RunConfig, columns: Sequence[str] | None, known: Sequence[str]) -> Series:
        """As `Reader.series`: rows [N] are the recordings of --npz, channels those of its modalities."""
        if not config.npz:  # named by --csv, which is refused when it is opened
            return super().series(config, columns, known)
        mapped.too_large(expand_paths([config.npz], flag="--npz", cap=1), config.memory, whole="an .npz")
        return read_npz(
            config.npz,
            columns=columns,
            free=config.adapt_modality,
            partly=bool(config.columns),
            wanted_by="--columns names" if columns is config.columns else BY_MODEL,
            categorical=config.categorical,
            groups=config.groups,
            na=config.na,
            nan=config.nan,
            sep=config.sep,
            decimal=config.decimal,
            infer=config.mode == "infer",
        )


def read_npz(
    path: str | Path,
    *,
    columns: Sequence[str] | None = None,
    free: Sequence[str] = (),
    partly: bool = False,
    wanted_by: str = BY_MODEL,
    categorical: Sequence[str] = (),
    groups: str = "",
    na: Sequence[str] = (),
    nan: str = "error",
    sep: str = ",",
    decimal: str = ".",
    infer: bool = False,
) -> Series:
    """One Series of the N recordings of a file, with a row per recording of T steps.

    Parameters
    ----------
    path : the file.
    columns : the channels to read, in the order of a checkpoint; None for all in the order of the file.
    wanted_by : who names `columns`, for the error.
    categorical : arrays [N] of words, or of numbers that stand for such; the last channels.
    free : modalities of which all channels of the file are read, whatever `columns` says of them.
    partly : whether a modality may have more channels than `columns` has of it.
    groups : the array of groups, or a file with a line per recording; "" for the array `groups`, if there is one.
    na : marks of missing values, of which the numbers count. infer : whether X_test is read of a file that has X_train.
    nan : what a missing or infinite value is: error, drop (stays NaN), ffill (the value before in its row), zero.
    sep, decimal : how a CSV of groups is written.

    Raises
    ------
    UsageError : a policy that does not exist.
    DataError : the file is not such an archive or would have to be unpickled, arrays do not fit each other, a modality
        or channel is missing, and a missing value under `nan` error.
    """
    check_policy(nan)
    (file,) = expand_paths([str(path)], flag="--npz", cap=1)
    with _Archive(file, infer) as archive:
        n, steps = archive.recordings()
        plain = None if columns is None else [name for name in columns if name not in categorical]
        chosen, spare = choose(archive.every(), archive.path, plain, free, partly, wanted_by)
        offsets = np.arange(n + 1, dtype=np.int64) * steps
        values, filled, notes = _values(archive, chosen, offsets, nan, Dialect(na=tuple(na)).na_numbers)
        beside = bool(groups) and groups not in archive.shapes and Path(groups).is_file()
        array = "" if beside else groups
        series = Series(
            values=values,
            offsets=offsets,
            channels=tuple(name for m in chosen for name in m.channels),
            rows=tuple(map(str, range(n))),
            **archive.labels(n),
            groups=archive.groups(array or GROUPS, n, asked=bool(array)),
            sources=(Source(str(file), sha256_of(file), file.stat().st_size, (n, steps)),),
            notes=(*archive.told, *spare, *notes, *archive.ignored(array, categorical)),
            modalities=tuple((m.name, len(m.features)) for m in chosen),
            filled=filled,
        )
        series = with_categories(series, {name: archive.category(name, n) for name in categorical}, nan)
    return attach(series, "", groups if beside else "", named=False, dialect=Dialect(sep, decimal))


def _values(
    archive: _Archive, chosen: Sequence[Modality], offsets: np.ndarray, nan: str, marks: Iterable[float | None]
) -> tuple[np.ndarray, np.ndarray | None, list[str]]:
    """Values [C, N * T] of the chosen features, which of them are made up, and notes."""
    begin, total = 0, int(offsets[-1])
    values = np.zeros((sum(len(m.features) for m in chosen), total), np.float32)
    notes: list[str] = []
    masks: list[np.ndarray] = []
    for modality in chosen:  # one at a time: a modality is held twice, never the whole file
        found = archive.numbers(modality.name).reshape(total, -1).T[modality.chosen]
        found = found.astype(np.float64, copy=False) if found.dtype != np.float32 else found
        for mark in marks:
            found[found == found.dtype.type(mark)] = np.nan
        told = [suspect(given, channel, "steps") for channel, given in zip(modality.channels, found, strict=True)]
        notes += filter(None, told)
        found = narrowed(found, offsets)
        values = values.astype(np.promote_types(values.dtype, found.dtype), copy=False)
        part = values[begin : begin + len(found)]
        part[:] = found
        gaps, made_up = _fill(part, offsets, modality, nan, archive.path)
        notes += gaps
        masks.append(np.broadcast_to(False, part.shape) if made_up is None else made_up)
        begin += len(part)
    return values, np.concatenate(masks) if any(mask.any() for mask in masks) else None, notes


@contextlib.contextmanager
def _reading(what: str, where: str) -> Iterator[None]:
    """DataError for whatever numpy and zipfile raise during the block: bytes that lie can lead them anywhere."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        told = ": ".join(filter(None, [what, *reason.splitlines()[:1]]))
        raise DataError(told[:300], where=where) from None


class _Archive:
    """An open .npz, whose arrays are read on demand."""

    def __init__(self, path: Path, infer: bool) -> None:
        self.path, self.infer = path, infer
        with _reading("is not an .npz archive", str(path)):
            opened = np.load(path, allow_pickle=False)
        if isinstance(opened, np.ndarray):
            made = f"np.savez('{path.stem}.npz', X=np.load('{path}'), labels=np.load('LABELS.npy'))"
            hint = f'python -c "import numpy as np; {made}" writes one, with labels or without'
            raise DataError("is one array, and is not an .npz archive", where=str(path), hint=hint)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise DataError("is not an .npz archive", where=str(path), hint="numpy.savez_compressed writes one")
        self.file = opened

    def __enter__(self) -> _Archive:
        found = divided(self.file.files, infer=self.infer)
        self.entries, self.told = found.entries, [f"{self.path}: {note}" for note in found.notes]
        self.shapes: dict[str, tuple[int, ...]] = {
            name: self._joined(several) for name, several in found.entries.items()
        }
        self.label = next((name for name in (LABELS, *ALSO_LABELS) if name in self.shapes), LABELS)
        if self.label not in self.shapes and len(self.shapes.get(SECOND, ())) == 1:
            self.label = SECOND
            self.told.append(f"{self.path}: {SECOND} taken as the labels")
        flat = [name for name, shape in self.shapes.items() if len(shape) == 2 and name != self.label]
        if len({self.shapes[name][:2] for name in (*self.modalities, *flat)}) == 1:
            self.shapes |= {name: (*self.shapes[name], 1) for name in flat}  # of one channel
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def _joined(self, several: Sequence[str]) -> tuple[int, ...]:
        """The shape of arrays one after the other. DataError for arrays that do not fit."""
        first, *others = shapes = [self._shape(name) for name in several]
        if any(shape[1:] != first[1:] for shape in others) or (others and not first):
            what = f"differ in more than their number of recordings: {', '.join(map(str, shapes))}"
            raise DataError(what, where=f"{self.path}:{' and '.join(several)}")
        return (sum(shape[0] for shape in shapes), *first[1:]) if others else first

    def _shape(self, name: str) -> tuple[int, ...]:
        """An array's shape by its header alone. DataError for what is not an array, or pickles Python objects."""
        where = f"{self.path}:{name}"
        with _reading("is not an array", where), self._entry(name) as entry:
            version = np.lib.format.read_magic(entry)
            read = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}[version[0]]
            shape, _, dtype = read(entry)
            begin = entry.tell()
        if dtype.hasobject:
            what = "holds Python objects, which only running a pickle would read: refused"
            hint = "save numbers as numbers and text as text: array.astype(float), array.astype(str)"
            raise DataError(what, where=where, hint=hint)
        if min(shape, default=0) < 0 or begin + math.prod(shape) * dtype.itemsize != self._bytes(name):
            raise DataError(f"the file is damaged: its size is not that of {shape} {dtype}", where=where)
        return shape

    def _entry(self, name: str) -> IO[bytes]:
        assert self.file.zip is not None
        return self.file.zip.open(f"{name}.npy")

    def _bytes(self, name: str) -> int:
        """The size of an entry once it is unpacked. DataError where it packs more than zip files of numpy can."""
        assert self.file.zip is not None
        entry = self.file.zip.getinfo(f"{name}.npy")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            what, hint = "is packed in a way that numpy does not use", "numpy.savez_compressed writes one"
            raise DataError(what, where=f"{self.path}:{name}", hint=hint)
        if entry.file_size > MOST_PACKED * entry.compress_size + HEADER:
            raise DataError("the file is damaged: it cannot hold so much", where=f"{self.path}:{name}")
        return entry.file_size

    def array(self, name: str) -> np.ndarray:
        """One array; DataError where it is damaged."""
        with _reading("the file is damaged", f"{self.path}:{name}"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts: list[np.ndarray] = [self.file[part] for part in self.entries[name]]
            found = np.concatenate(parts) if len(parts) > 1 else parts[0]
        return found.reshape(self.shapes[name])

    def words(self, name: str) -> np.ndarray:
        """One array as text. DataError for text that is no Unicode."""
        found = self.array(name)
        with _reading("is not Unicode text", f"{self.path}:{name}"):
            text = np.char.decode(found, "utf-8") if found.dtype.kind == "S" else found.astype(str)
            "".join(text.flat).encode()
        return text

    def numbers(self, name: str) -> np.ndarray:
        """One array of numbers or truth values."""
        found = self.array(name)
        if found.dtype.kind not in "fiub":
            raise DataError(f"holds {found.dtype}, not numbers", where=f"{self.path}:{name}")
        return found

    @property
    def modalities(self) -> list[str]:
        return [name for name, shape in self.shapes.items() if len(shape) == 3]

    def every(self) -> dict[str, Modality]:
        """The modalities with all their features."""
        counts = {name: self.shapes[name][2] for name in self.modalities}
        every = {name: self.names(name, count) or tuple(map(str, range(count))) for name, count in counts.items()}
        return {name: Modality(name, features, np.arange(len(features))) for name, features in every.items()}

    def recordings(self) -> tuple[int, int]:
        """(N, T), which all modalities share."""
        found = {name: self.shapes[name] for name in self.modalities}
        for name, shape in self.shapes.items():
            if name != self.label and len(shape) not in (1, 3):
                what = f"has shape {shape}: a modality is (N, T, d)"
                hint = "an array (N, T) is one channel, with the N and T of the others" if len(shape) == 2 else ""
                raise DataError(what, where=f"{self.path}:{name}", hint=hint)
            if len(shape) == 3 and ("." in name or not name):
                raise DataError("a modality's name must not contain a dot", where=f"{self.path}:{name}")
        if not found:
            raise DataError("holds no array of shape (N, T, d)", where=str(self.path), hint="one for each modality")
        if len({shape[:2] for shape in found.values()}) > 1:
            lines = "".join(f"\n  {name:<16} {shape}" for name, shape in found.items())
            what = f"the modalities differ in recordings or steps, and should share both:{lines}"
            raise DataError(what, where=str(self.path))
        n, steps, _ = next(iter(found.values()))
        for name, shape in found.items():
            if not min(shape):
                raise DataError(f"has shape {shape}: it is empty", where=f"{self.path}:{name}")
        return n, steps

    def names(self, of: str, count: int) -> tuple[str, ...] | None:
        """The text in `OF_names`, None where there is no such array."""
        name = of + NAMES
        if name not in self.shapes:
            return None
        found = self.array(name)
        if found.dtype.kind not in "US" or found.shape != (count,):
            what = f"has shape {found.shape} of {found.dtype}; it should be {count} names, as {of} has"
            raise DataError(what, where=f"{self.path}:{name}")
        text = tuple(map(str, self.words(name)))
        twice = sorted({item for item in text if text.count(item) > 1})
        if twice or "" in text:
            raise DataError(f"names must differ: {abridge(twice) or 'one is empty'}", where=f"{self.path}:{name}")
        return text

    def labels(self, n: int) -> dict[str, Any]:
        """Labels, their names, and the words that they stand for, as fields of a Series; {} where there are none.

        `labels_names` are the names of K columns, or of the classes 0, 1, ... that one column holds.
        """
        if self.label not in self.shapes:
            return {}
        shape, where = self.shapes[self.label], f"{self.path}:{self.label}"
        if len(shape) not in (1, 2) or shape[0] != n or not min(shape):
            raise DataError(f"has shape {shape} for {n} recordings: it should be ({n}, K)", where=where)
        found = self.array(self.label)
        table = (found if found.dtype.kind in "US" else self.numbers(self.label)).reshape(n, -1)
        if table.dtype.kind in "US":
            columns = [np.unique(column, return_inverse=True) for column in self.words(self.label).reshape(n, -1).T]
            words = tuple(tuple(map(str, kinds)) for kinds, _ in columns)
            table = np.stack([codes for _, codes in columns], axis=1)
        else:
            words = ()
        table = narrowed(table.T.astype(np.float64), np.array([0, n])).T
        if not np.isfinite(table).all():
            row = int(np.argmin(np.isfinite(table).all(axis=1)))
            raise DataError("a label is not a finite number", where=f"{where}[{row}]")
        count = table.shape[1]
        plain = ("label",) if count == 1 else tuple(f"label{k}" for k in range(count))
        named = self.shapes.get(LABELS + NAMES, (count,))
        if count == 1 and not words and named > (1,) and np.isin(table, np.arange(named[0])).all():
            return {"labels": table, "label_names": plain, "label_words": (self.names(LABELS, named[0]),)}
        return {"labels": table, "label_names": self.names(LABELS, count) or plain, "label_words": words}

    def groups(self, name: str, n: int, *, asked: bool) -> np.ndarray | None:
        """The group of each recording as text [N]."""
        if name not in self.shapes and not asked:
            return None
        if name not in self.shapes:
            known = [other for other, shape in self.shapes.items() if shape == (n,)]
            hint = nearest(name, known) or f"its arrays of {n} values: {abridge(known) or 'none'}"
            raise DataError(f"there is no array or file {name!r}", where="--groups", hint=hint)
        if self.shapes[name] != (n,):
            what = f"has shape {self.shapes[name]} for {n} recordings: it should be ({n},)"
            raise DataError(what, where=f"{self.path}:{name}")
        return self.words(name)

    def category(self, name: str, n: int) -> Coded:
        """The words of N recordings. DataError where there is no array of N words or numbers of this name."""
        known = [other for other, shape in self.shapes.items() if shape == (n,)]
        if name not in self.shapes or self.shapes[name] != (n,):
            what = f"has shape {self.shapes[name]}, not ({n},)" if name in self.shapes else "there is no such array"
            hint = nearest(name, known) or f"its arrays of {n} values: {abridge(known) or 'none'}"
            raise DataError(what, where=f"--categorical {name}", hint=hint)
        found = self.array(name)
        given = self.words(name) if found.dtype.kind in "US" else self.numbers(name).astype(np.float64)
        kinds, lines = np.unique(given, return_inverse=True)
        cells = list(map(str, kinds.tolist()))
        return Coded.of(cells, [Dialect().number(cell) for cell in cells], lines)

    def ignored(self, groups: str, categorical: Sequence[str]) -> list[str]:
        """A note on the arrays that are not used."""
        used = {self.label, LABELS, groups or GROUPS, *self.modalities, *categorical}
        used |= {name + NAMES for name in used}
        rest = [name for name in self.shapes if name not in used]
        return [f"{self.path}: arrays ignored: {', '.join(rest)}"] if rest else []


def _fill(
    part: np.ndarray, offsets: np.ndarray, modality: Modality, policy: str, path: Path
) -> tuple[list[str], np.ndarray | None]:
    """Treat missing and infinite values [d, N * T] of a modality in place; returns the note, and which are made up.

    DataError on `error`.
    """
    counts = count_gaps(part)
    if not any(counts):
        return [], None
    if refuses(policy, counts[1]):
        feature, at = divmod(int(np.argmin(is_allowed(part, policy))), part.shape[1])
        row, step = divmod(at, int(offsets[1]))
        what = f"{counted(*count_gaps(part[feature]))} in {modality.channels[feature]}"
        raise gap_error(part[feature, at], what, f"{path}:{modality.name}[{row}], step {step}")
    done, made_up = fill(part, offsets, policy)
    return [f"{counted(*counts)} in {modality.name}: {done}"], made_up
