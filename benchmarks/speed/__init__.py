"""How fast functions start, and what an invocation costs, beside bare boto3: `make bench`."""
