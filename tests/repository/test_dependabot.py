"""What Dependabot proposes: no version that a remark or the SAM CLI rules out; the packages of a file together."""

import fnmatch
import re
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from local.emulator import PINNED

from ..sam_template import ROOT

CONFIGURATION = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
(PIP,) = (it for it in CONFIGURATION["updates"] if it["package-ecosystem"] == "pip")

ALL = SpecifierSet()
IGNORED = {it["dependency-name"]: SpecifierSet(",".join(it.get("versions", []))) for it in PIP["ignore"]}
"""By a package's name, as Dependabot writes it: the versions that it does not propose."""

FILES = {"layer": "layer/requirements.txt", "emulator": "local/requirements.txt", "tools": "requirements-dev.txt"}
"""By the group that each has."""

KEPT = re.compile(r"\bversion that .* pins\b|\bthis very version\b")
KEPT_BELOW = re.compile(r"\bfrom (\d+) on\b")


def packages(group: str) -> dict[str, tuple[str, str]]:
    """What a file pins: version and remark, by a package's name."""
    lines = re.findall(r"^([\w-]+)\S*==([^\s;]+)[^#\n]*#(.*)$", (ROOT / FILES[group]).read_text(), re.MULTILINE)
    return {canonicalize_name(name): (version, remark) for name, version, remark in lines}


def ruled_out_by_remarks() -> dict[str, SpecifierSet]:
    remarks = [(name, remark) for group in FILES for name, (_, remark) in packages(group).items()]
    below = {name: SpecifierSet(f">={found[1]}") for name, it in remarks if (found := KEPT_BELOW.search(it))}
    return below | {name: ALL for name, it in remarks if KEPT.search(it)}


def ruled_out_by_the_sam_cli() -> dict[str, SpecifierSet]:
    """Of what is installed beside it. Its own metadata say what it takes."""
    found = {}
    for it in map(Requirement, metadata.requires("aws-sam-cli") or []):
        name = canonicalize_name(it.name)
        beyond = too_new(it.specifier)
        if it.marker is None and beyond is not None and name in packages("layer") | packages("tools"):
            found[name] = beyond
    return found


def too_new(specifier: SpecifierSet) -> SpecifierSet | None:
    for it in specifier:
        match it.operator:
            case "==":
                return ALL
            case "<":
                return SpecifierSet(f">={it.version}")
            case "~=":
                *front, last, _ = it.version.split(".")
                return SpecifierSet(f">={'.'.join([*front, str(int(last) + 1)])}")
    return None


@pytest.mark.parametrize(
    ("taken", "beyond"),
    [
        ("==1.43.108", ALL),
        ("<1.59,>=1.52.0", SpecifierSet(">=1.59")),
        ("~=1.1.0", SpecifierSet(">=1.2")),
        (">=1", None),
    ],
)
def test_what_is_too_new_is_read_from_what_is_taken(taken, beyond):
    assert too_new(SpecifierSet(taken)) == beyond


def test_every_package_is_read():
    for group, file in FILES.items():
        assert len(packages(group)) == len(re.findall(r"^\w", (ROOT / file).read_text(), re.MULTILINE))
    assert packages("emulator")["ministack"][0] == PINNED


def test_what_a_remark_rules_out_is_ignored():
    ruled_out = ruled_out_by_remarks()
    assert {"boto3", "ministack", "wrapt"} <= ruled_out.keys()
    assert {name: IGNORED.get(name) for name in ruled_out} == ruled_out


def test_what_the_sam_cli_cannot_be_installed_with_is_ignored():
    ruled_out = ruled_out_by_the_sam_cli()
    assert "cfn-lint" in ruled_out
    assert {name: IGNORED.get(name) for name in ruled_out} == ruled_out


def test_nothing_else_is_ignored():
    assert IGNORED.keys() == ruled_out_by_remarks().keys() | ruled_out_by_the_sam_cli().keys()


@pytest.mark.parametrize("group", FILES)
def test_what_a_file_pins_is_proposed_together_and_the_sam_cli_by_itself(group):
    proposed = [name for name in packages(group) if IGNORED.get(name) != ALL]
    groups = {
        name: [each for each, rule in PIP["groups"].items() if is_of(name, rule)]
        for name in proposed
        if name != "aws-sam-cli"
    }
    assert groups == {name: [group] for name in groups}
    assert not any(is_of("aws-sam-cli", rule) for rule in PIP["groups"].values())


def is_of(name: str, rule: dict[str, list[str]]) -> bool:
    def matches(patterns: list[str]) -> bool:
        return any(fnmatch.fnmatchcase(name, it) for it in patterns)

    return matches(rule["patterns"]) and not matches(rule.get("exclude-patterns", []))
