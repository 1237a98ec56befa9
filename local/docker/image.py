"""The image that functions run in: AWS's own if it can be pulled, otherwise one made of this machine's Python."""

import importlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from importlib import metadata
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from local.cloud import EMULATOR_PYTHON, CloudError
from local.docker.daemon import Docker
from local.stack import HOST

HOME_MADE = f"eventflow/lambda-python:{sys.version_info.major}.{sys.version_info.minor}"

RUNTIME_PACKAGES = ("awslambdaric", "boto3")  # what Lambda's runtime holds folders Python
SHELL_TOOLS = ("sh", "mv", "chmod", "cp", "rm")  # sam adds the runtime interface emulator and the layers with these
MANYLINUX = ("libgcc_s.so.1", "libstdc++.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0")
NOT_OF_THE_RUNTIME = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "site-packages", "dist-packages"}

PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
BOOTSTRAP = f"""#!/bin/sh
export AWS_EXECUTION_ENV=AWS_Lambda_{PYTHON} PYTHONPATH=/var/task:/opt/python:/var/runtime
exec /var/lang/bin/{PYTHON} -m awslambdaric "$_HANDLER"
"""


def official() -> str:
    """The name of AWS's image, as `sam local` itself would take it for this runtime and processor."""
    images = importlib.import_module("samcli.local.docker.lambda_image")
    tag = images.Runtime.get_image_name_tag(HOST["PythonRuntime"], HOST["Architecture"])
    return f"{images.LambdaImage._INVOKE_REPO_PREFIX}/{tag}"


def pulled(docker: Docker) -> str | None:
    """AWS's image, as it is here already or is pulled now; None where it cannot be."""
    image = official()
    try:
        docker.run("image", "inspect", image)
    except CloudError:
        try:
            docker.run("pull", "--quiet", image)
        except CloudError:
            return None
    return image


def home_made(docker: Docker) -> str:
    """An image in which the runtime interface emulator finds what it finds in AWS's, from this machine's own files.

    Raises CloudError where this is no Linux.
    """
    if sys.platform != "linux":
        raise CloudError(
            "AWS's image cannot be pulled, and an image can be made only on Linux: use `sam remote invoke`"
        )
    with TemporaryFile() as file:
        libraries = _write(file)
        file.seek(0)
        environment = f"ENV PATH=/var/lang/bin:/bin LANG=C.UTF-8 LD_LIBRARY_PATH={':'.join(libraries)}"
        docker.run("import", "--change", environment, "--change", "WORKDIR /var/task", "-", HOME_MADE, stdin=file)
    return HOME_MADE


def _write(file: IO[bytes]) -> list[str]:
    """Write the image's files as a tar. Returns the directories that shared libraries are in."""
    files = dict(_python()) | dict(_runtime())
    files |= {f"bin/{tool}": Path(shutil.which(tool) or f"/bin/{tool}") for tool in SHELL_TOOLS}
    libraries = _libraries([path for name, path in files.items() if "bin" in name.split("/") or path.suffix == ".so"])
    files |= {str(path).lstrip("/"): path for path in libraries}
    with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
        _add(tar, "tmp", 0o1777)
        _add(tar, "var/runtime/bootstrap", 0o755, BOOTSTRAP)
        for name, path in files.items():
            tar.add(path, name, recursive=False, filter=_owned_by_root)
    return sorted({str(path.parent) for path in libraries})


def _add(tar: tarfile.TarFile, name: str, mode: int, content: str | None = None) -> None:
    """A file, or without content a directory."""
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if content is None:
        entry.type = tarfile.DIRTYPE
    else:
        entry.size = len(content)
    tar.addfile(entry, BytesIO((content or "").encode()))


def _owned_by_root(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _python() -> Iterator[tuple[str, Path]]:
    """The interpreter and its standard library, where Lambda has them: pairs of name in the image and file here."""
    yield f"var/lang/bin/{PYTHON}", Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib"))
    for path in library.rglob("*"):
        name = path.relative_to(library)
        left_out = NOT_OF_THE_RUNTIME & set(name.parts) or name.parts[0].startswith("config-")
        if path.is_file() and not left_out:
            yield f"var/lang/lib/{PYTHON}/{name}", path


def _runtime() -> Iterator[tuple[str, Path]]:
    """The packages of Lambda's runtime with all that they require, as .venvs/emulator has them."""
    site_packages = next(EMULATOR_PYTHON.parent.parent.glob("lib/python*/site-packages"))
    installed = {_canonical(it.name): it for it in metadata.distributions(path=[str(site_packages)])}
    wanted, taken = [*RUNTIME_PACKAGES], set[str]()
    while wanted:
        package = _canonical(wanted.pop())
        if package in taken:
            continue
        taken.add(package)
        for file in installed[package].files or ():
            if ".." not in file.parts:  # its commands
                yield f"var/runtime/{file}", Path(str(file.locate()))
        required = [it for it in installed[package].requires or () if "extra ==" not in it]
        wanted += [re.split(r"[^\w.-]", it)[0] for it in required]


def _canonical(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _libraries(natives: list[Path]) -> set[Path]:
    """The shared libraries that these need, and those that any wheel may count on."""
    told = subprocess.run(["ldd", *map(str, natives)], capture_output=True, text=True).stdout
    libraries = {Path(path) for path in re.findall(r"(?:=>|^)\s+(/\S+) \(0x", told, flags=re.MULTILINE)}
    folder = next(path.parent for path in libraries if path.name == "libc.so.6")
    return libraries | {folder / name for name in MANYLINUX if (folder / name).exists()}
