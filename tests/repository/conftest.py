"""What stands in the repository is read without network, credentials or cloud, as unit tests are run."""

from ..unit.conftest import db, first_layer_off, no_network, pytest_runtest_makereport

__all__ = ["db", "first_layer_off", "no_network", "pytest_runtest_makereport"]
