"""Commands for the people who run EventFlow: the same on AWS and on the embedded cloud."""


class OpsError(Exception):
    """What went wrong and what to do about it, in one line for the person at the terminal."""
