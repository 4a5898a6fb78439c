"""`platform/` carries the name of a module of the standard library. That is safe only while these three hold."""

import platform
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_import_platform_is_the_standard_module() -> None:
    assert platform.__file__ is not None
    assert Path(platform.__file__).parent == Path(sysconfig.get_path("stdlib"))
    assert platform.python_version_tuple()[0] == "3"


def test_the_platform_folder_is_not_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_the_platform_folder_holds_exactly_one_package() -> None:
    held = {path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__"}
    assert {name for name in held if not name.endswith(".egg-info")} == {"easel"}
