from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voicebot.cli.main import SUBCOMMANDS
from voicebot.config import setting_specs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "src" / "voicebot").rglob("*.py"))
RUN_AGAIN = "run tools/write_docs.py"


@pytest.fixture(scope="module")
def write_docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("write_docs", ROOT / "tools" / "write_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_the_tables_of_settings_are_current(write_docs: ModuleType) -> None:
    documented = write_docs.between_markers(page("configuration.md"))
    assert documented == write_docs.option_tables(), RUN_AGAIN


def test_the_tables_of_models_are_current(write_docs: ModuleType) -> None:
    documented = write_docs.between_markers(page("model-table.md"))
    assert documented == write_docs.model_tables(), RUN_AGAIN


def test_the_tables_of_topics_and_commands_are_current(write_docs: ModuleType) -> None:
    assert write_docs.between_markers(page("mqtt.md")) == write_docs.mqtt_tables(), RUN_AGAIN


@pytest.mark.parametrize("key", setting_specs())
def test_every_setting_is_documented(key: str) -> None:
    section, _, name = key.rpartition(".")
    heading = f"### `[{section}]`" if section else "### General"
    table = page("configuration.md").partition(heading)[2].partition("### ")[0]
    assert f"| `{name}` |" in table, RUN_AGAIN


@pytest.mark.parametrize("name", ["voicebot", *SUBCOMMANDS])
def test_the_help_pages_are_current(name: str, write_docs: ModuleType) -> None:
    if name in SUBCOMMANDS and not write_docs.command_exists(name):
        pytest.skip(f"the module of `voicebot {name}` does not exist yet")
    whole = name if name == "voicebot" else f"voicebot {name}"
    documented = page("cli.md")
    for command, text in write_docs.help_pages().items():
        if command == whole or (name in SUBCOMMANDS and command.startswith(whole + " ")):
            assert f"## {command}\n\n```text\n{text}\n```" in documented, RUN_AGAIN


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_a_subcommand_bears_its_name_and_says_what_it_does(
    name: str, write_docs: ModuleType
) -> None:
    if not write_docs.command_exists(name):
        pytest.skip(f"the module of `voicebot {name}` does not exist yet")
    module_name, _, attribute = SUBCOMMANDS[name].target.partition(":")
    command = getattr(importlib.import_module(module_name), attribute)
    assert command.name == name
    assert command.help


def defined_names(body: list[ast.stmt]) -> Iterator[str]:
    """The names that statements at the top of a module define, imports left out."""
    for statement in body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield statement.name
            case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
                pass  # stands in signatures; nobody imports it
            case ast.Assign():
                for target in statement.targets:
                    yield from (n.id for n in ast.walk(target) if isinstance(n, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.If() | ast.Try():
                for part in ("body", "orelse", "finalbody"):
                    yield from defined_names(getattr(statement, part, []))


def imported_names(body: list[ast.stmt]) -> Iterator[str]:
    for statement in body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            yield from (one.asname or one.name for one in statement.names)


@pytest.mark.parametrize(
    "path", SOURCES, ids=lambda path: path.relative_to(ROOT / "src").as_posix()
)
def test_all_lists_exactly_the_public_names_of_a_module(path: Path) -> None:
    body = ast.parse(path.read_text(encoding="utf-8")).body
    public = {name for name in defined_names(body) if not name.startswith("_")}
    listed: set[str] | None = None
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                listed = set(ast.literal_eval(value))
    if listed is None:
        assert not public, "the module has public names but no __all__"
        return
    # A package may list what it passes on from its modules.
    passed_on = set(imported_names(body)) if path.name == "__init__.py" else set()
    assert public <= listed, "public names that __all__ lacks"
    dunders = {name for name in defined_names(body) if name.startswith("__")}
    assert listed <= public | passed_on | dunders, "names in __all__ that the module lacks"
