"""The console's pages in a real browser, on made-up answers: each thing that they say and do, as a story."""

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from . import answers as made_up
from .answers import (
    CALLED_OFF,
    CAUSE_NOT_KEPT,
    FAILED,
    OPERATOR,
    OUT_OF_STOCK,
    PASSWORD,
    REFUSED,
    SHOPPER,
    STUCK,
    SUCCEEDED,
    USUAL,
    WITHOUT_CAUSATION,
    Answers,
    big,
    served,
)
from .console import Console

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

CLOSEST = """() => {
  const drawing = document.querySelector(".drawing"), origin = drawing.getBoundingClientRect();
  const marks = [...drawing.querySelectorAll(".mark")].map((mark) => {
    const box = mark.getBoundingClientRect();
    return { key: mark.dataset.key, x: box.x + box.width / 2 - origin.x, y: box.y + box.height / 2 - origin.y };
  });
  const hits = [], edges = [...drawing.querySelectorAll(".edge:not(.head)")];
  for (const edge of edges) {
    const length = edge.getTotalLength();
    const points = Array.from({ length: Math.ceil(length / 4) + 1 }, (_, at) => edge.getPointAtLength(at * 4));
    for (const mark of marks.filter(({ key }) => key !== edge.dataset.cause && key !== edge.dataset.effect)) {
      const closest = Math.min(...points.map(({ x, y }) => Math.hypot(x - mark.x, y - mark.y)));
      if (closest < 12) hits.push(`${edge.dataset.cause} to ${edge.dataset.effect} by ${mark.key}: ${closest}`);
    }
  }
  return { edges: edges.length, marks: marks.length, hits };
}"""
"""Which edges come closer than 12 px to the middle of a mark of which they are not; a mark is 20 px wide."""

TIME_TO_DRAW = """async (events) => {
  const { eventList } = await import("./console/events.js");
  const known = events.map((event) => ({ ...event, key: event.eventId, address: event.eventId }));
  const times = [];
  for (let round = 0; round < 5; round++) {
    const list = eventList(() => {});
    document.querySelector("main").replaceChildren(list.node);
    const start = performance.now();
    list.show(known);
    list.node.getBoundingClientRect();
    await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
    times.push(performance.now() - start);
  }
  return times.sort((a, b) => a - b)[2];
}"""
"""How many ms it takes to show these events, until they are painted: the median of five."""


@pytest.fixture
def site():
    with served(Answers()) as answers:
        yield answers


@pytest.fixture
def console(browser, site):
    context = browser.new_context(viewport=DESKTOP, permissions=["clipboard-read", "clipboard-write"])
    console = Console(context.new_page(), site.url)
    methods = []
    console.page.on("request", lambda asked: methods.append((asked.method, urlsplit(asked.url).path)))
    yield console
    flaws = console.flaws
    context.close()
    assert console.complaints == []
    assert flaws == []
    # signing in is a POST to Cognito; nothing else changes anything
    assert {path for method, path in methods if method != "GET"} <= {"/"}


def expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def opened(console, fragment="#/", who=OPERATOR):
    console.open(fragment)
    console.sign_in_as(who, PASSWORD)
    expect(console.page.get_by_text(who)).to_be_visible()


def opened_saga(console, saga, who=OPERATOR):
    opened(console, f"#/sagas/{saga['id']}", who)
    expect(console.verdict).to_be_visible()


def facts(console):
    """What stands beside an event, by its name."""
    names, values = console.payload.locator("dt"), console.payload.locator("dd")
    return dict(zip(names.all_inner_texts(), values.all_inner_texts(), strict=True))


def query_of(address):
    return {name: values[0] for name, values in parse_qs(urlsplit(address).fragment.partition("?")[2]).items()}


# The list


def test_a_list_says_how_each_saga_ended_and_why(console):
    opened(console)
    for saga, ending, words in (
        (FAILED, "Failed", OUT_OF_STOCK),
        (SUCCEEDED, "Succeeded", "Order confirmed"),
        (CALLED_OFF, "Called off", "Cancelled by the shopper"),
        (STUCK, "Stuck", "1 consumer gave up"),
        (WITHOUT_CAUSATION, "Open", "Parcel scanned"),
    ):
        expect(console.order(saga["id"]).locator(".badge")).to_have_text(ending)
        expect(console.order(saga["id"])).to_contain_text(words)
    expect(console.order(CAUSE_NOT_KEPT["id"])).to_contain_text("at least 1 event")
    expect(console.page.get_by_text("6 shown, 6 orders read")).to_be_visible()


