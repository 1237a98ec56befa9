"""`make bench`, a small run of it: what it measures is what is deployed, and its tables have room for all of it."""

import pytest

from benchmarks.speed import built, cold, document, warm
from benchmarks.tables import DOCS, with_tables
from local.stack import TIMELINE_NAME, build_dir


@pytest.fixture(scope="module")
def functions(shop):
    return [
        function
        for stack in ("eventflow", TIMELINE_NAME)
        if (template := build_dir(shop.cloud, stack) / "template.yaml").exists()
        for function in built.functions_of(template)
    ]


def named(functions, name):
    return next(function for function in functions if function.name == name)


def test_every_deployed_function_is_measured(functions, shop):
    deployed = {name for name in shop.resources if name.endswith("Function")}
    assert deployed <= {function.name for function in functions}


def test_a_cold_start_is_measured_beside_the_floor(functions, tmp_path):
    starts = cold.measured([named(functions, "OrdersApiFunction")], 1, tmp_path, lambda _: None)

    (row,) = document.cold(starts).splitlines()[2:]
    assert row.startswith("| OrdersApiFunction |")
    one = starts["OrdersApiFunction"]
    assert len(one.function) == len(one.floor) == 1
    assert one.floor[0].init > one.floor[0].cpu / 4 > 5  # milliseconds; nothing starts in less
    assert one.cpu < 3, "much slower than bare boto3: is bytecode shipped, and are models read from functions?"


def test_warm_cost_is_measured_in_each_way_of_tracing(functions):
    costs = warm.measured(functions, 1, lambda _: None)

    assert costs.keys() == warm.INVOKED.keys()
    for cost in costs.values():
        assert list(cost.kinds) == ["untraced", "not sampled", "traced"]
        assert all(0 < cost.ratio(kind) < 4 for kind in warm.KINDS)


def test_the_document_has_a_place_for_both_tables():
    text = with_tables((DOCS / "performance.md").read_text(), {"cold": "of starts", "warm": "of invocations"})
    assert "of starts" in text
    assert "of invocations" in text
