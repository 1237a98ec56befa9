"""What the X-Ray of one machine does with the segments that it receives."""

import json

import pytest

from local.xray import collector
from local.xray.collector import Collector

TRACE = "1-5759e988-bd862e3fe1be46a994272793"


def document(id_, **fields):
    return {"id": id_, "trace_id": TRACE, "name": id_, "start_time": 1.0, "end_time": 2.0, **fields}


def subsegment(id_, parent, **fields):
    return document(id_, type="subsegment", parent_id=parent, **fields)


def datagram(document):
    return b'{"format":"json","version":1}\n' + json.dumps(document).encode()


def sent(*documents):
    """The segments that come of it."""
    collector = Collector()
    return [segment for each in documents if (segment := collector.take(datagram(each)))]


def shape(document):
    return {document["id"]: [shape(each) for each in document.get("subsegments", [])]}


def test_subsegments_that_come_on_their_own_are_put_into_their_segment_however_deep():
    segments = sent(
        subsegment("put", "handler"),
        subsegment("get", "handler"),
        subsegment("handler", "function", subsegments=[subsegment("within", "handler")]),
        subsegment("retry", "within"),
        document("function", parent_id="gateway"),
    )

    assert [shape(each) for each in segments] == [
        {"function": [{"handler": [{"within": [{"retry": []}]}, {"put": []}, {"get": []}]}]}
    ]


def test_two_functions_of_one_cause_are_two_segments_each_with_its_own():
    payment, inventory = sent(
        subsegment("charge", "payment"),
        subsegment("reserve", "inventory"),
        document("payment", parent_id="relay"),
        document("inventory", parent_id="relay"),
    )

    assert (shape(payment), shape(inventory)) == ({"payment": [{"charge": []}]}, {"inventory": [{"reserve": []}]})


def test_what_a_segment_was_given_is_not_given_to_another():
    first, second = sent(subsegment("put", "function"), document("function"), document("function"))
    assert (shape(first), shape(second)) == ({"function": [{"put": []}]}, {"function": []})


def test_what_waits_for_a_segment_that_never_comes_is_forgotten_oldest_first(monkeypatch):
    monkeypatch.setattr(collector, "MOST_WAITING", 2)
    waiting = [subsegment(f"put-{n}", f"killed-{n}") for n in range(3)]

    first, second, third = sent(*waiting, *(document(f"killed-{n}") for n in range(3)))

    assert shape(first) == {"killed-0": []}
    assert (shape(second), shape(third)) == ({"killed-1": [{"put-1": []}]}, {"killed-2": [{"put-2": []}]})


@pytest.mark.parametrize("noise", [b"", b"noise", b"header\n", b"header\n[]", b'header\n{"id": "x"}', b"header\n\xff"])
def test_a_datagram_that_is_none_of_x_rays_is_refused(noise):
    with pytest.raises(ValueError):  # noqa: PT011 the text is json's
        Collector().take(noise)