def test_a_shopper_is_told_of_no_failure_of_a_consumer(console):
    opened(console, who=SHOPPER)
    expect(console.order(STUCK["id"])).to_be_visible()
    assert console.page.get_by_text("gave up").count() == 0
    assert not console.page.get_by_role("link", name="Flow", exact=True).is_visible()
    console.order(STUCK["id"]).get_by_role("link").click()
    expect(console.events).to_have_count(1)
    assert console.page.get_by_text("make ").count() == 0


def test_filters_stand_in_the_address_and_stay_while_one_pages(console, site):
    # given more than a page of sagas
    site.timelines += [big(2, f"more-{number:04}") for number in range(400)]
    opened(console)

    # when she chooses an ending, and more
    console.page.get_by_role("link", name="Succeeded").click()
    console.page.get_by_text("More filters").click()
    console.page.get_by_label("Event type").fill("OrderCreated")
    console.page.get_by_label("Service").fill("orders")
    console.page.get_by_label("Slower than").fill("soon")
    console.page.get_by_role("button", name="Apply").click()
    assert "slowerThan" not in console.page.url
    console.page.get_by_label("Slower than").fill("0.001 s")
    console.page.get_by_label("Started from").fill("2026-11-26T12:00:00")
    console.page.get_by_role("button", name="Apply").click()

    # then the address has it all, and so has the question
    wanted = {"ending": "succeeded", "type": "OrderCreated", "service": "orders", "slowerThan": "1"}
    expect(console.page.get_by_role("list", name="Filters").get_by_role("listitem")).to_have_count(4)
    chosen = query_of(console.page.url)
    assert wanted.items() <= chosen.items()
    assert chosen["from"].endswith(":00:00.000Z")
    expect(console.page.locator(".read")).to_contain_text("50 shown")
    assert chosen.items() <= site.asked[-1][1].items() | {("limit", "")}

    # and on the next page too
    console.page.get_by_role("link", name="Older").click()
    expect(console.page.get_by_role("link", name="Newest")).to_be_visible()
    assert chosen.items() <= query_of(console.page.url).items()
    assert "cursor" in query_of(console.page.url)

    # until she leaves one out
    console.page.get_by_role("link", name="Without: Service: orders").click()
    expect(console.page.get_by_role("list", name="Filters").get_by_role("listitem")).to_have_count(3)
    assert "service" not in query_of(console.page.url)
    assert "cursor" not in query_of(console.page.url)


@pytest.mark.parametrize(
    "start", [FAILED["id"][:6], FAILED["events"][0]["traceId"][:12], "InventoryFai"], ids=["saga", "trace", "event"]
)
def test_the_beginning_of_an_id_that_one_saga_has_opens_it(console, start):
    opened(console)
    console.page.get_by_role("searchbox").fill(start)
    console.page.get_by_role("searchbox").press("Enter")
    expect(console.page.get_by_role("heading", level=1)).to_have_text(f"Order {FAILED['id']}")


def test_several_of_one_beginning_are_a_list_and_none_is_said(console, site):
    site.timelines += [big(2, f"alike-{number}") for number in range(3)] + [big(2, "S-2")]
    opened(console)

    def find(text):
        console.page.get_by_role("searchbox").fill(text)
        console.page.get_by_role("button", name="Find").click()

    find("alike-")
    expect(console.orders).to_have_count(3)
    assert query_of(console.page.url) == {"find": "alike-"}
    find("nothing-of-this")
    expect(console.page.locator(".empty")).to_contain_text("begins with nothing-of-this")
    # what is too short to look for is taken for a whole id
    find("S-2")
    expect(console.page.get_by_role("heading", level=1)).to_have_text("Order S-2")


# One saga


