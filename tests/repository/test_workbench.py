"""The Makefile: what `make help` shows, and that every target that a person may call is there."""

import re
import subprocess

import pytest

from ..sam_template import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", MAKEFILE, re.MULTILINE))
ALWAYS_REMADE = {"remember-python"}
"""A prerequisite without a rule."""


@pytest.fixture(scope="module")
def shown() -> str:
    return subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout


def test_help_fits_a_terminal_of_80_columns(shown):
    assert [line for line in shown.splitlines() if len(line) > 80] == []


def test_help_has_the_groups_run_look_operate_and_work_in_this_order(shown):
    assert re.findall(r"^(\w+): ", shown, re.MULTILINE) == ["Run", "Look", "Operate", "Work"]


def test_help_shows_every_target_once_and_no_other(shown):
    listed = re.findall(r"^  make ([a-z-]+) ", shown, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == TARGETS - {"venvs"}


def test_every_target_is_phony_so_that_a_file_of_its_name_cannot_hide_it():
    (phony,) = re.findall(r"^\.PHONY:((?:.*\\\n)*.*)", MAKEFILE, re.MULTILINE)
    assert set(phony.replace("\\", "").split()) == TARGETS | ALWAYS_REMADE
