"""Public modules whose names are imported when they are used: ``NAME.pyi`` lists the names and where each lives."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import resolve_name
from pathlib import Path
from typing import Any


def attach(module: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a public module of this name and file, from its stub."""
    path = Path(file)
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    homes = {
        name.name: resolve_name("." * node.level + (node.module or ""), package)
        for node in ast.parse(path.with_suffix(".pyi").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        value = getattr(import_module(homes[name]), name)
        vars(sys.modules[module])[name] = value
        return value

    return get, lambda: sorted({*vars(sys.modules[module]), *homes}), sorted(homes)
