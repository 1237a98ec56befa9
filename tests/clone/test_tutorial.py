"""docs/tutorial.md, word by word: files from its blocks, lint, tests, and a deployment beside running orders."""

import json
from concurrent.futures import ThreadPoolExecutor

from local.cloud import ROOT

from .clones import run
from .followed import Commands, follow, make, steps

BRIEFLY = """
set -euo pipefail
make() {
  case "$1" in
    lint) command make lint TEMPLATES=template.yaml ;;
    test-unit) .venvs/dev/bin/python -m pytest -q tests/unit/test_{points,loyalty}.py ;;
    *) command make "$@" ;;
  esac
}
"""
"""`make lint` and the unit tests, of what a new service has to do with."""


def test_the_tutorial_leads_to_a_service_that_works_and_the_orders_under_way_notice_nothing(running):
    # given orders that come all the time
    orders_in_a_row = """
    . .local/env
    for each in $(seq 1000); do
      test ! -e enough || exit 0
      curl -sSf "$API_URL/orders" -H "Authorization: $OTHER_SHOPPER_TOKEN" -H "Idempotency-Key: way-$each" \
        -d "{\\"productId\\": \\"$DEMO_PRODUCT\\", \\"quantity\\": 1}" || exit 1
      echo; sleep 3
    done"""
    shell = "if [ -e shell ]; then . ./shell; fi; set -a" + BRIEFLY
    with ThreadPoolExecutor() as meanwhile:
        ordering = meanwhile.submit(run, running, orders_in_a_row, seconds=900)
        try:
            # when the page is followed
            for step in steps((ROOT / "docs" / "tutorial.md").read_text()):
                if isinstance(step, Commands):
                    follow(
                        step, lambda script: run(running, f"{shell}\n{script}\nset +u; export -p > shell", seconds=400)
                    )
                else:
                    make(step, running)
        finally:
            (running / "enough").touch()

    # then each of the orders was taken, and came to its end
    placed = ordering.result()
    assert placed.returncode == 0, placed.stdout + placed.stderr
    ids = {json.loads(line)["orderId"] for line in placed.stdout.splitlines()}
    ended = run(
        running,
        """. .local/env
        for each in $(seq 60); do
          curl -sf "$API_URL/orders?limit=100" -H "Authorization: $OTHER_SHOPPER_TOKEN" > listed
          grep -qE '"(PENDING|PAID|RESERVED)"' listed || exit 0
          sleep 0.5
        done; exit 1""",
    )
    assert ended.returncode == 0
    listed = {it["orderId"]: it["status"] for it in json.loads((running / "listed").read_text())["items"]}
    assert {listed.get(order, "not listed") for order in ids} <= {"CONFIRMED", "PAYMENT_FAILED"}
