#!/usr/bin/env python3
"""Django's command line for Easel. Bootstrap only: puts `platform/` on the path, for this process and its children."""

import os
import sys
from pathlib import Path

SOURCE_ROOTS = [str(Path(__file__).resolve().parent / "platform"), str(Path(__file__).resolve().parent)]


def main() -> None:
    sys.path[:0] = [root for root in SOURCE_ROOTS if root not in sys.path]
    inherited = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys([*SOURCE_ROOTS, *inherited]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "easel.settings.embedded")

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