def test_a_failed_saga_is_explained(console):
    opened_saga(console, FAILED)
    expect(console.verdict).to_contain_text("Order cancelled")
    expect(console.verdict.locator(".badge")).to_have_text("Failed")
    expect(console.page.locator(".why")).to_have_text(OUT_OF_STOCK)
    expect(console.events.nth(2)).to_contain_text(OUT_OF_STOCK)
    expect(console.events.nth(1)).to_contain_text("2.19 s, usually 46 ms")
    expect(console.page.get_by_text("Not on any timeline: checkouts")).to_contain_text("make failed")


def test_what_gave_up_is_on_its_lane_under_its_event_with_the_way_to_send_it_again(console):
    opened_saga(console, STUCK)
    notice = console.page.locator(".gave-up")
    expect(notice.nth(1)).to_contain_text("✗ payment could not handle OrderCreated: ValidationError: no amount")
    expect(notice.nth(1)).to_contain_text("make redrive SERVICE=payment")
    expect(notice.nth(0)).to_contain_text("inventory could not handle OrderCreated: KeyError: 'sku'")
    expect(notice.nth(0)).to_contain_text("Sent again")
    expect(console.page.locator(".waits")).to_contain_text("Usually next: payment (46 ms)")
    expect(console.page.locator(".waits")).to_contain_text("inventory (22 ms)")
    expect(console.mark("Gave up on order created, payment")).to_be_visible()
    assert console.page.evaluate(CLOSEST)["edges"] == 2

    notice.nth(1).get_by_role("button", name="payment could not").click()
    expect(console.payload.get_by_label("Exception")).to_contain_text("Traceback")
    assert facts(console)["Cause"].startswith("Order created")


def test_causes_are_all_said_and_one_that_was_not_kept_is_said_to_be_missing(console):
    # two
    opened_saga(console, SUCCEEDED)
    console.events.nth(3).click()
    expect(console.payload.get_by_role("button", name="Payment succeeded")).to_be_visible()
    expect(console.payload.get_by_role("button", name="Inventory reserved")).to_be_visible()
    assert "inferred" in facts(console)["Cause"]
    assert console.page.evaluate(CLOSEST)["edges"] == 4
    # none, because it was the first
    console.events.nth(0).click()
    assert facts(console)["Cause"] == "none: the order began with it"
    # none, because a shopper asked for it
    console.open_saga(CALLED_OFF["id"])
    console.events.nth(4).click()
    assert facts(console)["Cause"] == "no event: it came from outside, as a request does"
    # one that is gone
    console.open_saga(CAUSE_NOT_KEPT["id"])
    expect(console.events.nth(0)).to_contain_text("its cause was not kept")
    console.events.nth(0).click()
    assert facts(console)["Cause"] == "not kept: long-gone"
    expect(console.page.locator(".note")).to_contain_text("more events than its summary is made of")


def test_where_no_event_says_what_led_to_it_their_order_is_drawn_faintly(console):
    opened_saga(console, WITHOUT_CAUSATION)
    expect(console.page.locator(".drawing .edge.then:not(.head)")).to_have_count(2)
    expect(console.page.get_by_text("no event says why")).to_be_visible()
    expect(console.events.nth(1)).to_contain_text("after the one before")


def test_a_fold_says_how_long_it_is(console):
    opened_saga(console, CALLED_OFF)
    expect(console.page.locator(".fold text")).to_have_text("2 h 5 min")


@pytest.mark.parametrize(("count", "width"), [(8, 800), (20, 1280), (40, 1000), (40, 1920)])
def test_edges_keep_clear_of_marks_that_are_not_theirs(console, site, count, width):
    console.page.set_viewport_size({"width": width, "height": 900})
    site.timelines = [big(count, f"drawn-{seed}", seed=seed) for seed in range(3)]
    opened_saga(console, site.timelines[0])
    for saga in site.timelines:
        console.open_saga(saga["id"])
        expect(console.marks).to_have_count(count)
        drawn = console.page.evaluate(CLOSEST)
        assert drawn["edges"] == count - 1
        assert drawn["hits"] == []


