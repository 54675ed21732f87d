"""What a command imports: a module that it does not use costs seconds of every run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT

COSTLY = {"torch", "numpy", "pandas", "sklearn", "scipy", "matplotlib", "yaml", "tqdm", "torch._dynamo", "optuna"}
SOME = {"torch", "numpy", "yaml", "tqdm"}  # what every run takes: yaml writes its config, tqdm shows its progress
DATED = SOME | {"scipy"}  # scipy.special: whether dates show a season, and how wide intervals are
GROWN = SOME | {"sklearn", "scipy", "pandas"}  # which grow the trees beside a map
CODE = """
import sys, run
code = run.main(sys.argv[2:])
print(code, *sorted(set(sys.argv[1].split()) & set(sys.modules)), file=sys.stderr)
"""
DEMO = "--mode train --demo --epochs 1 --reference off"
SHORT = f"{DEMO} --task forecast --context-len 24 --horizon 4"
ROWS = "--mode train --csv rows.csv --context-len 8 --epochs 1 --reference off --backbone gru"


def imported(words: str, folder: Path) -> tuple[int, set[str]]:
    """The exit code of a run in a fresh interpreter, and which costly modules it had imported at its end."""
    argv = [sys.executable, "-c", CODE, " ".join(COSTLY), *words.split(), "--out", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, cwd=folder, env=environment, capture_output=True, text=True)
    code, *modules = done.stderr.splitlines()[-1].split()
    return int(code), set(modules)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (f"{SHORT} --backbone ridge --no-plots", DATED),
        (f"{SHORT} --backbone dlinear --no-plots", DATED),
        (
            f"{SHORT} --backbone dlinear --no-plots --optimizer SGD --scheduler StepLR --scheduler-args step_size=1",
            DATED,
        ),
        (f"{ROWS} --task regress --no-plots --no-wide", SOME),
        (f"{ROWS} --task regress", GROWN | {"matplotlib"}),
        (f"{ROWS} --task classify --no-plots", GROWN),
        (f"{DEMO} --task nilm --backbone gru --seeds 1 --stride 600 --no-plots", SOME),
    ],
    ids=["closed form", "net", "torch's own optimizer", "net alone", "trees and plots", "classify", "nilm"],
)
def test_a_run_imports_what_it_uses(words, allowed, tmp_path):
    (tmp_path / "rows.csv").write_text("".join(f"{','.join(str((k * n) % 7) for k in range(20))}\n" for n in range(30)))
    code, modules = imported(words, tmp_path)
    assert code == 0 and modules - allowed == set()


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        ("--csv b.csv --time-col time", set()),
        ("--csv a.csv --time-col tiem", {"numpy"}),
        ("--csv a.csv --time-col time --id-col pwoer", {"numpy"}),
        ("--csv a.csv --time-col time --columns power wnid", {"numpy"}),
        ("--csv a.csv --time-col time --features MS --target pwoer", {"numpy"}),
        ("--csv a.csv --time-col time --known-future wnid", {"numpy"}),
    ],
    ids=["file", "time", "id", "columns", "target", "known ahead"],
)
def test_a_misspelt_file_or_column_is_told_before_torch_is_imported(words, allowed, tmp_path):
    (tmp_path / "a.csv").write_text("time,power,wind\n2024-01-01,1,2\n2024-01-02,2,3\n")
    code, modules = imported(f"--mode train --task forecast --context-len 4 --horizon 2 {words}", tmp_path)
    assert code == 3 and modules <= allowed


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "there"), [("off", False), ("default", True)])
def test_only_a_compiled_run_imports_the_compiler(mode, there):
    code = """
import sys, torch, optim
from config import RunConfig
model = torch.nn.Linear(2, 1)
optimizer = optim.make_optimizer(model, RunConfig(compile=sys.argv[1]))
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, mode], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == str(there), done.stderr


TOOLS = ("deddiag_db", "export", "federate", "report", "stream", "synth")
ENTRIES = [["run.py"], ["search.py"], ["-m", "nas_agent"], *([f"tools/{name}.py"] for name in TOOLS)]


@pytest.mark.fault("hostile modules in the working folder", "none of them is imported")
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda words: words[-1])
def test_no_module_of_the_working_folder_is_taken_for_ours(entry, tmp_path):
    """Whoever puts an errors.py into a folder of data must not run code in the command of another."""
    for path in ROOT.glob("*.py"):
        (tmp_path / path.name).write_text("import os\nos._exit(99)\n")
    words = [str(ROOT / word) if word.endswith(".py") else word for word in entry]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} if "-m" in words else dict(os.environ)
    argv = [sys.executable, *words, "--help"]
    done = subprocess.run(argv, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "usage:" in done.stdout, done.stderr
