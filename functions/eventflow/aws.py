"""AWS clients that start fast: botocore, with what it knows of AWS cut down to what is called here.

To make a client, botocore looks through the folders of 400 services, and reads megabytes that describe them; that
takes longer than all code of ours. `models/`, which `ops.models` cuts out of botocore's own data, comes first here.
What is not in there (how regions get their endpoints, when to try again) botocore reads from its own data, which AWS
keeps up to date.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.loaders import Loader

MODELS = Path(__file__).with_name("models")


class _Models(Loader):
    def __init__(self) -> None:
        super().__init__(extra_search_paths=[str(MODELS)])

    def list_available_services(self, type_name: str) -> list[str]:
        """Those of `models/`. (botocore reads its 400 folders for this, and again for each client.)"""
        return sorted(path.name for path in MODELS.iterdir() if path.is_dir())


# botocore would put together what it says of itself and of its machine twice for each request: a tenth of a call's CPU.
SAYS_WHO = Config(user_agent=f"EventFlow Botocore/{botocore.__version__}")

_session = botocore.session.Session()
_session.register_component("data_loader", _Models())


def client(service: str, config: Config | None = None) -> Any:
    """A client of `service` that has the operations in `models/` and no others: see `ops.models` for one more.

    Raises botocore's UnknownServiceError. Without boto3, which this needs nothing of, and which is slow to import.
    """
    return _session.create_client(service, config=SAYS_WHO.merge(config) if config else SAYS_WHO)
