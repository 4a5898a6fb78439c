"""A prompt whose sealed form was damaged: every page says so of it, and shows everything else."""

from uuid import UUID, uuid4

import pytest
from django.test import Client

from easel.database import changed, platform_role
from generation.models import Generation, Image
from moderation import cases
from moderation.cases import Opening
from moderation.models import Case
from tests.cast import Customer
from tests.generation.conftest import Workshop, make_workshop
from tests.generation.decided import decide
from tests.generation.test_gallery import drawn, image_of
from tests.staff import at_the_staff_port, staff_person
from tests.staff import let_in as let_in_staff

SAID = "(this prompt cannot be read)"


@pytest.fixture
def damaged(ada: Customer) -> UUID:
    """The older one of two."""
    shop: Workshop = make_workshop("nowhere")
    broken = drawn(ada, shop, "a red apple")
    drawn(ada, shop, "a green pear")
    with platform_role():
        changed("UPDATE generation_generation SET prompt_sealed = '\\xab' WHERE id = %s", [broken])
    return broken


@pytest.mark.parametrize(
    "path", ["/console/", "/console/gallery", "/console/playground", "/console/playground/history"]
)
def test_a_list_shows_it_among_the_others(browser: Client, damaged: UUID, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 200
    text = answer.content.decode()
    assert SAID in text
    assert "a green pear" in text


def test_its_own_page_shows_the_picture_and_says_what_is_missing(browser: Client, damaged: UUID) -> None:
    answer = browser.get(f"/console/gallery/{damaged}")
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "The prompt cannot be read" in text
    assert 'id="prompt"' not in text
    assert "/media/" in text


def test_the_link_to_its_settings_names_no_prompt(browser: Client, damaged: UUID) -> None:
    text = browser.get(f"/console/runs/{damaged}").content.decode()
    assert "?model=" in text
    assert "prompt=" not in text.partition("?model=")[0].rpartition("href=")[2]


def test_what_needs_the_words_is_refused_and_says_why(browser: Client, damaged: UUID) -> None:
    image: Image = image_of(damaged)
    answer = browser.post(f"/console/images/{image.id}/variations")
    assert answer.status_code == 404
    assert "cannot be read any more" in answer.content.decode()


def test_programs_are_told_null_and_everything_else(ada: Customer, damaged: UUID) -> None:
    client = ada.client()
    listed = client.get("/v1/generations").json()["data"]
    assert [each["prompt"] for each in listed] == ["a green pear", None]
    one = client.get(f"/v1/generations/{damaged}").json()
    assert (one["prompt"], one["negative_prompt"], one["status"]) == (None, None, "completed")
    assert one["images"][0]["url"]


def test_the_moderators_queue_shows_its_case_among_the_others(ada: Customer, damaged: UUID) -> None:
    with at_the_staff_port():
        whole = Generation.objects.filter(tenant=ada.tenant).exclude(id=damaged).get()
        for generation in (damaged, whole.id):
            opening = Opening(tenant_id=ada.id, generation_id=generation, kind=Case.Kind.HELD, image_id=uuid4(),
                              image_index=0)  # fmt: skip
            assert cases.open_case(opening)
        answer = let_in_staff(staff_person()).post("/moderation/batch", {"tenant": str(ada.id)})
    text = answer.content.decode()
    assert answer.status_code == 200
    assert SAID in text
    assert "a green pear" in text


def test_an_appeal_of_it_is_granted_all_the_same(ada: Customer, damaged: UUID) -> None:
    with platform_role():
        changed("UPDATE generation_image SET released_at = NULL, rejected_at = now() WHERE generation_id = %s",
                [damaged])  # fmt: skip
    asked = ada.client().post(f"/v1/generations/{damaged}/appeals", {"text": "Look again."}, format="json")
    assert asked.status_code == 201
    decide(ada, approved=True, kind="appeal")
    assert ada.client().get(f"/v1/generations/{damaged}").json()["images"]
