"""What `make sam-local` decides without Docker: whether it can run, what it runs, and whether that went well."""

import http.client
import http.server
import os
import socket
import sys
import tempfile
from pathlib import Path
from threading import Thread

import pytest
from samtranslator.yaml_helper import yaml_parse

from local import sam_local
from local.cloud import Cloud, CloudError
from local.docker import daemon, sam
from local.docker.daemon import Docker, NoDocker
from local.docker.doorway import doorway
from local.stack import build_dir

from ..sam_template import FUNCTIONS, ROOT, TEMPLATE, triggers

CONNECT = socket.socket.connect

linux = pytest.mark.skipif(sys.platform != "linux", reason="of Linux's tools and addresses")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ('{"errorMessage": "not yet", "errorType": "Busy", "requestId": "1", "stackTrace": []}', "Busy: not yet"),
        ("", "the function gave no answer"),  # it timed out, or its process died
        ('{"statusCode": 422, "body": "not sold: none"}', "it answered 422: not sold: none"),
        ("not JSON\n", "not JSON"),
    ],
)
def test_what_sam_ends_well_on_is_a_failure_where_the_function_failed(answer, reason):
    assert sam.failure(0, answer) == reason


def test_what_sam_cannot_do_is_a_failure_whatever_was_answered():
    assert sam.failure(1, "null") == "sam exited 1"


@pytest.mark.parametrize("answer", ["null\n", '{"statusCode": 201, "body": "{}"}', '{"batchItemFailures": []}', "[]"])
def test_an_answer_is_no_failure(answer):
    assert sam.failure(0, answer) is None


def test_samples_and_functions_exist_and_the_route_is_open():
    assert set(sam_local.FUNCTIONS) <= FUNCTIONS.keys()
    assert all((ROOT / event).exists() for _, event in sam_local.INVOKED)
    routes = [
        route
        for route in triggers("CatalogApiFunction", "Api").values()
        if (route["Method"], route["Path"]) == ("GET", sam_local.OPEN_ROUTE)
    ]
    assert [route["Auth"] for route in routes] == [{"Authorizer": "NONE"}]


def test_every_function_declares_what_it_is_given_since_sam_passes_on_nothing_else(tmp_path):
    # given
    cloud = Cloud(tmp_path, 4566)
    build_dir(cloud).mkdir(parents=True)
    (build_dir(cloud) / "template.yaml").write_text((ROOT / "template.yaml").read_text())

    # when
    declaring = sam._template(cloud)

    # then it is the built template with that added, and is where relative paths reach the code
    assert declaring.parent == build_dir(cloud)
    template = yaml_parse(declaring.read_text())
    variables = template["Globals"]["Function"]["Environment"]["Variables"]
    assert {name: variables.pop(name) for name in sam.GIVEN} == dict.fromkeys(sam.GIVEN, "")
    assert template == TEMPLATE


@linux
def test_a_doorway_leads_in_while_it_lasts(monkeypatch):
    monkeypatch.setattr(socket.socket, "connect", CONNECT)  # to this machine's own addresses

    class Cloud(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body[::-1])

        def log_message(self, *_: object) -> None:
            pass

    inside = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cloud)
    Thread(target=inside.serve_forever, daemon=True).start()
    body = os.urandom(300_000)
    with doorway("127.0.0.2", inside.server_port) as url:
        host = url.removeprefix("http://")
        for _ in range(2):
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("POST", "/", body)
            assert connection.getresponse().read() == body[::-1]
        assert host.startswith("127.0.0.2:"), "and not on any other address"
    with pytest.raises(ConnectionRefusedError):
        http.client.HTTPConnection(host, timeout=10).connect()
    inside.shutdown()
    inside.server_close()


def test_where_the_bridge_is_in_a_virtual_machine_docker_leads_in():
    with doorway("198.51.100.250", 4566) as url:
        assert url == "http://host.docker.internal:4566"


@pytest.fixture
def no_docker(monkeypatch):
    def that_runs() -> Docker:
        raise NoDocker("Docker does not answer")

    monkeypatch.setattr(daemon, "that_runs", that_runs)


@pytest.mark.usefixtures("no_docker")
def test_without_docker_it_is_an_error_that_says_what_to_do():
    with pytest.raises(CloudError, match=r"Docker does not answer\. Start Docker; or use `make invoke`"):
        sam_local.sam_local(unpack=False)


