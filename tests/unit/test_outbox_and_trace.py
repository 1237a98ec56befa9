"""The event that a row carries: not too large, and in the trace of the request that wrote the row."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventflow.events import OrderCancelled
from eventflow.outbox import MAX_DETAIL_BYTES, EventTooLarge, announce
from eventflow.transition import Change, transition

TRACE_ID = "5759e988bd862e3fe1be46a994272793"
ROOT = "Root=1-5759e988-bd862e3fe1be46a994272793"
PARENT = "Parent=53995c3f42cd8ad8"


@pytest.fixture(autouse=True)
def outside_any_trace(monkeypatch):
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)


def cancelled(reason: str) -> OrderCancelled:
    return OrderCancelled(order_id="o1", user_id="ada", reason=reason)


def test_an_event_may_have_200_kilobytes_of_utf_8_and_not_one_more():
    room = MAX_DETAIL_BYTES - len(announce(cancelled("")).detail)
    full = "é" * (room // 2) + "e" * (room % 2)

    assert len(announce(cancelled(full)).detail.encode()) == 200 * 1024
    with pytest.raises(EventTooLarge, match=r"OrderCancelled of o1: 204801 bytes, 204800 at most"):
        announce(cancelled(full + "e"))


def test_a_state_whose_event_is_too_large_is_not_written():
    class Rows:
        written = False

        def read(self, key):
            return None

        def write(self, key, state, revision, announcement):
            self.written = True

    rows = Rows()
    with pytest.raises(EventTooLarge):
        transition(rows, "o1", lambda _: Change("cancelled", cancelled("x" * MAX_DETAIL_BYTES)))
    assert not rows.written


@pytest.mark.parametrize(
    ("header", "kept", "traceparent"),
    [
        (f"{ROOT};{PARENT};Sampled=1", f"{ROOT};{PARENT};Sampled=1", f"00-{TRACE_ID}-53995c3f42cd8ad8-01"),
        (f"{ROOT};{PARENT};Sampled=0", f"{ROOT};{PARENT};Sampled=0", f"00-{TRACE_ID}-53995c3f42cd8ad8-00"),
        (f"{ROOT};{PARENT}", f"{ROOT};{PARENT}", f"00-{TRACE_ID}-53995c3f42cd8ad8-00"),
        (
            f"Self=1-abc-def;{ROOT};{PARENT};Sampled=1;Lineage=2:a87bd80c:1|68fd508a:5|c512fbe3:2",
            f"{ROOT};{PARENT};Sampled=1",
            f"00-{TRACE_ID}-53995c3f42cd8ad8-01",
        ),
        (f"Sampled=1;{PARENT};{ROOT}", f"{ROOT};{PARENT};Sampled=1", f"00-{TRACE_ID}-53995c3f42cd8ad8-01"),
        (f"{ROOT};Sampled=0", f"{ROOT};Sampled=0", None),
        (f"{ROOT};Sampled=?", f"{ROOT};Sampled=?", None),
        (f"Root=unlike-any-other-trace;{PARENT};Sampled=1", None, None),
        (f"Root={'r' * 900};{PARENT};Sampled=1", None, None),
        (f"{ROOT}\n;{PARENT}", None, None),
        (f"Root=1-5759E988-BD862E3FE1BE46A994272793;{PARENT}", None, None),
        (f"{ROOT};Parent=53995c3f42cd8ad;Sampled=1", None, None),
        (f"{ROOT};{PARENT};Sampled=yes", None, None),
        ("Sampled=1", None, None),
        ("no trace header;", None, None),
        ("", None, None),
    ],
)
def test_a_row_keeps_of_the_trace_what_another_hop_may_go_on_with(monkeypatch, header, kept, traceparent):
    monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    announcement = announce(cancelled("why"))
    assert announcement.trace == kept
    assert json.loads(announcement.detail)["metadata"].get("traceparent") == traceparent


GOOD = st.sampled_from([ROOT, PARENT, "Sampled=1", "Sampled=0", "Self=1-abc-def", "Lineage=a:1"])
TEXT = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=900)
BAD = st.builds(str.__add__, st.sampled_from(["Root=", "Parent=", "Sampled=", ""]), TEXT)


@given(st.lists(GOOD | BAD).map(";".join))
def test_whatever_a_client_calls_its_trace_a_row_keeps_what_put_events_takes(header):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("_X_AMZN_TRACE_ID", header)
        kept = announce(cancelled("why")).trace
    assert kept is None or re.fullmatch(f"{ROOT}(;{PARENT})?(;Sampled=[01])?", kept)
