"""The toolkit as a package: the command `tsrun`.

In a checkout the modules lie beside this folder, and a wheel carries the same tree inside it, as `tree/`: names such as
`config`, `data` and `metrics` are left to whoever else is installed.
"""

from pathlib import Path

_HERE = Path(__file__).resolve().parent
ROOT = str(_HERE / "tree" if (_HERE / "tree").is_dir() else _HERE.parent)  # the folder of run.py