def test_the_payload_stands_beside_the_picture_and_one_goes_on_by_key(console):
    opened_saga(console, FAILED)
    press = console.page.keyboard.press
    console.mark("Order created").focus()
    press("Enter")

    # then it is beside, and the address is the event's
    expect(console.payload).to_be_visible()
    panel, picture = console.payload.bounding_box(), console.page.locator(".drawing").bounding_box()
    assert panel["x"] >= picture["x"] + picture["width"]
    assert console.page.url.endswith(f"/{FAILED['id']}/OrderCreated")

    # when she goes on
    press("ArrowRight")
    press("ArrowRight")
    expect(console.payload.get_by_role("heading", level=2)).to_have_text("Inventory failed")
    assert console.page.url.endswith("/InventoryFailed")
    press("ArrowLeft")
    expect(console.payload.get_by_role("heading", level=2)).to_have_text("Payment succeeded")
    console.payload.get_by_role("button", name="Next").click()
    expect(console.payload).to_contain_text("3 of 5")

    # and along the marks the payload follows
    console.mark("Payment refunded").focus()
    expect(console.payload.get_by_role("heading", level=2)).to_have_text("Payment refunded")
    press("Escape")
    expect(console.payload).to_be_hidden()
    assert console.focused.startswith("Payment refunded")
    assert console.page.url.endswith(f"/{FAILED['id']}")

    # an event's address opens it
    console.open(f"#/sagas/{FAILED['id']}/InventoryFailed")
    expect(console.payload.get_by_role("heading", level=2)).to_have_text("Inventory failed")


def test_a_saga_is_copied_as_link_json_paragraph_and_an_event_as_command(console):
    opened_saga(console, FAILED)

    def copied(name):
        console.page.get_by_role("button", name=name).click()
        expect(console.page.locator("#announcer")).to_have_text(name.replace("Copy", "Copied"))
        return console.page.evaluate("navigator.clipboard.readText()")

    assert copied("Copy link to this order") == f"{console.url}#/sagas/{FAILED['id']}"
    assert json.loads(copied("Copy this order as JSON")) == FAILED
    paragraph = copied("Copy paragraph for the incident's log")
    assert f"Order {FAILED['id']}, started 2026-11-26 13:00:50 UTC: failed" in paragraph
    assert f"Reason: {OUT_OF_STOCK}." in paragraph
    assert "Payment refunded (payment, +2.34 s)" in paragraph
    console.events.nth(2).click()
    command = copied("Copy Command that would say it again, to every consumer, with what is kept of it")
    start = "aws events put-events --entries '"
    assert command.startswith(start)
    [entry] = json.loads(command.removeprefix(start).removesuffix("'"))
    assert entry["EventBusName"] == "eventflow"
    assert (entry["Source"], entry["DetailType"]) == ("eventflow.inventory", "InventoryFailed")
    assert json.loads(entry["Detail"]) == FAILED["events"][2]["detail"]


def test_many_events_are_a_row_each_to_be_filtered_and_zoomed(console, site):
    site.timelines = [saga := big(120)]
    opened_saga(console, saga)
    rows = console.page.get_by_role("list", name="Events").get_by_role("listitem")
    expect(rows).to_have_count(120)
    assert not console.page.locator(".drawing").is_visible()

    # services and failures
    fraud = sum(event["lane"] == "fraud" for event in saga["events"])
    console.page.get_by_role("button", name="fraud").and_(console.page.locator(".toggle")).click()
    expect(rows).to_have_count(120 - fraud)
    console.page.get_by_role("button", name="fraud").and_(console.page.locator(".toggle")).click()
    console.page.get_by_role("button", name="Failures only").click()
    expect(rows).to_have_count(sum(event["role"] == "failure" for event in saga["events"]))
    console.page.get_by_role("button", name="Failures only").click()

    # zoom
    console.page.get_by_role("button", name="Zoom in").click()
    expect(console.page.get_by_text("of 120 events")).to_be_visible()
    assert rows.count() < 120
    console.page.get_by_role("button", name="Earlier").click()
    expect(rows.first).to_contain_text("Order created")
    console.page.get_by_role("button", name="Whole", exact=True).click()
    expect(rows).to_have_count(120)

    # dragging over the axis shows that stretch
    axis = console.page.locator(".axis").bounding_box()
    console.page.mouse.move(axis["x"] + axis["width"] * 0.7, axis["y"] + 10)
    console.page.mouse.down()
    console.page.mouse.move(axis["x"] + axis["width"] * 0.95, axis["y"] + 10)
    console.page.mouse.up()
    expect(console.page.get_by_text("of 120 events")).to_be_visible()
    assert rows.first.inner_text().startswith("Order created") is False
    console.page.get_by_role("button", name="Whole", exact=True).click()

    # by keyboard the rows are one stop
    console.events.first.focus()
    console.page.keyboard.press("ArrowDown")
    console.page.keyboard.press("Enter")
    expect(console.payload).to_contain_text("2 of 120")
    expect(console.page.locator(".events button[tabindex='0']")).to_have_count(1)


