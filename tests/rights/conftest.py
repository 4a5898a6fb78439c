"""A studio that draws for real, and customers with wishes of their own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.management import call_command
from django.test import override_settings

from easel.database import platform_role
from easel.embedded.stack import Stack
from generation.models import Image
from generation.production import Production
from tenants import data_policy
from tenants.backup import backup as backups
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, production, tiny_folder, workshop  # noqa: F401  fixtures

Draw = Callable[..., list[Image]]


@pytest.fixture
def draw(workshop: Workshop, production: Production) -> Draw:  # noqa: F811
    """Draws one generation to its end and returns its images."""

    def one(customer: Customer, **fields: Any) -> list[Image]:
        generation_id = workshop.submit(customer, **fields)
        production.drain(workshop.pool)
        assert ended(generation_id).status == "completed"
        with platform_role():
            return list(Image.objects.filter(generation_id=generation_id).order_by("index"))

    return one


@dataclass
class Vault:
    """Where a test keeps its backups, and its escrow elsewhere."""

    folder: Path
    kept: Path

    def backup(self, *words: str, at: datetime | None = None) -> Path:
        with patch.object(backups, "datetime") as clock:
            clock.now.return_value = at or datetime.now(UTC)
            call_command("backup", str(self.folder), *words, stdout=StringIO())
        place = backups.newest(self.folder)
        assert place is not None
        return place


@pytest.fixture
def vault(tmp_path: Path, stack: Stack) -> Iterator[Vault]:
    kept = tmp_path / "custody" / "keys.escrow"
    with override_settings(KEY_ESCROW=str(kept)):
        yield Vault(tmp_path / "backups", kept)


def wish(customer: Customer, **wishes: Any) -> None:
    with platform_role():
        data_policy.change(customer.id, **wishes)
