"""The results of a search: study.csv, study.png, summary.json, and `best/`, an ordinary run with its test score.

The best run keeps the weights of its trial if they are in this folder, and is evaluated again with test, plots and
references. If they are on another machine, the configuration is trained again here.
"""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import RunConfig
from errors import TsrunError, UsageError, refused
from rundir import write_csv, write_json
from studies.queue import FACTS, Queue
from studies.searcher import place_of, trial_words
from studies.trials import Workers, judge

if TYPE_CHECKING:
    import optuna

log = logging.getLogger("tsrun.search")
BEST, SUMMARY = "best", "summary.json"


@dataclass(frozen=True)
class Results:
    """The folder of a study's results; `folder` below it holds the runs of trials."""

    out: Path
    study: str
    monitor: str
    direction: str

    @property
    def folder(self) -> Path:
        return self.out / f".{self.study}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """A lock: one process at a time writes here."""
        with (self.out / ".lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def prepare(self) -> None:
        """Create the folder. UsageError if that fails, or if it holds another study."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise refused(error, UsageError, "cannot be written", f"--out {self.out}") from None
        other = self.summary().get("study", self.study)
        if other != self.study:
            raise UsageError(f"holds the study {other}", where=f"--out {self.out}", hint="another --out for this one")

    def summary(self) -> dict[str, Any]:
        """The summary in the folder; empty if there is none."""
        try:
            content = json.loads((self.out / SUMMARY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def draw(self, queue: Queue) -> None:
        """study.csv and study.png: every trial so far."""
        lines = queue.table()
        if not lines:
            return
        columns = list(dict.fromkeys(key for line in lines for key in line))
        names = columns[len(FACTS) :]
        write_csv(self.out / "study.csv", columns, ([line.get(key) for key in columns] for line in lines))
        from studies import viz  # matplotlib, which takes a second
        from viz import save

        shown = (self.monitor, self.direction, queue.references())
        save(viz.study_figure(lines, names, queue.importances(), *shown), self.out / "study.png")

    def conclude(self, queue: Queue, workers: Workers, config: RunConfig, argv: Sequence[str]) -> dict[str, Any]:
        """Write `best/` and the summary; TsrunError with the exit code of the last failure if no trial completed."""
        best = queue.best()
        if best is None:
            raise _nothing(queue)
        with self.locked():
            old = self.summary()
            same = old.get("best", {}).get("trial") == best.number and (self.out / BEST).is_dir()
            found = old["best"] if same else self._make_best(best, workers, trial_words(argv, best.params, config))
            content = self._content(queue, best, found)
            write_json(self.out / SUMMARY, content)
        return content

    def _make_best(self, best: optuna.trial.FrozenTrial, workers: Workers, words: Sequence[str]) -> dict[str, Any]:
        """Make the run of the best trial, with test score, references and plots, `best/`."""
        place = self.out / ".best"
        shutil.rmtree(place, ignore_errors=True)
        kept = self._bring(place_of(self.folder, best.number), place)
        shown = [*words, "--out", str(self.out)]
        content = workers.call(judge, [*shown, "--quiet", *["--resume"] * kept], shown, str(place))
        shutil.rmtree(self.out / BEST, ignore_errors=True)
        Path(content.pop("directory")).rename(self.out / BEST)
        shutil.rmtree(place, ignore_errors=True)
        return content | {"trial": best.number, "weights": "kept" if kept else "trained again"}

    @staticmethod
    def _bring(source: Path, place: Path) -> bool:
        """Copy the run of a trial as one to resume, trained but not evaluated; False if there is none."""
        runs = [path for path in source.glob("*") if path.is_dir() and not path.name.startswith(".")]
        if len(runs) != 1:
            return False
        place.mkdir()
        partial = place / f".{runs[0].name}.partial"
        shutil.copytree(runs[0], partial)
        for manifest in partial.glob("**/manifest.json"):  # it marks the fold as done
            manifest.unlink()
        return True

    def _content(self, queue: Queue, best: optuna.trial.FrozenTrial, found: Mapping[str, Any]) -> dict[str, Any]:
        lines = queue.table()
        counts = Counter(line["state"] for line in lines)
        return {
            "study": self.study,
            "storage": queue.store.shown,
            "monitor": {"name": self.monitor, "direction": self.direction},
            "trials": dict(counts),
            "seconds": round(sum(line["seconds"] or 0.0 for line in lines), 1),
            "best": {"trial": best.number, "value": best.value, "params": best.params, **found},
            "references": {"validation": queue.references(), found["split"]: found["references"]},
            "sentence": sentence(found, self.monitor, self.direction, counts["done"] + counts["pruned"]),
            "directory": str(self.out / BEST),
        }


def sentence(found: Mapping[str, Any], monitor: str, direction: str, trials: int) -> str:
    """In words, whether the best model beats its references on the split that it is scored on."""
    begin = f"The best of {trials} trials, number {found['trial']}, reads {monitor} {_number(found['score'])}"
    begin += f" on {found['split']}"
    if found["score"] is None or not found["references"]:
        return f"{begin}; there is nothing to compare it with."
    sign = 1 if direction == "min" else -1
    shown = {name: f"{name} ({_number(value)})" for name, value in found["references"].items()}
    beaten = [shown[name] for name, value in found["references"].items() if sign * found["score"] < sign * value]
    others = [text for text in shown.values() if text not in beaten]
    parts = [f"better than {' and '.join(beaten)}"] if beaten else []
    parts += [f"not better than {' and '.join(others)}"] if others else []
    return f"{begin}: {', '.join(parts)}."


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.4g}"


def _nothing(queue: Queue) -> TsrunError:
    """The error if no trial completed, with the last failure as the reason."""
    counts = Counter(line["state"] for line in queue.table())
    last = queue.last_failure()
    if last is None:
        return UsageError("no trial was completed in time", where="--timeout", hint="the same command continues")
    text = f"no trial was completed ({', '.join(f'{number} {state}' for state, number in counts.items())})"
    return last.raised(f"{text}; the last error: ")
