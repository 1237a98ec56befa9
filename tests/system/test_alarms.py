"""Every alarm goes off when its metric says so, and tells the topic.

The emulator looks at metrics that are put, and at no others. That AWS's services emit those that the alarms name is
held by tests/repository/test_operations.py.
"""

import json
from datetime import UTC, datetime, timedelta

from local.cloud import Cloud

from .waiting import eventually

OVER_QUERIES = {"UndeliveredAlarm", "UnkeptAlarm"}
"""The emulator takes these and does nothing with them."""


def test_every_alarm_goes_off_and_tells_the_topic(cloud, shop, timeline):
    # given
    cloudwatch, sqs = cloud.client("cloudwatch"), cloud.client("sqs")
    alarms = [
        alarm
        for stack in (shop.stack, timeline.stack)
        for page in cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{stack.name}-")
        for alarm in page["MetricAlarms"]
        if "MetricName" in alarm
    ]
    names = {alarm["AlarmName"] for alarm in alarms}
    templates = [name for name in shop.resources if name.endswith(("Alarm", "Errors"))]
    assert {shop.resources[name] for name in templates if name not in OVER_QUERIES} <= names

    # and nothing is wrong, and somebody listens to the topic
    for name in names:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test begins")
    url = listening(cloud, shop.stack.outputs["AlarmTopicArn"])

    # when each metric reaches what its alarm is set at, for as long as that asks
    now = datetime.now(UTC)
    for alarm in alarms:
        for minute in range(alarm["EvaluationPeriods"]):
            point = {
                "MetricName": alarm["MetricName"],
                "Dimensions": alarm["Dimensions"],
                "Timestamp": now - timedelta(minutes=minute),
                "Value": alarm["Threshold"],
            }
            cloudwatch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[point])

    # then
    def quiet() -> set[str]:
        pages = cloudwatch.get_paginator("describe_alarms").paginate(StateValue="ALARM")
        return names - {alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]}

    eventually(quiet, lambda names: not names)
    told: set[str] = set()

    def heard() -> set[str]:
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            told.add(json.loads(json.loads(message["Body"])["Message"])["AlarmName"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return told

    eventually(heard, lambda told: names <= told)


def listening(cloud: Cloud, topic: str) -> str:
    """A queue that the topic tells; returns its URL."""
    sqs = cloud.client("sqs")
    url = str(sqs.create_queue(QueueName="on-call")["QueueUrl"])
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url
