"""Public links in the console: made beside a picture, open to strangers, withdrawn for good."""

import re
from uuid import UUID

import pytest
from django.test import Client

from easel.database import changed, platform_role
from easel.identifiers import new_id
from generation import shares
from generation.models import Share
from tenants.models import AuditRecord
from tests.cast import Customer
from tests.generation.conftest import make_workshop
from tests.generation.test_gallery import drawn, image_of
from tests.tenants.people import let_in, person


@pytest.fixture
def generation(ada: Customer) -> UUID:
    return drawn(ada, make_workshop("nowhere"), "a red apple")


def make(browser: Client, generation: UUID, days: str = "30") -> int:
    image = image_of(generation)
    return browser.post(f"/console/gallery/{generation}/images/{image.id}/share", {"days": days}).status_code


def links(browser: Client, generation: UUID) -> list[str]:
    text = browser.get(f"/console/gallery/{generation}").content.decode()
    return [f"/s/{word}" for word in re.findall(r'href="http://testserver/s/([^"]+)"', text)]


def test_a_link_is_made_and_a_stranger_sees_the_picture(browser: Client, generation: UUID) -> None:
    assert links(browser, generation) == []
    answer = browser.post(f"/console/gallery/{generation}/images/{image_of(generation).id}/share", {"days": "7"})
    assert answer["Location"] == f"/console/gallery/{generation}#share-{image_of(generation).id}"
    (path,) = links(browser, generation)
    assert Client(headers={"accept": "text/html"}).get(path).status_code == 200
    with platform_role():
        share = Share.objects.get(image=image_of(generation))
        assert share.expires_at is not None
        assert AuditRecord.objects.filter(tenant=share.tenant_id, action="share.created").count() == 1


def test_a_withdrawn_link_leads_nowhere_and_is_listed_no_more(browser: Client, generation: UUID) -> None:
    make(browser, generation, "")
    (path,) = links(browser, generation)
    with platform_role():
        share = Share.objects.get(image=image_of(generation))
    assert share.expires_at is None
    assert browser.post(f"/console/gallery/{generation}/shares/{share.id}/withdraw").status_code == 302
    assert links(browser, generation) == []
    assert Client(headers={"accept": "text/html"}).get(path).status_code == 404


def test_one_that_ran_out_is_not_listed(browser: Client, generation: UUID) -> None:
    make(browser, generation, "1")
    with platform_role():
        changed(
            "UPDATE generation_share SET expires_at = now() - interval '1 minute' WHERE image_id = %s",
            [image_of(generation).id],
        )
    assert links(browser, generation) == []


def test_a_viewer_sees_the_links_and_makes_none(ada: Customer, browser: Client, generation: UUID) -> None:
    make(browser, generation)
    viewer = let_in(person(ada.tenant, "viewer"))
    assert len(links(viewer, generation)) == 1
    assert b"/share" not in viewer.get(f"/console/gallery/{generation}").content.replace(b"/share-", b"")
    assert make(viewer, generation) == 403


def test_a_strangers_picture_has_none(bob: Customer, browser: Client, generation: UUID) -> None:
    theirs = drawn(bob, make_workshop("nowhere"), "a green pear")
    assert make(browser, theirs) == 404
    assert browser.post(f"/console/gallery/{generation}/shares/{new_id()}/withdraw").status_code == 404


def test_more_links_than_a_picture_may_have_are_refused_kindly(browser: Client, generation: UUID) -> None:
    for _ in range(shares.MOST_PER_IMAGE + 1):
        assert make(browser, generation) == 302
    text = browser.get(f"/console/gallery/{generation}").content.decode()
    assert "at most 20 links" in text
    assert len(set(links(browser, generation))) == shares.MOST_PER_IMAGE


def test_a_span_that_is_not_offered_is_refused(browser: Client, generation: UUID) -> None:
    assert make(browser, generation, "999999") == 404
