"""`make load` drives a deployed stack, and its orders keep the saga's rules."""

import re
import subprocess
import sys
from xml.etree import ElementTree

from local.cloud import ROOT


def test_a_few_orders_a_second_are_all_accepted_and_keep_the_rules(shop, tmp_path):
    # when
    command = [sys.executable, "-m", "ops", "load", "--stack-name", shop.stack.name, "--rate", "3", "--seconds", "5"]
    run = subprocess.run(
        [*command, "--picture", str(tmp_path / "load.svg")],
        cwd=ROOT,
        env=shop.cloud.environment() | {"PYTHONPATH": "functions"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
    )

    # then
    assert run.returncode == 0, run.stdout + run.stderr
    assert "All rules of the saga hold for all 15 orders." in run.stdout
    assert re.search(r"^Accepted     15 of 15 orders", run.stdout, re.MULTILINE), run.stdout
    assert re.search(r"^Not accepted none$", run.stdout, re.MULTILINE), run.stdout
    assert re.search(r"^Saga         p50 [\d.]+", run.stdout, re.MULTILINE), run.stdout
    assert ElementTree.parse(tmp_path / "load.svg").getroot().tag.endswith("svg")
    # and nobody of the run is left, and no product
    cognito = shop.cloud.client("cognito-idp")
    users = cognito.list_users(UserPoolId=shop.stack.user_pool_id)["Users"]
    emails = [it["Value"] for user in users for it in user["Attributes"] if it["Name"] == "email"]
    assert not [email for email in emails if email.startswith("load-")]
    listed = shop.call("GET", "/products?limit=100", token="").body["items"]
    assert not [product for product in listed if product["productId"].startswith("load-")]
