"""Which metric an alarm watches."""

from types import FunctionType
from typing import Any

from ministack.services import cloudwatch

Json = dict[str, Any]


def watch_an_alarms_own_metric() -> None:
    """A metric is a name with its dimensions, and an alarm watches the one that has exactly its own (CloudWatch User
    Guide, "CloudWatch concepts"). The emulator looks only at the name: a function that fails in one stack would set off
    the alarms of every other stack.
    """
    evaluate = cloudwatch._evaluate_alarm
    assert isinstance(evaluate, FunctionType)
    assert evaluate.__closure__ is None, "all that it uses are arguments and globals"

    def evaluate_alarm(alarm: Json) -> None:
        own = cloudwatch._dims_key(cloudwatch._dims_from_list(alarm.get("Dimensions", [])))
        metrics = {key: points for key, points in cloudwatch._metrics.items() if key[2] == own}
        # the emulator's own evaluation, which sees no other metrics
        FunctionType(evaluate.__code__, {**vars(cloudwatch), "_metrics": metrics})(alarm)

    cloudwatch._evaluate_alarm = evaluate_alarm
