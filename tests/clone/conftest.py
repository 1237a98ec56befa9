"""Each test file has a clone in which `make up` has been run; a test that breaks things takes another one."""

import pytest

from .clones import clone_into, free_port, run


@pytest.fixture
def clone(tmp_path):
    """The project as cloned, but for the virtual environments, which take a minute to make."""
    return clone_into(tmp_path)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A clone in which `make up` has been run."""
    clone = clone_into(tmp_path_factory.mktemp("running"))
    first = run(clone, f"make up PORT={free_port()}")
    assert first.returncode == 0, first.stderr
    yield clone
    run(clone, "make down")
