"""The files that an experiment writes, in place of those of an ordinary run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import checkpoint
from pages import html, run_page
from pages.run_page import PAGE
from rundir import write_json
from splits import NAMES

if TYPE_CHECKING:
    from learner import Learner


class Files:
    """Writes the files of an experiment; `text` is its config.py."""

    summary = "metrics.json"
    kept = (
        summary,
        "history.json",
        "learning_curve.png",
        checkpoint.EXPERIMENT,
        "config_used.py",
        "manifest.json",
        PAGE,
    )

    def __init__(self, text: str) -> None:
        self.text = text

    def write(self, learner: Learner, folder: Path, content: Mapping[str, Any]) -> dict[str, Any]:
        """Convert `folder`, an ordinary run with the summary `content`; returns the content of metrics.json."""
        lines = learner.progress.history
        epochs = [
            {
                "epoch": line["epoch"] - 1,  # counted from 0, as a loop over epochs does
                "train_mse": line.get("train_mse", line["train_loss"]),  # not measured where it is the loss
                "val_mse": line["val_mse"],
                "lr": line["lr"],
            }
            for line in lines
        ]
        metrics = self._metrics(learner, content)
        page = run_page.page(folder, kept=self.kept)  # of all that the ordinary run has, pictures among it
        (folder / checkpoint.BEST).rename(folder / checkpoint.EXPERIMENT)
        write_json(folder / self.summary, metrics)
        write_json(folder / "history.json", {"best_epoch": metrics["best_epoch"], "epochs": epochs})
        (folder / "config_used.py").write_text(self.text, encoding="utf-8")
        import viz  # matplotlib, which not every run needs

        drawn = [{"epoch": e["epoch"], "train_loss": e["train_mse"], "val_loss": e["val_mse"]} for e in epochs]
        viz.save(viz.learning_figure(drawn, "val_loss", "min", "MSE, standardised"), folder / "learning_curve.png")
        rest = [file for file in folder.iterdir() if file.name not in self.kept]
        for file in sorted(rest, key=lambda file: file.name == checkpoint.LAST):  # the state to resume from goes last
            file.unlink()
        html.write(folder / PAGE, page)
        return metrics

    def _metrics(self, learner: Learner, content: Mapping[str, Any]) -> dict[str, Any]:
        """Errors of the best weights on standardised channels, over all windows of each split."""
        split = learner.split
        train = learner.task.val_metrics_of(learner.evaluator().score(split.train))
        how = {key: content[key] for key in ("split_mode", "split_sizes", "val_ratio", "test_ratio") if key in content}
        return {
            "best_epoch": max(content["best_epoch"] - 1, 0),
            "val_mse": content["validation"]["mse"],
            "test_mse": content["mse"],
            "train_mse": train["mse"],
            "train_time_sec": content["seconds"],
            "n_params": content["parameters"],
            "horizon": content["horizon"],
            "look_back": content["context"],
            "split": {**how, "windows": {name: len(split[name]) for name in NAMES}},
            "references": {name: content["references"][name]["mse"] for name in ("repeat_last", "ridge")},
        }
