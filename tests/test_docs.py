"""What the documents say is so: examples run, links lead somewhere, tables are complete.

A worked example is a page of `docs/changing/`: a sentence that ends in a colon says what is to be
done with the block of code below it, and the test does it in a copy of the repository.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from bot.__main__ import main
from bot.i18n import LANGUAGES, load_texts
from bot.metrics import Metrics
from bot.settings import Address, Settings
from db.models import JobState
from handlers.commands import ADMIN_COMMANDS, MEMBER_COMMANDS
from handlers.gate import OPEN_COMMANDS

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
USERS = ROOT / "docs" / "users.md"
CHANGING = ROOT / "docs" / "changing.md"
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
EXAMPLES = sorted(ROOT.glob("docs/changing/*.md"))
# These two are measured, on a machine and at a time of their own.
MEASURED = {"performance.md", "reliability.md"}
# Whatever a copy needs to be worked in.
COPIED = ("bot", "handlers", "db", "tests", "docs", "deploy")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".*_cache")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def rows(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    text = page.read_text("utf-8").partition(f"\n{heading}\n")[2]
    table: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            break
    return table[2:]


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


# --------------------------------------------------------------------------- the worked examples


@dataclass(frozen=True, slots=True)
class Step:
    """A sentence, and the block below it."""

    sentence: str
    block: str


def steps(page: Path) -> Iterator[Step]:
    found = re.finditer(
        r"^(?P<sentence>[^\n]+:)\n\n```\w+\n(?P<block>.*?)^```$",
        page.read_text("utf-8"),
        re.DOTALL | re.MULTILINE,
    )
    return (Step(match["sentence"], match["block"]) for match in found)


def carry_out(step: Step, copy: Path) -> None:
    """Do in `copy` what the step says. Raises `AssertionError` where it cannot be done."""
    for pattern, work in WORK.items():
        match = re.fullmatch(pattern, step.sentence)
        if match is not None:
            work(copy, step.block, *match.groups())
            return
    raise AssertionError(f"nobody knows what to do: {step.sentence}")


def write_new(copy: Path, block: str, name: str) -> None:
    path = copy / name
    assert not path.exists(), name
    assert path.parent.is_dir(), name
    path.write_text(block, "utf-8")


def append(copy: Path, block: str, name: str) -> None:
    path = copy / name
    path.write_text(path.read_text("utf-8") + block, "utf-8")


def put(copy: Path, block: str, name: str, where: str, line: str) -> None:
    """Put the block above each, or below the first, line that is `line`."""
    path = copy / name
    lines = path.read_text("utf-8").splitlines(keepends=True)
    places = [number for number, text in enumerate(lines) if text.strip() == line]
    assert places, f"{name} has no line {line}"
    if where == "below":
        lines.insert(places[0] + 1, block)
    else:
        for number in reversed(places):
            lines.insert(number, block)
    path.write_text("".join(lines), "utf-8")


def put_row(copy: Path, block: str, name: str, row: str) -> None:
    path = copy / name
    lines = path.read_text("utf-8").splitlines(keepends=True)
    places = [number for number, text in enumerate(lines) if text.startswith(f"| `{row}` |")]
    assert places, f"{name} has no row of {row}"
    lines.insert(places[0] + 1, block)
    path.write_text("".join(lines), "utf-8")


def replace(copy: Path, block: str, name: str, each: str | None, old: str) -> None:
    path = copy / name
    text = path.read_text("utf-8")
    count = text.count(old)
    assert count == 1 or (each and count > 1), f"{name} has {count} times: {old}"
    path.write_text(text.replace(old, block.removesuffix("\n")), "utf-8")


def run(copy: Path, block: str) -> None:
    for line in block.splitlines():
        done = subprocess.run(
            shlex.split(line.replace(".venv/bin/python", sys.executable)),
            cwd=copy,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


WORK: dict[str, Callable[..., None]] = {
    r"New file `(.+)`:": write_new,
    r"At the end of `(.+)`:": append,
    r"In `(.+)`, (above) each `(.+)`:": put,
    r"In `(.+)`, (below) `(.+)`:": put,
    r"In `(.+)`, below the row of `(.+)`:": put_row,
    r"In `(.+)`, instead of (each )?`(.+)`:": replace,
    r"Run:": run,
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The repository once more, to work in."""
    target = tmp_path / "copy"
    target.mkdir()
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name, ignore=LEFT_OUT)
    for path in ROOT.iterdir():
        if path.is_file() and path.name != ".env":
            shutil.copy2(path, target / path.name)
    return target


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", EXAMPLES, ids=named)
def test_a_worked_example_works_to_the_letter(page: Path, copy: Path) -> None:
    found = list(steps(page))
    assert len(found) == page.read_text("utf-8").count("\n```\n"), "a block without a sentence"
    for step in found:
        carry_out(step, copy)


