"""The visible mark, for tenants that ask for it."""

import io
import re
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from django.test import Client, override_settings
from PIL import Image as PILImage

from easel.database import platform_role
from generation.marking import marked
from generation.production import Production
from moderation import policy
from moderation.models import TenantPolicy
from tenants.models import AuditRecord
from tests.cast import Customer
from tests.generation.conftest import Workshop, ended, make_production
from tests.moderation.scripted import ScriptedJudge
from tests.stub_engine import StubEngine
from tests.tenants.people import let_in, person


def drawn(customer: Customer, workshop: Workshop, production: Production, **fields: Any) -> Any:
    generation: UUID = workshop.submit(customer, width=256, height=256, seed=128, **fields)
    production.drain(workshop.pool)
    ended(generation)
    (image,) = customer.client().get(f"/v1/generations/{generation}").json()["images"]
    return np.asarray(PILImage.open(io.BytesIO(Client().get(image["url"]).content)))


def test_a_tenant_that_asks_for_it_has_a_mark_in_the_corner_and_others_have_none(
    ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    production = make_production(StubEngine(step_seconds=0), judge=ScriptedJudge())
    try:
        assert np.unique(drawn(ada, workshop, production)).tolist() == [128]
        told = ada.client().patch("/v1/moderation-policy", {"visible_mark": True}, format="json").json()
        assert told["effective"]["visible_mark"] is True
        pixels = drawn(ada, workshop, production)  # an equal request: it is not answered with the unmarked one
        assert (pixels[: 256 // 2] == 128).all()
        assert pixels[-40:, 100:].max() > 240, "white letters"
        assert np.unique(drawn(bob, workshop, production)).tolist() == [128]
    finally:
        production.close()


def test_the_console_sets_it_beside_the_other_wishes_and_on_record(ada: Customer) -> None:
    browser, path = let_in(person(ada.tenant, "admin")), "/console/data-policy"
    assert 'name="visible_mark"' in browser.get(path).content.decode()
    for wanted in (True, True, False):
        form = {"prompts_in_files": "on"} | ({"visible_mark": "on"} if wanted else {})
        assert browser.post(path, form).status_code == 302
        told = ada.client().get("/v1/moderation-policy").json()
        assert told["effective"]["visible_mark"] is wanted
        assert ('id="id_visible_mark" checked' in browser.get(path).content.decode()) is wanted
    assert ada.client().get("/v1/data-policy").json()["prompts_in_files"] is True
    with platform_role():
        changes = AuditRecord.objects.filter(tenant=ada.tenant, action="moderation_policy.changed").order_by("sequence")
        assert [each.details for each in changes] == [{"visible_mark": True}, {"visible_mark": False}]


def test_where_the_region_wants_it_the_console_says_so_and_leaves_the_wish_alone(ada: Customer) -> None:
    browser, page = let_in(person(ada.tenant, "admin")), "/console/data-policy"
    with override_settings(REGION="CN"):
        text = browser.get(page).content.decode()
        assert "region want it on every picture" in text
        (box,) = re.findall(r'<input type="checkbox" name="visible_mark"[^>]*>', text)
        assert {"checked", "disabled"} <= set(box.strip("<>").split())
        assert browser.post(page, {"retention_days": ""}).status_code == 302
    with platform_role():
        assert not TenantPolicy.objects.filter(tenant=ada.tenant, visible_mark=True).exists()


def test_in_a_region_that_wants_it_every_image_has_it_whatever_its_tenant_asked_for(
    ada: Customer, bob: Customer, workshop: Workshop
) -> None:
    production = make_production(StubEngine(step_seconds=0), judge=ScriptedJudge())
    try:
        assert np.unique(drawn(ada, workshop, production)).tolist() == [128]
        with override_settings(REGION="CN"):
            policy.forget()
            told = ada.client().patch("/v1/moderation-policy", {"visible_mark": False}, format="json").json()
            assert (told["visible_mark"], told["effective"]["visible_mark"]) == (False, True)
            assert drawn(ada, workshop, production)[-40:, 100:].max() > 240, "not the unmarked one from before"
        with override_settings(REGION="DE"):
            policy.forget()
            assert np.unique(drawn(bob, workshop, production)).tolist() == [128]
    finally:
        policy.forget()
        production.close()


@pytest.mark.parametrize("size", [(64, 64), (64, 1024), (1024, 64), (1024, 1024)])
def test_the_mark_fits_pictures_of_every_shape_and_stands_in_the_lower_right(size: tuple[int, int]) -> None:
    before = np.full((*size, 3), 128, dtype=np.uint8)
    after = marked(before)
    rows, columns = np.nonzero((after != before).any(axis=2))
    assert after.shape == before.shape
    assert rows.min() > size[0] / 2
    assert columns.max() >= size[1] * 0.95
    assert (before == 128).all(), "the original is left as it was"
