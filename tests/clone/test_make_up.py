"""`make up` and the README as a newcomer meets them: in a clone of their own, in a folder with a space in its name."""

import base64
import json
import re
import socket

from samtranslator.yaml_helper import yaml_parse

from local.cloud import ROOT

from .clones import env_of, errors, free_port, run

WRAPPERS = r"""
set -euo pipefail
git() { mkdir -p eventflow; }                   # the clone is here already
cd() { :; }
sam() {
  case "$*" in
    *--tail*) command sam "$@" & sleep 4; kill $!; wait $! || true ;;  # it follows until it is stopped
    *timeline*--guided*) printf '%s\n' "$TIMELINE_ANSWERS" | command sam "$@" ;;
    *--guided*) printf '%s\n' "$ANSWERS" | command sam "$@" ;;
    *) command sam "$@" ;;
  esac
}
make() { case "$1" in test | lint) echo "make $1 is what runs this" ;; *) command make "$@" ;; esac; }
"""
"""What the README's commands cannot be in a test: endless, asked questions of, or the test itself."""


def answers(template: str, stack_name: str) -> str:
    """To `sam deploy --guided`: another stack name, otherwise what it proposes."""
    parameters = yaml_parse((ROOT / template).read_text())["Parameters"]
    region, roles_and_rollback, where_to_save = [""], ["", ""], ["", "", ""]
    confirmation = ["n"]
    return "\n".join([stack_name, *region, *[""] * len(parameters), *confirmation, *roles_and_rollback, *where_to_save])


ANSWERS = {
    "ANSWERS": answers("template.yaml", "guided"),
    "TIMELINE_ANSWERS": answers("timeline/template.yaml", "guided-timeline"),
}