@linux
@pytest.mark.usefixtures("no_docker")
def test_where_none_can_be_unpacked_it_is_skipped_and_says_why(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert sam_local.sam_local(unpack=True)
    assert capsys.readouterr().out == "sam local: skipped, because only root can start a Docker daemon\n"


def test_a_docker_that_does_not_answer_is_none(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoDocker, match="there is no `docker` on this machine"):
        daemon.that_runs()


@pytest.mark.parametrize(
    ("subnets", "bridge"),
    [
        ('[{"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}]', "172.17.0.1"),
        ('[{"Gateway": "fd00::1"}, {"Gateway": "172.17.0.1"}]', "172.17.0.1"),
        ('[{"Subnet": "172.17.0.0/16"}]', None),  # and to listen on "" were to listen everywhere
    ],
)
def test_the_bridge_is_where_containers_find_this_machine(monkeypatch, tmp_path, subnets, bridge):
    docker = tmp_path / "docker"
    docker.write_text(f'#!/bin/sh\necho \'[{{"IPAM": {{"Config": {subnets}}}}}]\'\n')
    docker.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("DOCKER_HOST", "unix:///somewhere")
    if bridge:
        assert daemon.that_runs() == Docker({"DOCKER_HOST": "unix:///somewhere"}, bridge)
    else:
        with pytest.raises(NoDocker, match="no address"):
            daemon.that_runs()


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """A Debian of stand-ins, and root there: `debian(name, script)` gives it a tool, or a package a binary."""
    tools, packaged = tmp_path / "tools", tmp_path / "packaged"
    for folder in (tools, packaged, tmp_path / "tmp"):
        folder.mkdir()

    def tool(name: str, script: str, folder: Path = tools) -> None:
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    tool("apt-get", "touch docker.deb")
    tool("dpkg", f'mkdir -p "$3/usr" && cp -r {packaged} "$3/usr/bin"')
    tool("ip", f'echo "$@" >> {tmp_path / "ip.log"}')
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), "/usr/bin", "/bin"]))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(daemon, "RUN", [])
    return lambda name, script: tool(name, script, tools if (tools / name).exists() else packaged)


@pytest.fixture
def left(tmp_path):
    """What is left on the machine: files, and what was last done to its network."""
    return lambda: (list((tmp_path / "tmp").iterdir()), (tmp_path / "ip.log").read_text().splitlines()[-1])


@linux
def test_an_unpacked_docker_comes_and_goes(debian, left, tmp_path):
    debian("dockerd", f"echo $$ > {tmp_path / 'dockerd.pid'}; exec sleep 60")
    debian("docker", f"test -e {tmp_path / 'dockerd.pid'}")
    with daemon.unpacked() as docker:
        assert docker.bridge == "198.51.100.1"
        assert docker.run("version") == ""
        pid = int((tmp_path / "dockerd.pid").read_text())
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert left() == ([], "link delete eventflow0")


@linux
def test_another_runs_bridge_is_not_touched(debian, left, tmp_path):
    debian(
        "ip",
        f'echo "$@" >> {tmp_path / "ip.log"}; [ "$1$2$3" != linkaddeventflow0 ] || {{ echo File exists >&2; exit 2; }}',
    )
    debian("dockerd", "exec sleep 60")
    debian("docker", "exit 0")
    with daemon.unpacked() as docker:
        assert docker.bridge == "198.51.100.17"
    assert left() == ([], "link delete eventflow1")


@linux
def test_a_docker_that_does_not_start_is_none_and_leaves_nothing(debian, left):
    debian("dockerd", "echo level=info >&2; echo 'Devices cgroup is not mounted' >&2; exit 1")
    debian("docker", "exit 1")
    with pytest.raises(NoDocker, match="does not start here: Devices cgroup is not mounted"), daemon.unpacked():
        pass
    assert left() == ([], "link delete eventflow0")


@linux
def test_packages_that_are_not_to_be_had_are_no_docker(debian, tmp_path):
    debian("apt-get", "echo 'E: Unable to locate package docker.io' >&2; exit 100")
    with pytest.raises(NoDocker, match=r"`apt-get update`.*Unable to locate package"), daemon.unpacked():
        pass
    assert not list((tmp_path / "tmp").iterdir())


def test_a_daemon_under_which_no_container_runs_is_none(tmp_path):
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'cannot enter cgroupv2' >&2; exit 125\n")
    docker.chmod(0o755)
    with pytest.raises(NoDocker, match="no container does: cannot enter cgroupv2"):
        Docker({"PATH": f"{tmp_path}:/bin"}, "198.51.100.1").try_out("any")
