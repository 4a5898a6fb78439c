"""A model's own words stand before every prompt, unseen by the customer and shared with no other model."""

import io
from pathlib import Path
from typing import Any

from django.test import Client
from PIL import Image as PILImage

from generation.production import Production
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_workshop

Pixels = bytes


def drawn(customer: Customer, workshop: Workshop, production: Production, **fields: Any) -> tuple[Pixels, str]:
    """The picture's pixels, and the prompt as the customer reads it."""
    generation_id = workshop.submit(customer, seed=7, **fields)
    production.drain(workshop.pool)
    ended(generation_id)
    whole = customer.client().get(f"/v1/generations/{generation_id}").json()
    file = Client().get(whole["images"][0]["url"])
    return PILImage.open(io.BytesIO(file.content)).tobytes(), whole["prompt"]


def test_a_prefix_draws_what_the_same_words_in_the_prompt_draw(
    ada: Customer, tiny_folder: Path, workshop: Workshop, production: Production
) -> None:
    prefixed = make_workshop(str(tiny_folder), prompt_prefix="red")
    picture, prompt = drawn(ada, prefixed, production, prompt="apple")
    spelled_out, _ = drawn(ada, workshop, production, prompt="red apple")
    plain, _ = drawn(ada, workshop, production, prompt="apple")
    assert prompt == "apple"
    assert picture == spelled_out
    assert picture != plain
