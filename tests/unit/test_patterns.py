"""Event patterns: a rule that is not known is an error, whatever else decides whether the event is taken."""

import pytest

from ops.patterns import matches

UNKNOWN = (
    {"numeric": [">", 5]},
    {"cidr": "10.0.0.0/24"},
    {"wildcard": "Order*"},
    {"equals-ignore-case": "ordercreated"},
    {"prefix": {"equals-ignore-case": "order"}},
    {"suffix": ["ed"]},
    {"exists": "yes"},
    {"anything-but": {"suffix": "Order"}},
    {"anything-but": 7},
    {"prefix": "Order", "suffix": "ed"},
    {},
    7,
    True,
    None,
    ["OrderCreated"],
)

EVENT = {"source": "shop", "detail-type": "OrderCreated", "detail": {"orderId": "o-1"}}


@pytest.mark.parametrize("rule", UNKNOWN, ids=str)
@pytest.mark.parametrize(
    "pattern",
    [
        lambda rule: {"detail-type": [rule]},
        lambda rule: {"detail-type": ["OrderCreated", rule]},
        lambda rule: {"source": ["elsewhere"], "detail-type": [rule]},
        lambda rule: {"detail": {"none": ["x"], "orderId": [rule]}},
        lambda rule: {"nothing": {"of": {"the": [rule]}}},
    ],
    ids=[
        "single",
        "after one that takes it",
        "in an event that is not taken",
        "deeper",
        "of a field that is not there",
    ],
)
def test_a_rule_that_is_not_known_is_an_error(rule, pattern):
    with pytest.raises(NotImplementedError, match="does not know"):
        matches(pattern(rule), EVENT)


@pytest.mark.parametrize("field", ["OrderCreated", 7, None])
def test_a_field_that_is_no_list_is_an_error(field):
    with pytest.raises(NotImplementedError, match="is a list or an object"):
        matches({"detail-type": field}, EVENT)


def test_either_of_several_patterns_is_not_known():
    with pytest.raises(NotImplementedError, match="does not know"):
        matches({"$or": [{"source": ["shop"]}, {"detail-type": ["OrderCreated"]}]}, EVENT)
