"""A studio that draws for real, and customers with wishes of their own."""

from collections.abc import Callable
from typing import Any

import pytest

from easel.database import platform_role
from generation.models import Image
from generation.production import Production
from tenants import data_policy
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


def wish(customer: Customer, **wishes: Any) -> None:
    with platform_role():
        data_policy.change(customer.id, **wishes)