# ----------------------------------------------------------------------------- the tables


def test_the_table_of_commands_is_the_list_of_commands() -> None:
    table = {name.strip("`"): who for name, who, _ in rows(README, "## Commands")}
    expected = {f"/{name}": "anyone" for name in OPEN_COMMANDS}
    expected |= {f"/{name}": "member" for name in MEMBER_COMMANDS if name not in OPEN_COMMANDS}
    expected |= {f"/{name}": "admin" for name in ADMIN_COMMANDS}
    assert table == expected


def test_the_table_of_settings_is_that_of_the_settings() -> None:
    table = {name: default for name, default, _ in rows(README, "## Settings")}
    assert table == {f"`{name.upper()}`": written_default(name) for name in Settings.model_fields}


def written_default(name: str) -> str:
    default = Settings.model_fields[name].default
    if default is PydanticUndefined:
        return "required"
    if default is None:
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, Address):
        return f"`{default.host}:{default.port}`"
    if isinstance(default, tuple):
        return f"`{','.join(str(part) for part in default)}`"
    return f"`{default}`"


def test_every_metric_is_explained_and_no_other() -> None:
    explained = {re.sub(r"\{.*\}", "", row[0].strip("`")) for row in rows(OPERATIONS, "## Metrics")}
    found: set[str] = set()
    for metric in Metrics().registry.collect():
        found.add(f"{metric.name}_total" if metric.type == "counter" else metric.name)
    assert explained == found


def test_every_state_of_a_job_has_its_step() -> None:
    table = rows(CHANGING, "## How a job flows")
    states = {state for row in table for state in re.findall(r"`(\w+)`", row[0])}
    assert states == {state.value for state in JobState}
    tree = ast.parse((ROOT / "bot" / "jobs.py").read_text("utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
    named_steps = {name for row in table for name in re.findall(r"`(_\w+)`", row[2])}
    assert named_steps <= functions
    assert {target for row in table for target in re.findall(r"`(\w+)`", row[3])} <= states | {
        "shown_at"
    }


# ------------------------------------------------------------------------- what is named is there


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text("utf-8"))):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        linked = (page.parent / path).resolve() if path else page
        if not linked.exists():
            dead += [] if linked.name in MEASURED else [target]
        elif anchor and anchor not in anchors(linked):
            dead.append(target)
    assert dead == []


def anchors(page: Path) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_line_that_is_named_is_there(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = page.read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    code = " ".join(re.findall(r"`[^`]+`|^```.*?^```$", text, re.DOTALL | re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", code)) <= targets
    with pytest.raises(SystemExit):
        main(["--help"])
    known = set(re.findall(r"^    ([a-z-]+)\b", capsys.readouterr().out, re.MULTILINE))
    used = set(
        re.findall(r"(?:-m bot|(?<!/)fal-budget-bot) (?!fal-budget-bot)([a-z][a-z-]+)", code)
    )
    assert known >= used


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_file_that_is_named_is_there(page: Path) -> None:
    text = without_code(page.read_text("utf-8"))
    made = {step.sentence.split("`")[1] for step in steps(page) if "`" in step.sentence}
    files = set(re.findall(r"`((?:bot|handlers|db|tests|docs|deploy)/[\w./-]*)`", text))
    assert sorted(name for name in files - made if not (ROOT / name).exists()) == []


def test_the_map_names_files_that_are_there() -> None:
    room, missing = ROOT, []
    text = README.read_text("utf-8").partition("\n## The rooms\n")[2].split("```")[1]
    for line in text.strip().splitlines():
        names = re.findall(r"(?:^|[ ;])([\w.]+/|[\w]+\.(?:py|toml))(?=[ ,;]|$)", line)
        if not line.startswith(" "):
            room = ROOT / names.pop(0)
        missing += [f"{room.name}/{name}" for name in names if not (room / name).exists()]
    assert missing == []


def test_every_command_of_a_chat_that_is_explained_is_there_and_no_other() -> None:
    text = USERS.read_text("utf-8")
    named_there = set(re.findall(r"`/([a-z]+)", text))
    assert named_there == {*MEMBER_COMMANDS, *ADMIN_COMMANDS, *OPEN_COMMANDS}


def test_a_person_who_asks_in_a_language_finds_it_in_the_readme() -> None:
    sentence = next(row[2] for row in rows(README, "## Settings") if row[0] == "`LANGUAGE`")
    assert all(f"`{language}`" in sentence for language in LANGUAGES)
    assert all(load_texts(language).plain("settings.own_name") for language in LANGUAGES)
