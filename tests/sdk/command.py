"""The `easel` command, run as a person or a script would."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from easel_client.cli.app import app
from tests.cast import Customer

RUNNER = CliRunner()


def easel(*words: object, given: str = "") -> Result:
    return RUNNER.invoke(app, [str(word) for word in words], input=given)


def lines(result: Result) -> list[Any]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def sign_in(patch: pytest.MonkeyPatch, base_url: str, customer: Customer, *, secret: str = "") -> None:
    patch.setenv("EASEL_URL", base_url)
    patch.setenv("EASEL_API_KEY", customer.key.public_id)
    patch.setenv("EASEL_API_SECRET", secret or customer.secret)


def keep(folder: Path, **values: str) -> Path:
    """A credentials file, as login writes it."""
    path = folder / "credentials.json"
    path.write_text(json.dumps(values))
    path.chmod(0o600)
    return path
