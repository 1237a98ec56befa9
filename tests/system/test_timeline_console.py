"""The timeline console in a real browser: watched while an order runs, by keyboard, on a phone, under attack."""

import json
import uuid
from urllib.parse import parse_qs, urlsplit

import pytest

from orders.orders import order_id_for

from .console import Console
from .test_timeline import CONFIRMED, DECLINED

DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


@pytest.fixture
def console(browser, timeline, request, tmp_path):
    """A tab of its own. What goes wrong in it is to be seen in a picture; whatever the browser objects to is wrong."""
    tab = browser.new_context(viewport=DESKTOP).new_page()
    console, failed_before = Console(tab, timeline.stack.outputs["ConsoleUrl"]), request.session.testsfailed
    yield console
    if request.session.testsfailed > failed_before:
        tab.screenshot(path=tmp_path / "as-it-was.png", full_page=True)
        print(f"how it looked: {tmp_path / 'as-it-was.png'}")
    flaws = console.flaws
    tab.context.close()
    assert console.complaints == []
    assert flaws == []


def expect(locator):
    from playwright.sync_api import expect

    return expect(locator)


def test_an_order_is_watched_live_until_it_is_confirmed(shop, timeline, console):
    # given a shopper who mistypes her password once, on her way to an order that she has not placed yet
    shopper, key, product = shop.people.shopper, shop.key(), shop.stocked(5)
    order = order_id_for(shopper.sub, key)
    console.open_saga(order)
    console.sign_in(shopper, "not hers")
    expect(console.alert).to_have_text("Incorrect username or password.")
    assert console.flaws == []
    console.sign_in(shopper)
    expect(console.page.get_by_text(shopper.username)).to_be_visible()
    expect(console.page.get_by_text("There is no order of this id")).to_be_visible()
    console.page.evaluate("window.asItWas = true")

    # when she places it
    assert shop.call("POST", "/orders", {"productId": product, "quantity": 1}, key=key).body["orderId"] == order

    # then it is there, and goes on until its end, before her eyes and in her ears
    expect(console.verdict).to_contain_text("Order confirmed")
    expect(console.page.get_by_role("heading", level=1)).to_have_text(f"Order {order}")
    expect(console.events).to_have_count(4)
    expect(console.marks).to_have_count(4)
    assert "Order confirmed" in console.page.title()
    assert console.flaws == []

    # and in the list, whose newest it is, another appears
    console.page.get_by_role("link", name="Orders", exact=False).first.click()
    expect(console.order(order)).to_contain_text("Order confirmed")
    another = shop.place(product)
    expect(console.order(another)).to_contain_text("Order confirmed")
    expect(console.orders.first).to_contain_text(another)
    assert console.page.evaluate("window.asItWas"), "the page was loaded again"

    # someone else's she cannot open
    other = shop.people.other_shopper
    theirs = shop.call("POST", "/orders", {"productId": product, "quantity": 1}, by=other, key=shop.key(by=other))
    timeline.until_told(theirs.body["orderId"], *CONFIRMED)
    console.page.get_by_role("searchbox").fill(theirs.body["orderId"])
    console.page.get_by_role("button", name="Find").click()
    expect(console.page.get_by_text("There is no order that you may see")).to_be_visible()

    # and once she has signed out, the tab knows nothing of her
    console.page.get_by_role("button", name="Sign out").click()
    expect(console.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert console.page.evaluate("sessionStorage.length + localStorage.length + document.cookie.length") == 0


def test_an_order_that_was_called_off_is_explored_by_keyboard(shop, timeline, console):
    # given
    order = shop.place(shop.stocked(5), pays=False)
    told = timeline.until_told(order, *DECLINED)
    press = console.page.keyboard.press
    console.open("#/?ending=failed")
    expect(console.page.get_by_label("E-mail")).to_be_focused()
    console.page.keyboard.type(shop.people.shopper.username)
    press("Tab")
    console.page.keyboard.type(shop.people.shopper.password)
    press("Enter")
    expect(console.order(order)).to_contain_text("Order cancelled")
    assert console.flaws == []

    # when she goes to its row, and in
    for _ in range(80):
        press("Tab")
        if console.focused == order:
            break
    assert console.focused == order
    press("Enter")

    # then what was undone has a look of its own
    expect(console.verdict).to_contain_text("Order cancelled")
    for role, count in (("failure", 1), ("compensation", 2), ("outcome", 0), ("step", 2)):
        expect(console.marks.locator(f".icon.{role}")).to_have_count(count)
    expect(console.page.locator(".edge.critical")).not_to_have_count(0)

    # when she goes along the marks, which are one stop for the Tab key
    for _ in range(20):
        press("Tab")
        if console.focused.startswith("Order created"):
            break
    names = [console.focused]
    for _ in told["events"][1:]:
        press("ArrowRight")
        names.append(console.focused)
    # then they follow each other as the events did
    spelled = {"OrderCreated": "Order created", "InventoryReserved": "Inventory reserved"} | {
        "PaymentFailed": "Payment failed",
        "OrderCancelled": "Order cancelled",
        "InventoryReleased": "Inventory released",
    }
    assert [name.partition(",")[0] for name in names] == [spelled[event["type"]] for event in told["events"]]

    # when she opens one
    press("Home")
    press("Enter")
    # then it is all there
    expect(console.payload).to_be_visible()
    detail = json.loads(console.payload.get_by_label("Detail as JSON").inner_text())
    assert detail == told["events"][0]["detail"]
    link = console.payload.get_by_role("link", name="Open the trace").get_attribute("href")
    assert link.startswith("https://us-east-1.console.aws.amazon.com/")
    assert link.endswith(told["events"][0]["traceId"])
    assert told["events"][0]["eventId"] in console.payload.get_by_text("fields @timestamp").inner_text()
    assert console.flaws == []
    # and Escape leads back to where she was, and Back to the list, at its row
    press("Escape")
    expect(console.payload).to_have_count(0)
    assert console.focused.startswith("Order created")
    console.page.go_back()
    expect(console.order(order)).to_be_visible()
    assert "ending=failed" in console.page.url


def test_an_event_may_hold_anything_and_stays_text(timeline, console):
    # given a saga of events that mean harm, two of them under one id
    attack = "<script>document.title='pwned'</script><img src=x onerror=alert(1)>"
    saga = f'{uuid.uuid4()} "<b onclick=alert(1)>#?'
    metadata = {"correlationId": saga, "eventId": f"{uuid.uuid4()} {attack}"}
    led_to = {
        "correlationId": saga,
        "eventId": "constructor",
        "causationId": metadata["eventId"],
        "traceparent": attack,
    }
    about = {"orderId": saga, attack: attack, "link": "javascript:alert(1)", "__proto__": {"hidden": attack}}
    with timeline.attached_again(OnlySources="acme.") as foreign:
        foreign.put_event("acme.<img/src/onerror=alert(2)>", attack, {**about, "metadata": metadata})
        foreign.put_event("acme.javascript:alert(3)", "constructor", {**about, "metadata": led_to})
        foreign.put_event("acme.copyist", "__proto__", {**about, "metadata": metadata})
        foreign.until_told(saga, attack, "constructor", "__proto__")

        # when it is opened
        console.url = foreign.stack.outputs["ConsoleUrl"]
        console.open()
        console.sign_in(foreign.people.operator)
        console.order(saga).get_by_role("link").click()

        # then all of it is there, and is text
        expect(console.events).to_have_count(3)
        expect(console.marks).to_have_count(3)
        expect(console.page.get_by_role("heading", level=1)).to_have_text(f"Order {saga}")
        for event in console.events.all():
            event.click()
            shown = json.loads(console.payload.get_by_label("Detail as JSON").inner_text())
            assert about.items() <= shown.items()
            assert console.flaws == []
            console.payload.get_by_role("button", name="Close").click()
        assert console.page.locator("main script, main img, main b, [onclick], [onerror]").count() == 0
        assert console.page.title().endswith(f"order {saga} · {foreign.stack.event_bus}")


def test_a_session_is_renewed_and_where_it_cannot_be_one_comes_back_to_where_one_was(shop, timeline, console):
    # given someone who reads a list
    console.open("#/?ending=succeeded")
    console.sign_in(shop.people.operator)
    expect(console.orders.or_(console.page.locator(".empty")).first).to_be_visible()
    session = console.stored()

    # when the token is no longer good
    worn = {**session, "idToken": session["idToken"][:-20] + "A" * 20}
    console.store(worn)
    with console.page.expect_response(lambda answer: answer.status == 401):
        console.look_again()
    # then she gets another, and notices nothing
    expect(console.freshness).to_have_text("Live")
    console.page.wait_for_function(
        "(worn) => !sessionStorage.getItem(sessionStorage.key(0)).includes(worn)", arg=worn["idToken"]
    )
    assert console.alert.count() == 0

    # when it cannot be renewed either
    console.store({**worn, "refreshToken": "not one of ours"})
    console.look_again()
    # then she is told, and once she has signed in she is where she was
    expect(console.alert).to_contain_text("Your session has ended")
    assert console.flaws == []
    console.sign_in(shop.people.operator)
    expect(console.page.get_by_role("link", name="Succeeded")).to_have_attribute("aria-current", "page")
    assert "ending=succeeded" in console.page.url


def test_a_list_goes_on_where_a_page_ended_that_was_not_full_but_not_without_end(shop, timeline, console):
    # given an API that finds none of the sagas that are asked for in page 0, one in page 1, and none in any other
    asked = []

    def answer(route):
        page = int(parse_qs(urlsplit(route.request.url).query).get("cursor", ["0"])[0])
        asked.append(page)
        saga = {
            "id": "o-1",
            "status": "open",
            "ending": "open",
            "lastType": "OrderCreated",
            "durationMs": 1,
            "eventCount": 1,
        }
        times = dict.fromkeys(("started", "lastEvent"), "2030-01-01T00:00:00.000Z")
        route.fulfill(json={"items": [{**saga, **times}] if page == 1 else [], "nextCursor": str(page + 1)})

    console.page.route("**/timelines?*", answer)

    # when the list is opened
    console.open("#/?status=open")
    console.sign_in(shop.people.shopper)

    # then it has what is in the next pages, and stops after some
    expect(console.orders).to_have_count(1)
    assert asked[:5] == [0, 1, 2, 3, 4]
    # and leaves it to the reader to go on
    console.page.get_by_role("link", name="Older").click()
    expect(console.page.get_by_text("None among the newest")).to_be_visible()
    assert "cursor=5" in console.page.url
    assert set(asked) <= set(range(10))
    assert console.flaws == []


def test_on_a_phone_nothing_is_wider_than_the_screen(shop, timeline, console):
    # given
    order = shop.place(shop.stocked(5), pays=False)
    timeline.until_told(order, *DECLINED)
    console.page.set_viewport_size(PHONE)

    # then neither the way in, nor the list, nor an order, nor an event scrolls sideways (or has another flaw)
    console.open()
    expect(console.page.get_by_role("button", name="Sign in")).to_be_visible()
    assert console.flaws == []
    console.sign_in(shop.people.shopper)
    expect(console.order(order)).to_be_visible()
    assert console.flaws == []
    console.order(order).get_by_role("link").click()
    expect(console.verdict).to_contain_text("Order cancelled")
    expect(console.events).to_have_count(5)
    assert console.flaws == []
    console.events.nth(2).click()
    expect(console.payload).to_be_visible()
    assert console.flaws == []
    console.payload.get_by_role("button", name="Close").click()
    for width in (320, 720, 721):
        console.page.set_viewport_size({"width": width, "height": 844})
        assert console.flaws == []
