"""The layer holds whatever the functions import that Lambda's own runtime does not."""

import json
import subprocess
import sys

from local.cloud import EMULATOR_PYTHON, ROOT
from local.stack import build_dir

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six", "urllib3")
"""Lambda's Python runtime besides the standard library: boto3, and what it needs."""

IMPORT_AS_LAMBDA_DOES = f"""
import gc, importlib, sys
from importlib.machinery import PathFinder

class OnlyTheRuntime:
    # the emulator's environment also holds the emulator, which Lambda does not have
    @staticmethod
    def find_spec(name, path=None, target=None):
        spec = PathFinder.find_spec(name, path, target)
        in_environment = spec and "site-packages" in (spec.origin or "")
        if in_environment and name.partition(".")[0] not in {RUNTIME}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
        return spec

sys.meta_path[sys.meta_path.index(PathFinder)] = OnlyTheRuntime
before = sum(each["collections"] for each in gc.get_stats())
importlib.import_module(sys.argv[1])
print(sum(each["collections"] for each in gc.get_stats()) - before)
"""


def import_handler(shop, function, path):
    configuration = shop.cloud.client("lambda").get_function_configuration(FunctionName=shop.resources[function])
    module, _, _ = configuration["Handler"].rpartition(".")
    return subprocess.run(
        [str(EMULATOR_PYTHON), "-c", IMPORT_AS_LAMBDA_DOES, module],
        env={
            **configuration["Environment"]["Variables"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "PYTHONPATH": ":".join(str(each) for each in path),
        },
        cwd=ROOT.root,
        capture_output=True,
        text=True,
    )


def test_every_function_imports_with_the_layer_and_only_with_it(shop):
    functions = [logical for logical in shop.resources if logical.endswith("Function")]
    assert len(functions) > 10
    for function in functions:
        code, layer = build_dir(shop.cloud) / function, build_dir(shop.cloud) / "Dependencies" / "python"

        with_layer = import_handler(shop, function, [code, layer])
        assert with_layer.returncode == 0, with_layer.stderr
        assert int(with_layer.stdout) < 40, "so often Python looked for garbage: see functions/eventflow/__init__.py"

    without = import_handler(shop, functions[0], [code])
    assert "ModuleNotFoundError" in without.stderr


def test_code_and_layer_ship_bytecode_of_the_targets_version(shop):
    built = build_dir(shop.cloud)
    for source in (built / "PaymentFunction" / "payment", built / "Dependencies" / "python" / "msgspec"):
        assert list((source / "__pycache__").glob(f"*.{sys.implementation.cache_tag}.pyc")), f"no bytecode in {source}"


def test_the_layer_leaves_out_what_the_runtime_has(shop):
    layer = build_dir(shop.cloud) / "Dependencies" / "python"
    assert not list(layer.glob("boto*")), json.dumps(sorted(path.name for path in layer.iterdir()))