def test_drawing_500_events_takes_a_few_times_what_50_take(console):
    opened(console)
    expect(console.orders.first).to_be_visible()
    few, many = (console.page.evaluate(TIME_TO_DRAW, big(count)["events"]) for count in (50, 500))
    print(f"50 events: {few:.0f} ms, 500 events: {many:.0f} ms")
    assert many < 5 * few + 50
    # and then all of them are there
    expect(console.page.locator(".events .what").nth(499)).to_be_attached()
    console.page.reload()
    expect(console.orders.first).to_be_visible()


# Flow


def test_each_number_of_the_flow_leads_to_the_sagas_behind_it(console):
    opened(console, "#/flow")
    page = console.page
    expect(page.locator(".about")).to_contain_text("2,000 orders, from")
    expect(page.locator(".about")).to_contain_text("the newest, there are more")
    window = {"from": made_up.WINDOW["from"], "to": made_up.iso(3_600_001)}  # whose newest is in it

    def leads_to(locator):
        return query_of("http://console/" + locator.first.get_attribute("href"))

    endings = page.get_by_role("list", name="Endings")
    assert leads_to(endings.get_by_role("link", name="140")) == {**window, "ending": "failed"}
    durations = page.get_by_role("list", name="Duration")
    assert leads_to(durations.get_by_role("link", name="410 ms")) == {**window, "slowerThan": "410"}
    on_map = page.get_by_role("group", name="Map of event types")
    node = on_map.get_by_role("link", name="Inventory failed, inventory: 140 orders, 7 %")
    assert leads_to(node) == {**window, "type": "InventoryFailed", "service": "inventory"}
    edge = on_map.get_by_role("link", name="Order created to payment succeeded: 1,982, 99.1 %, p50 46 ms, p95 120 ms")
    assert leads_to(edge) == {**window, "edge": "OrderCreated>PaymentSucceeded"}
    stops = on_map.get_by_role("link", name="18 orders stop at Order created")
    assert leads_to(stops) == {**window, "lastType": "OrderCreated", "status": "open"}
    row = page.get_by_role("row", name="Succeeded Order created, payment succeeded")
    assert leads_to(row.get_by_role("link", name="1,842")) == {**window, "variant": USUAL["key"]}
    assert leads_to(row.get_by_role("link", name="18")) == {**window, "variant": USUAL["key"], "slowerThan": "920"}
    expect(row).to_contain_text("92.1 %")
    refused = page.get_by_role("row", name="inventory failed, order cancelled")
    assert leads_to(refused.get_by_role("link", name="140")) == {**window, "variant": REFUSED["key"]}
    for table in ("Throughput of orders as a table", "Duration as a table", "Event types as a table"):
        page.get_by_text(table).click()
    minute = page.get_by_role("region", name="Throughput of orders").get_by_role("row").nth(1).get_by_role("link")
    assert leads_to(minute) == {"from": made_up.iso(0), "to": made_up.iso(60_000)}
    bucket = page.get_by_role("region", name="Duration", exact=True).get_by_role("row").nth(7).get_by_role("link")
    assert leads_to(bucket) == {**window, "slowerThan": "63", "fasterThan": "128"}
    found = page.locator(".found").get_by_role("link")
    assert found.evaluate_all("(all) => all.map((each) => each.hash)") == [
        f"#/sagas/{saga['id']}" for saga in (STUCK, STUCK, FAILED)
    ]


