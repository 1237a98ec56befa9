"""EventFlow's embedded cloud: the same template.yaml, on one machine, with no AWS account and no Docker."""
