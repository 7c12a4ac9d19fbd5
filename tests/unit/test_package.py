"""The package itself: declared packages, public names, documentation that names every command and event, examples."""

from __future__ import annotations

import doctest
import importlib
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import insightlog
from insightlog.adapters.cli import main
from insightlog.adapters.storage.codec import FAMILIES
from insightlog.domain.events import EVENT_TYPES

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LAYERS = ("domain", "application", "adapters")
WITH_EXAMPLES = [
    ".".join(("insightlog", *file.relative_to(ROOT).with_suffix("").parts))
    for layer in LAYERS
    for file in sorted((ROOT / layer).rglob("*.py"))
    if ">>> " in file.read_text()
]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("[!.]*/**/README.md"), *ROOT.glob("docs/*.md")]
MODULES = {str(file.relative_to(ROOT)) for file in ROOT.glob("[!.]*/**/*.py")}


def test_declared_packages_are_the_folders():
    folders = {"insightlog"} | {
        ".".join(("insightlog", *file.parent.relative_to(ROOT).parts))
        for layer in LAYERS
        for file in (ROOT / layer).rglob("__init__.py")
    }
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == folders
    for layer in LAYERS:
        for file in (ROOT / layer).rglob("*.py"):
            assert (file.parent / "__init__.py").exists(), file


def test_the_public_names_are_there_and_sorted():
    assert insightlog.__all__ == sorted(insightlog.__all__)
    for name in insightlog.__all__:
        assert getattr(insightlog, name) is not None
    with pytest.raises(AttributeError):
        _ = insightlog.nonsense


def commands(group, words=()):
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in commands(main)])
def test_every_command_and_option_is_documented_and_explained(words, command):
    text = (ROOT / "docs" / "commands.md").read_text()
    section = re.search(rf"^## `insightlog {' '.join(words)}`$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert section, f"docs/commands.md has no section for {' '.join(words)}"
    assert command.help
    assert not command.get_short_help_str(57).endswith("..."), "give it a short_help"
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.opts[0] in section[1], parameter.opts[0]
            assert parameter.help, parameter.opts[0]


def test_every_event_type_is_documented():
    assert len(FAMILIES) == 8
    assert {cls.__module__ for cls in EVENT_TYPES.values()} == {family.__name__ for family in FAMILIES}
    text = (ROOT / "docs" / "events.md").read_text()
    assert [name for name in EVENT_TYPES if f"`{name}`" not in text] == []


def test_the_example_runs(capsys):
    runpy.run_path(str(ROOT / "examples" / "embed.py"))["main"]()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["free  [3.0, 3.0, 3.0]", "pro   [1.0, 1.0, 1.0]"]
    assert "now 'Signups by plan', before 'Signups'" in lines
    assert lines[-1].endswith("insight:1 InsightRenamed")


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_in_docstrings_hold(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed


def test_tests_run_in_a_folder_of_any_name(tmp_path):
    """As in what GitHub packs: `insightlog-main` is no name that Python could import."""
    clone = tmp_path / "insightlog-main (1)"
    clone.symlink_to(ROOT)
    one = clone / "tests/unit/test_timestamps.py::test_nothing_and_nonsense_are_now"
    settings = ("-p", "no:cacheprovider", "-c", clone / "pyproject.toml", "--rootdir", clone)
    done = subprocess.run([sys.executable, "-m", "pytest", *settings, one], cwd=clone, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_readme_names_the_two_commands_and_they_exist():
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in ("demo", "test"):
        assert f"$ make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    used, looking_back = (
        block
        for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        if "posthog" not in block  # which the tests of SDKs use
    )
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(used, names)
    assert capsys.readouterr().out.endswith(", 1.0]\n")
    with insightlog.open("data") as log:
        exec(looking_back, names | {"log": log, "last_tuesday": f"position:{log.position()}"})
    assert " InsightCreated(" in capsys.readouterr().out


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_lead_to_files_that_are_there(document):
    text = document.read_text()
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (document.parent / link).exists(), link
    for name in re.findall(r"`([\w/]+\.py)\b", text):
        assert any(f"/{module}".endswith(f"/{name}") for module in MODULES), name


def test_a_server_begins_without_the_libraries_of_queries():
    """They take 60 MB and a second; whoever asks the first query pays for them."""
    script = (
        "import sys, insightlog.adapters.cli.main, insightlog.adapters.composition, insightlog.adapters.http.app\n"
        "print([name for name in ('duckdb', 'numpy', 'sqlglot', 'sqlite_utils') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_new_folder_is_made_without_the_libraries_of_queries(tmp_path):
    """sqlite-utils would load numpy, for rows that it is never given; whoever wants it finds it all the same."""
    script = (
        "import sys, insightlog\n"
        f"log = insightlog.open({str(tmp_path / 'data')!r})\n"
        "print([name for name in ('sqlite_utils', 'duckdb', 'numpy') if name in sys.modules])\n"
        "import numpy\n"
        "log.close()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sqlite_utils']"
