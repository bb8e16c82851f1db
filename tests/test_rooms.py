"""What the plan of the house says and import-linter cannot check."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LONGEST_FILE = 400
LONGEST_FUNCTION = 70

SOURCES = sorted(
    path
    for room in ("bot", "handlers", "db", "tests")
    for path in (ROOT / room).rglob("*.py")
    if path.parent.name != "migrations"  # which Tortoise writes
)


def _too_long(path: Path) -> Iterator[str]:
    source = path.read_text("utf-8")
    name = path.relative_to(ROOT)
    if (lines := len(source.splitlines())) > LONGEST_FILE:
        yield f"{name} has {lines} lines"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{node.name} in {name} has {lines} lines"


def test_files_and_functions_can_be_held_in_the_head() -> None:
    assert SOURCES
    assert [complaint for path in SOURCES for complaint in _too_long(path)] == []


_IMPORT_ALL = """
import importlib, json, logging, os, pkgutil, sys, threading, warnings

before = set(os.listdir("."))
for room in ("bot", "handlers", "db"):
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, f"{room}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)
print(json.dumps({
    "threads": threading.active_count() - 1,
    "log handlers": len(logging.getLogger().handlers),
    "files": sorted(set(os.listdir(".")) - before),
    "sockets": sum(
        os.readlink(f"/proc/self/fd/{fd}").startswith("socket:")
        for fd in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{fd}")
    ) if os.path.isdir("/proc/self/fd") else 0,
    "drawing": "matplotlib" in sys.modules,
}))
"""


def test_an_import_creates_nothing(tmp_path: Path) -> None:
    """No threads, files, connections or logging; and nothing of what draws pictures is loaded."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT_ALL],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "threads": 0,
        "log handlers": 0,
        "files": [],
        "sockets": 0,
        "drawing": False,
    }