def commands_of_the_readme() -> str:
    blocks = re.findall(r"^```bash\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return "\n".join(f"echo '=== block {number}'\n{block}" for number, block in enumerate(blocks))


def test_the_readme_does_what_it_says(running):
    # when its commands are run, one after the other; `make up` being the second, which updates what runs
    finished = run(running, WRAPPERS + commands_of_the_readme(), seconds=360, **ANSWERS)
    # and what they deployed a second time is not left for others to meet
    gone = run(running, ". .local/env && sam delete --no-prompts --stack-name guided-timeline")

    # then each does
    assert finished.returncode == 0, (finished.stdout + finished.stderr)[-3000:]
    assert gone.returncode == 0, gone.stderr
    said = finished.stdout
    assert re.search(r"CONFIRMED.*PAYMENT_FAILED|PAYMENT_FAILED.*CONFIRMED", said, re.DOTALL)
    assert '"status": "PENDING"' in said
    assert '"status": 404' in said
    assert '"status": "CANCELLED"' in said
    assert "`$.detail.quantity`" in said  # why the broken event was not taken
    assert "Successfully created/updated stack - fraud-detection" in said
    assert "Successfully created/updated stack - guided" in said
    assert "Successfully created/updated stack - guided-timeline" in said
    assert re.search(r"^S-1\nsucceeded \(ParcelDelivered", said, re.MULTILINE)


def test_make_up_leaves_what_a_shell_needs(running):
    variables = run(running, ". .local/env && env").stdout

    for name in (
        *("API_URL", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"),
        *("STACK_NAME", "SHOPPER_TOKEN", "OTHER_SHOPPER_TOKEN", "OPERATOR_TOKEN", "DEMO_PRODUCT"),
        *("AWS_ENDPOINT_URL_XRAY", "SHOPPER_EMAIL", "SHOPPER_PASSWORD", "OPERATOR_EMAIL", "OPERATOR_PASSWORD"),
    ):
        assert re.search(rf"^{name}=.+", variables, re.MULTILINE), f"{name} is not in .local/env"
    assert (running / ".local" / "env").stat().st_mode & 0o077 == 0


def test_the_timeline_comes_with_it_and_goes_when_it_is_off(running):
    # given it is on: its console answers, and it shows the demo's orders, here and over HTTP
    newest = '"$TIMELINE_API_URL/timelines?limit=1" -H "Authorization: $OPERATOR_TOKEN"'
    there = run(running, f'. .local/env && curl -sf "$CONSOLE_URL" && curl -sf {newest}')
    assert there.returncode == 0, there.stderr
    (order_id,) = re.findall(r'"items":\[\{"id":"([^"]+)"', there.stdout)
    drawn = run(running, f"make timeline ORDER={order_id}")
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.startswith(f"{order_id}\n")
    assert "OrderCreated" in drawn.stdout

    # and where it is, and how to sign in there, can be asked for again
    asked = run(running, "make console", seconds=60)
    known = env_of(running)
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith(f"{known['CONSOLE_URL']}\n")
    assert f"sign in as {known['OPERATOR_EMAIL']}, password {known['OPERATOR_PASSWORD']}" in asked.stdout

    # when
    off = run(running, "make up TIMELINE=off")

    # then it is gone, also for a shell that knew it
    assert off.returncode == 0, off.stderr
    assert "Take the timeline away" in off.stdout
    gone = run(
        running, '. .local/env && echo "at <$CONSOLE_URL$TIMELINE_API_URL>"', CONSOLE_URL="x", TIMELINE_API_URL="x"
    )
    assert gone.stdout == "at <>\n"
    (error,) = errors(run(running, f"make timeline ORDER={order_id}"))
    assert error.startswith("error: no timeline listens to the bus of eventflow")
    (error,) = errors(run(running, "make console"))
    assert error == "error: no timeline listens to the bus of eventflow: make up"


def expiry(token: str) -> int:
    payload = token.split(".")[1]
    return int(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["exp"])


def test_make_token_renews_the_tokens_and_nothing_else(running):
    # given
    tokens = ("SHOPPER_TOKEN", "OTHER_SHOPPER_TOKEN", "OPERATOR_TOKEN")
    before = env_of(running)
    look = """. .local/env && curl -sf "$API_URL/orders?limit=100" -H "Authorization: $SHOPPER_TOKEN" &&
      curl -sf "$API_URL/orders?limit=100" -H "Authorization: $OTHER_SHOPPER_TOKEN" &&
      python3 -c 'import glob, os; print({it: os.stat(it).st_mtime_ns for it in glob.glob(".local/sam-*.log")})'"""
    seen = run(running, look)
    assert seen.returncode == 0, seen.stderr

    # when
    renewed = run(running, "make token", seconds=30)

    # then each token lasts longer than before, and works
    assert renewed.returncode == 0, renewed.stderr
    after = env_of(running)
    assert all(expiry(after[name]) > expiry(before[name]) for name in tokens)
    # and nothing was ordered or deployed
    assert run(running, look).stdout == seen.stdout
    # and the rest of it is as it was: passwords, too, which someone may have in use at the console
    assert {name for name in after if after[name] != before.get(name)} == set(tokens)
    assert after.keys() == before.keys()
    assert (running / ".local" / "env").stat().st_mode & 0o077 == 0
    assert f"password {after['OPERATOR_PASSWORD']}" in renewed.stdout or "CONSOLE_URL" not in after


def test_where_nothing_runs_make_token_says_what_to_do(clone):
    finished = run(clone, "make token", seconds=30)

    assert finished.returncode != 0
    assert errors(finished) == ["error: EventFlow does not run here: make up"]
    assert not (clone / ".local").exists()


def test_a_template_that_is_broken_later_does_not_take_down_what_runs(running):
    # given
    template = running / "template.yaml"
    sound = template.read_text()
    template.write_text("Resources: {Nothing: {Type: AWS::No::Such}}\n")

    # when
    broken = run(running, "make up")
    template.write_text(sound)

    # then
    assert broken.returncode != 0
    (error,) = errors(broken)
    assert error.startswith("error: ")
    assert "keeps running" in error
    still = run(running, '. .local/env && curl -sf "$API_URL/orders" -H "Authorization: $SHOPPER_TOKEN"')
    assert still.returncode == 0


def test_down_leaves_nothing(clone):
    # given a cloud that runs
    port = free_port()
    start = f"PYTHONPATH=. .venvs/dev/bin/python -c 'from local.cloud import *; Cloud(STATE, {port}).start()'"
    assert run(clone, f"mkdir .local && {start}").returncode == 0
    answers = f"curl -s http://127.0.0.1:{port}/_ministack/ready"
    assert run(clone, answers).returncode == 0

    # when
    assert run(clone, "make down").returncode == 0

    # then
    assert run(clone, answers).returncode != 0
    assert not (clone / ".local").exists()


def test_a_taken_port_is_one_clear_line_and_leaves_nothing(clone):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        finished = run(clone, f"make up PORT={port}")

    assert finished.returncode != 0
    (error,) = errors(finished)
    assert f"port {port} is not free" in error
    assert not (clone / ".local" / "emulator.pid").exists()


def test_a_timeline_neither_on_nor_off_is_one_clear_line_and_starts_nothing(clone):
    finished = run(clone, f"make up PORT={free_port()} TIMELINE=maybe")

    assert finished.returncode != 0
    assert errors(finished) == ["error: TIMELINE is on or off, not 'maybe'"]
    assert not (clone / ".local").exists()


def test_a_broken_template_is_one_clear_line_and_leaves_nothing_running(clone):
    # given
    port = free_port()
    (clone / "template.yaml").write_text("Resources: [this is no template\n")

    # when
    finished = run(clone, f"make up PORT={port}")

    # then
    assert finished.returncode != 0
    (error,) = errors(finished)
    assert error.startswith("error: sam build failed: ")
    assert run(clone, f"curl -s http://127.0.0.1:{port}/_ministack/ready").returncode != 0


def test_a_wrong_python_is_one_clear_line(clone):
    # given a clone with no environment yet, and a python that is too old
    (clone / ".venvs").unlink()
    old = clone / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)

    # when
    finished = run(clone, "make up PYTHON=./old-python")

    # then
    assert finished.returncode != 0
    (error,) = errors(finished)
    assert "is no Python 3.11, 3.12 or 3.13; name one: make up PYTHON=" in error
    assert not (clone / ".venvs").exists()
