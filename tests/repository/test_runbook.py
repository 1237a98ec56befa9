"""docs/runbook.md has an entry for every alarm, and names only commands that exist."""

import re

import pytest

from ..sam_template import ROOT, TEMPLATE, TIMELINE, resources

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
HEADINGS = re.findall(r"^## (.*)", RUNBOOK, re.MULTILINE)
ALARM_HEADINGS = {heading for heading in HEADINGS if re.search(r"(Alarm|Errors)`", heading)}
MAKEFILE = (ROOT / "Makefile").read_text()
ALARMS = {**resources("AWS::CloudWatch::Alarm", TEMPLATE), **resources("AWS::CloudWatch::Alarm", TIMELINE)}


@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_has_an_entry(alarm):
    kinds = {
        alarm,
        re.sub(r"^\w+(?=FailedEventsAlarm$)", "<Service>", alarm),
        re.sub(r"^\w+(?=Errors$)", "<Function>", alarm),
    }
    assert any(f"`{kind}`" in heading for kind in kinds for heading in HEADINGS)


def test_every_alarm_of_an_entry_is_there():
    named = {name for heading in HEADINGS for name in re.findall(r"`(\w+Alarm)`", heading)}
    assert named <= ALARMS.keys()


def test_every_entry_says_what_it_means_what_to_do_first_how_to_fix_it_and_when_it_is_fixed():
    # what follows, from Replay on, is about commands that nothing has to be wrong for
    incidents = RUNBOOK.partition("\n## Replay\n")[0]
    _, *entries = incidents.split("\n## ")
    assert len(entries) > len(ALARM_HEADINGS) > 8
    for entry in entries:
        heading = entry.partition("\n")[0]
        said = re.findall(r"^\*\*(Means|First|Fix|Fixed when)\*\* ", entry, re.MULTILINE)
        assert said == ["Means", "First", "Fix", "Fixed when"], heading
    # and the entries of all alarms are among them
    assert {entry.partition("\n")[0] for entry in entries} >= ALARM_HEADINGS


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\bmake ([a-z-]+)( [A-Z]|`)", RUNBOOK))))
def test_what_it_tells_to_make_can_be_made(command):
    target, _ = command
    assert re.search(rf"^{target}: .*## ", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("variable", sorted(set(re.findall(r"\bmake [a-z]+[^`\n]*?\b([A-Z_]{4,})=", RUNBOOK))))
def test_its_variables_are_known_to_make(variable):
    assert f"$({variable})" in MAKEFILE


@pytest.mark.parametrize("link", re.findall(r"\]\(#([^)]+)\)", RUNBOOK))
def test_its_links_lead_to_a_heading(link):
    anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADINGS]
    assert link in anchors
