"""The pages of docs/api/ open in a browser from the folder, without a server and without a network."""

import json

import pytest

from local.cloud import ROOT
from ops.pages import asyncapi_page

from .test_timeline_console import expect

API = ROOT / "docs" / "api"


@pytest.fixture
def opened(browser):
    """Opens a page of the folder; nothing else may be asked for, and nothing go wrong in it."""
    page, complaints = browser.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda it: it.url.startswith(("file:", "blob:", "data:")) or complaints.append(it.url))
    # Redoc has a logo of its makers, which our policy does not let it get
    page.on("requestfailed", lambda it: complaints.remove(it.url) if it.failure == "csp" else None)

    def open_(name):
        page.goto((API / name).as_uri())
        return page

    yield open_
    page.close()
    assert complaints == []


def test_the_apis_page_shows_every_route(opened):
    document = json.loads((API / "openapi.json").read_text())
    page = opened("openapi.html")

    for item in document["paths"].values():
        for method, operation in item.items():
            if method != "servers":
                expect(page.get_by_role("heading", name=operation["summary"]).first).to_be_visible()


def test_the_buss_page_shows_every_event_and_its_parser_has_nothing_against_the_document(opened):
    document = json.loads((API / "asyncapi.json").read_text())
    page = opened("asyncapi.html")

    for channel in document["channels"].values():
        # what any service may announce has no address of its own
        expect(page.get_by_text(channel["address"] or channel["title"], exact=True).first).to_be_visible()
    expect(page.get_by_text("Error: There are errors in your Asyncapi document")).to_have_count(0)


def test_the_buss_page_says_that_a_document_breaks_the_standard(opened, tmp_path):
    # given a document whose operation is on a channel that is none
    document = json.loads((API / "asyncapi.json").read_text())
    next(iter(document["operations"].values()))["channel"] = {"$ref": "#/info"}
    (tmp_path / "renderers").symlink_to(API / "renderers")
    (tmp_path / "asyncapi.html").write_text(asyncapi_page(document))

    # when, then
    page = opened(tmp_path / "asyncapi.html")
    expect(page.get_by_text("Error: There are errors in your Asyncapi document")).to_be_visible()
