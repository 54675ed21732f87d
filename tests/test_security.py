"""What no file of the toolkit may do, by its syntax tree: run text, unpickle, start a shell, make SQL of strings."""

from __future__ import annotations

import ast

import pytest

from .conftest import ROOT

FILES = sorted(
    path for path in ROOT.rglob("*.py") if not {"tests", ".venv", "artifacts"} & set(path.relative_to(ROOT).parts)
)
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
UNPICKLES = {"pickle", "cPickle", "marshal", "shelve", "dill", "joblib"}
SHELLS = {"system", "popen", "getoutput", "getstatusoutput"}


def name_of(call: ast.Call) -> str:
    """`open` for open(...), `torch.load` for torch.load(...)."""
    return ast.unparse(call.func)


def faults(tree: ast.Module) -> list[str]:
    """What is found, with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            found += [f"{node.lineno}: imports {name}" for name in module if name.partition(".")[0] in UNPICKLES]
        if not isinstance(node, ast.Call):
            continue
        given = {word.arg: ast.unparse(word.value) for word in node.keywords}
        name = name_of(node)
        if name in RUNS_TEXT or name in {f"os.{word}" for word in SHELLS} | {f"subprocess.{word}" for word in SHELLS}:
            found.append(f"{node.lineno}: calls {name}")
        if given.get("shell", "False") != "False" and name != "shtab.complete":  # there it is the name of one
            found.append(f"{node.lineno}: starts a shell")
        if name == "torch.load" and given.get("weights_only") != "True":
            found.append(f"{node.lineno}: unpickles by torch.load")
        if given.get("allow_pickle", "False") != "False":
            found.append(f"{node.lineno}: unpickles by numpy")
        if name in {"yaml.load", "yaml.load_all"} and "Safe" not in ast.unparse(node):
            found.append(f"{node.lineno}: reads YAML that may make objects")
        if name.endswith((".execute", ".executemany")) and node.args:
            text = node.args[0]
            made = isinstance(text, ast.JoinedStr) or (
                isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod | ast.Add)
            )
            if made or (isinstance(text, ast.Call) and ast.unparse(text.func).endswith(".format")):
                found.append(f"{node.lineno}: makes SQL of strings")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_runs_text_unpickles_starts_a_shell_or_pastes_sql(path):
    assert faults(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "eval(text)",
        "exec(text)",
        "import pickle",
        "from marshal import loads",
        "os.system(text)",
        "subprocess.run(text, shell=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "numpy.load(path, allow_pickle=True)",
        "yaml.load(text, Loader=yaml.Loader)",
        "database.execute(f'SELECT {name}')",
        "database.execute('SELECT %s' % name)",
        "database.execute('SELECT {}'.format(name))",
    ],
)
def test_what_must_not_be_is_found(code):
    assert len(faults(ast.parse(code))) == 1


def test_what_may_be_is_not():
    code = """
ast.literal_eval(text)
torch.load(path, weights_only=True)
numpy.load(path, allow_pickle=False)
yaml.load(text, Loader=yaml.CSafeLoader)
database.execute("SELECT %s", (name,))
model.eval()
subprocess.run([program, text])
"""
    assert faults(ast.parse(code)) == []
