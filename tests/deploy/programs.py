"""Programs of the system that some tests run: `.ci/run` installs them; elsewhere their tests are skipped without."""

import os
import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and os.environ.get("CI"):
        raise RuntimeError(f"CI must have {', '.join(missing)}")
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")
