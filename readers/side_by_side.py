"""Labels of the columns of a long table, such as a building each: its series stand side by side, and must be turned."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from data import Series
from errors import DataError
from readers.dialect import Dialect
from readers.files import dialect_of, read_cells
from readers.paths import abridge
from readers.refused import python
from readers.sidecars import of_file

LEAST = 3  # columns with a label, of which at least half have one


def check_turned(series: Series, labels: Path | str, paths: Sequence[Path | str], time: str, dialect: Dialect) -> None:
    """Refuse labels of the columns of a table whose lines are steps, with the commands that turn it.

    Parameters
    ----------
    series : one row is looked at. labels : the file, "" for none. paths : of the series. time : the column of times.
    dialect : how files are written.

    Raises
    ------
    DataError : the labels are of columns.
    """
    names = {*series.channels}
    if not labels or series.n_rows > 1 or len(paths) > 1 or len(names) < LEAST:
        return
    path = of_file(str(labels))[0]
    cells = [[cell.strip() for cell in line] for line in read_cells(path, dialect)[0]]
    downwards = max((len(names & {*column}) for column in zip(*cells, strict=False)), default=0)
    across = len(names & {*cells[0]})
    if max(downwards, across) < max(LEAST, len(names) / 2):
        return
    what = f"holds labels of the columns of {paths[0]} ({abridge(series.channels)}), where each line is a step"
    turn = [_turning(Path(paths[0]), time, "turned.csv", dialect)]
    turn += [_turning(path, 0, "labels.csv", dialect)] if across > downwards else []
    then = f"--csv turned.csv --labels {'labels.csv' if across > downwards else path}"
    raise DataError(what, where=str(path), hint=f"{' && '.join(turn)} turns them, so that each is a row: {then}")


def _turning(path: Path, index: str | int, out: str, dialect: Dialect) -> str:
    """A command that writes a table with its columns as lines."""
    taken = dialect_of(path, dialect)
    more = f", sep={taken.sep!r}" * (taken.sep != ",") + f", decimal={taken.decimal!r}" * (taken.decimal != ".")
    code = f"import pandas; pandas.read_csv({str(path)!r}, index_col={index!r}{more}).T.to_csv({out!r})"
    return python(code)