def test_no_edge_of_the_map_runs_through_a_node(console):
    opened(console, "#/flow")
    expect(console.page.locator(".flow-edge")).to_have_count(len(made_up.WINDOW["edges"]))
    through = console.page.evaluate("""() => {
      const nodes = [...document.querySelectorAll(".flow-node rect")].map((node) => node.getBBox());
      return [...document.querySelectorAll(".flow-edge")].filter((edge) => {
        const length = edge.getTotalLength();
        return Array.from({ length: 200 }, (_, at) => edge.getPointAtLength((at / 200) * length)).some(({ x, y }) =>
          nodes.some((box) => x > box.x + 2 && x < box.x + box.width - 2 && y > box.y && y < box.y + box.height));
      }).length;
    }""")
    assert through == 0


def test_two_windows_stand_side_by_side(console, site):
    opened(console, "#/flow")
    console.page.get_by_text("Window and comparison").click()
    console.page.get_by_label("Window from").fill("2026-11-26T13:00:00")
    console.page.get_by_label("Window to").fill("2026-11-26T14:00:00")
    console.page.get_by_role("button", name="The time just before").click()
    console.page.get_by_role("button", name="Read", exact=True).click()
    expect(console.page.locator(".about")).to_contain_text("Compared with 1,900 orders")
    asked = site.asked[-1][1]
    assert asked["againstTo"] == asked["from"]
    paths = console.page.get_by_role("region", name="Paths, before and now")
    expect(paths.get_by_role("row").nth(1)).to_contain_text("rarer")
    expect(paths.get_by_role("row").nth(3)).to_contain_text("new")
    steps = console.page.get_by_role("region", name="Steps, before and now")
    expect(steps.get_by_role("row").nth(1)).to_contain_text("slower")


# Who one is, and what a saga is called


def test_a_link_opened_in_a_new_tab_shows_the_saga_while_another_tab_is_signed_in(console):
    # given a tab that is signed in
    opened(console)
    expect(console.order(FAILED["id"])).to_be_visible()

    # when a link is opened in another
    other = Console(console.page.context.new_page(), console.url)
    other.open_saga(FAILED["id"])
    # then it shows the saga
    expect(other.verdict).to_contain_text("Order cancelled")
    assert other.complaints == []
    # and nothing outlasts the browser
    assert other.page.evaluate("localStorage.length + document.cookie.length") == 0

    # when one signs out, then both are
    other.page.get_by_role("button", name="Sign out").click()
    expect(other.page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(console.page.get_by_text("You have signed out in another tab.")).to_be_visible()
    assert console.page.evaluate("sessionStorage.length") == 0
    # and a new one asks who it is
    third = Console(console.page.context.new_page(), console.url)
    third.open_saga(FAILED["id"])
    expect(third.page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_saga_is_called_what_the_bus_calls_it(browser):
    with served(Answers(noun="delivery")) as site:
        console = Console(browser.new_context().new_page(), site.url)
        opened(console)
        expect(console.page.get_by_role("heading", level=1)).to_have_text("Deliveries")
        expect(console.page.get_by_text("6 deliveries read")).to_be_visible()
        console.open_saga("S-1")
        expect(console.page.get_by_role("heading", level=1)).to_have_text("Delivery S-1")
        body = console.page.locator("body").inner_text()
        assert "order" not in body.replace("in this order", "").lower()
        console.page.context.close()


# For everyone


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "dark"), (1920, "light")])
def test_axe_finds_nothing(browser, site, width, scheme):
    site.timelines.append(big(60))
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    console = Console(context.new_page(), site.url)

    def look(at):
        violations = Axe().run(console.page).response["violations"]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == [], at
        assert console.flaws == [], at

    console.open()
    expect(console.page.get_by_role("button", name="Sign in")).to_be_visible()
    look("signing in")
    console.sign_in_as(OPERATOR, PASSWORD)
    expect(console.order(STUCK["id"])).to_be_visible()
    console.page.get_by_text("More filters").click()
    look("the list")
    for saga in (STUCK, site.timelines[-1]):
        console.open_saga(saga["id"])
        console.events.nth(1).click()
        expect(console.payload).to_be_visible()
        look(f"a saga of {saga['eventCount']}")
    console.open("#/flow?againstFrom=2026-11-26T12:00:00Z&againstTo=2026-11-26T13:00:00Z")
    expect(console.page.get_by_role("heading", name="Unusual")).to_be_visible()
    look("flow")
    context.close()
    assert console.complaints == []
