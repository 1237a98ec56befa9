"""The rollback drill: new code fails, the alias goes back to the version before, and nothing is lost.

What CodeDeploy does by itself on AWS (a tenth of the traffic, five minutes, back on an alarm) the emulator does not
know; what it moves, the alias by which everybody calls, is the same.
"""

import subprocess
import sys
from pathlib import Path

from .on_call import failed, redrive
from .waiting import eventually


def test_a_bad_deployment_is_rolled_back_by_the_alias_and_what_failed_meanwhile_is_redriven(shop):
    # given a version of payment that looks for a table which is not there
    lambdas, name = shop.cloud.client("lambda"), shop.resources["PaymentFunction"]
    before = lambdas.get_alias(FunctionName=name, Name="live")["FunctionVersion"]
    variables = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    product = shop.stocked(1)
    lambdas.update_function_configuration(
        FunctionName=name, Environment={"Variables": variables | {"PAYMENTS_TABLE": "renamed"}}
    )
    try:
        bad = lambdas.publish_version(FunctionName=name)["Version"]
        lambdas.update_alias(FunctionName=name, Name="live", FunctionVersion=bad)

        # when an order comes in
        order = shop.place(product)
        (event,) = eventually(lambda: failed(shop, "--order", order), len)
        assert event["consumer"] == "PaymentFunction"

        # and the person on call puts the alias back, as the runbook says
        aws = [str(Path(sys.executable).parent / "aws"), "lambda", "update-alias", "--function-name", name]
        subprocess.run([*aws, "--name", "live", "--function-version", before], env=shop.cloud.environment(), check=True)
    finally:
        lambdas.update_alias(FunctionName=name, Name="live", FunctionVersion=before)
        lambdas.update_function_configuration(FunctionName=name, Environment={"Variables": variables})

    # then the order ends once its event is sent again
    redrive(shop, "--order", order)
    shop.until(order, "CONFIRMED")
    assert failed(shop, "--order", order) == []
