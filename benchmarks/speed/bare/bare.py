"""The floor: a Lambda function that makes one boto3 client, and nothing else."""

import boto3

client = boto3.client("dynamodb")


def handler(event, context):
    return None
