"""The emulator's own entry point: ministack, of the one version known here, with its gaps closed.

Runs in .venvs/emulator, which represents Lambda's runtime and has none of the project's dependencies.
"""

import sys
from importlib.metadata import version

PINNED = "1.5.33"


def main() -> None:
    installed = version("ministack")
    if installed != PINNED:
        sys.exit(f"ministack {installed} is installed, but local/gaps patches only {PINNED}: run `make clean`")
    from ministack import app  # imported only once its version is known

    from local import gaps

    gaps.close()
    app.main()


if __name__ == "__main__":
    main()
