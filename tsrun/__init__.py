"""The toolkit as a package: the command `tsrun`, and `tsrun.load(DIR).predict(data)` for programs.

In a checkout the modules lie beside this folder, and a wheel carries the same tree inside it, as `tree/`: names such as
`config`, `data` and `metrics` are left to whoever else is installed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsrun.model import Model as Model
    from tsrun.model import load as load

    TsrunError: type[Exception]

_HERE = Path(__file__).resolve().parent
ROOT = str(_HERE / "tree" if (_HERE / "tree").is_dir() else _HERE.parent)  # the folder of run.py


def __getattr__(name: str) -> Any:  # none of this is imported for the command
    if name in ("load", "Model"):
        import tsrun.model

        return vars(tsrun.model)[name]
    if name == "TsrunError":
        from tsrun.model import error_class

        return error_class()
    raise AttributeError(f"module 'tsrun' has no attribute {name!r}")
