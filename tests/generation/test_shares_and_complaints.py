"""Public links, complaints about what they show, and what a take-down leaves of a picture: nothing."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from typing import Any

import pytest
from django.db import connections
from django.http import HttpResponse
from django.test import Client, override_settings
from prometheus_client import REGISTRY

from easel import clock
from easel.database import atomic, changed, platform_role, rows
from easel.identifiers import new_id
from easel.storage import ObjectMissing, storage
from easel.words import ids_in, word_for
from generation import cache, copies, shares, takedown
from generation.media import address
from generation.models import DoomedObject, Generation, Image, Share
from moderation import applying, cases, complaints
from moderation.images import rejected_like
from moderation.models import Case, Complaint
from tenants import lifecycle, webhooks
from tenants.models import AuditRecord, WebhookEvent
from tests.cast import Customer
from tests.generation.conftest import until
from tests.generation.delivered import copied, delivered

MODERATOR = "grace@easel.local"


def share(customer: Customer, image: Image, **body: Any) -> dict[str, Any]:
    answer = customer.client().post(f"/v1/images/{image.id}/shares", body, format="json")
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def path(shared: dict[str, Any]) -> str:
    return "/s/" + str(shared["url"]).rpartition("/s/")[2]


def visit(where: str) -> HttpResponse:
    answer: HttpResponse = Client(headers={"accept": "text/html"}).get(where)
    return answer


def fetch(media: str) -> int:
    """As a page's `img` does."""
    return int(Client(headers={"accept": "image/*"}).get(media).status_code)


def complain(where: str, address: str = "", **form: str) -> HttpResponse:
    """By a browser somewhere in the world, each at an address of its own."""
    octets = new_id().bytes[-3:]
    browser = Client(headers={"accept": "text/html"}, REMOTE_ADDR=address or "10." + ".".join(map(str, octets)))
    answer: HttpResponse = browser.post(f"{where}/complaints", {"reason": "violence", **form})
    return answer


def decide(image: Image, *, approved: bool) -> None:
    """A moderator decides the complaint's case, and the clock does what it does."""
    with platform_role():
        complaints.hash_pictures()
        mine = cases.claim(MODERATOR, cases.Wanted(kind="complaint", tenant=str(image.tenant_id)), limit=9)
        (case,) = [each for each in mine if each.image_id == image.id]
        assert cases.decide(case.id, who=MODERATOR, approved=approved, reason="policy") == [case.id]
        applying.apply_due(seconds=0)
        complaints.resolve_decided()


@pytest.fixture
def image(ada: Customer) -> Image:
    return delivered(ada)


# --- Links ---------------------------------------------------------------------------------------------------


def test_a_link_shows_the_picture_and_that_it_is_made_by_ai_and_nothing_of_the_tenant(
    ada: Customer, image: Image
) -> None:
    where = path(share(ada, image))
    page = visit(where)
    assert page.status_code == 200
    text = page.content.decode()
    assert "AI-generated" in text
    assert page["X-Robots-Tag"] == "noindex, noimageindex"
    file = visit(f"{where}/picture")
    assert file.content == storage().get(image.object_key)
    assert file["Content-Type"] == "image/png"
    assert "no-cache" in file["Cache-Control"]
    for said in (text, str(file.headers), str(page.headers)):
        for mark in (str(ada.id), ada.tenant.slug, str(image.id), str(image.generation_id), ada.key.public_id):
            assert mark not in said


def test_a_revoked_or_expired_or_forged_link_leads_nowhere(ada: Customer, image: Image) -> None:
    client = ada.client()
    revoked, expired, kept = (share(ada, image, expires_in_days=1) for _ in range(3))
    assert client.delete(f"/v1/shares/{revoked['id']}").status_code == 204
    with platform_role():
        changed("UPDATE generation_share SET expires_at = now() WHERE id = %s", [expired["id"]])
    for where in (path(revoked), path(expired), "/s/x", path(kept)[:-2] + "xx", "/s/" + word_for("receipt", ada.id)):
        assert visit(where).status_code == 404
        assert visit(f"{where}/picture").status_code == 404
        assert complain(where).status_code == 404
    assert visit(path(kept)).status_code == 200
    listed = client.get(f"/v1/images/{image.id}/shares").json()["data"]
    assert [each["id"] for each in listed] == [kept["id"], expired["id"], revoked["id"]]
    assert [bool(each["revoked_at"]) for each in listed] == [False, False, True]


def test_links_that_have_run_out_take_no_place_of_new_ones(ada: Customer, image: Image) -> None:
    for _ in range(shares.MOST_PER_IMAGE):
        share(ada, image, expires_in_days=1)
    full = ada.client().post(f"/v1/images/{image.id}/shares", {}, format="json")
    assert (full.status_code, full.json()["code"]) == (429, "quota_exceeded")
    with platform_role():
        changed("UPDATE generation_share SET expires_at = now() WHERE image_id = %s", [image.id])
    share(ada, image)


def test_the_links_of_a_suspended_tenant_lead_nowhere(ada: Customer, image: Image) -> None:
    where = path(share(ada, image))
    with platform_role():
        lifecycle.freeze(ada.id)
    assert visit(where).status_code == 404


def test_a_word_tells_nothing_and_survives_a_new_secret_key_only_if_the_old_one_is_named() -> None:
    ids = new_id(), new_id()
    with override_settings(SECRET_KEY="one" * 20):
        word = word_for("share", *ids)
        assert ids_in("share", word) == ids
        assert ids_in("receipt", word) is None
    with override_settings(SECRET_KEY="two" * 20):
        assert ids_in("share", word) is None
    with override_settings(SECRET_KEY="two" * 20, SECRET_KEY_FALLBACKS=["one" * 20]):
        assert ids_in("share", word) == ids


def test_links_are_on_record(ada: Customer, image: Image) -> None:
    made = share(ada, image)
    ada.client().delete(f"/v1/shares/{made['id']}")
    with platform_role():
        found = AuditRecord.objects.filter(tenant_id=ada.id, object_id=str(image.id)).order_by("sequence")
        assert [(each.action, each.actor) for each in found] == [
            ("share.created", ada.key.public_id), ("share.revoked", ada.key.public_id)
        ]  # fmt: skip


# --- Complaints ----------------------------------------------------------------------------------------------


def test_a_complaint_gets_a_receipt_that_tells_what_became_of_it(ada: Customer, image: Image) -> None:
    where = path(share(ada, image))
    answer = complain(where, text="This is my house.")
    assert answer.status_code == 302
    receipt = answer["Location"]
    page = visit(receipt).content.decode()
    number = re.search(r"\b[2-9A-Z]{4}-[2-9A-Z]{4}-[2-9A-Z]{4}\b", page)
    assert number
    assert "A person will look at it." in page
    decide(image, approved=True)
    assert "The picture stays." in visit(receipt).content.decode()
    assert visit(where).status_code == 200


def test_the_words_of_a_complaint_are_sealed_and_whoever_shared_the_picture_does_not_learn_who_complained(
    ada: Customer, image: Image
) -> None:
    complain(path(share(ada, image)), address="203.0.113.9", text="a secret that nobody reads")
    with platform_role():
        (filed,) = Complaint.objects.filter(tenant_id=ada.id)
        assert b"a secret" not in bytes(filed.text_sealed)
        case = Case.objects.select_related("tenant").get(id=filed.case_id)
        assert complaints.said_of(case) == ([("Violence", "a secret that nobody reads")], 0)
    decide(image, approved=True)
    with platform_role():
        told = [str(vars(each)) for each in AuditRecord.objects.filter(tenant_id=ada.id)]
    assert any("moderation.decided" in each for each in told)
    assert not [each for each in told if "203.0.113.9" in each or "a secret" in each or "violence" in each]


def test_a_complaint_is_as_long_as_its_page_counts_it(ada: Customer, image: Image) -> None:
    where = path(share(ada, image))
    assert complain(where, text="line\r\n" * 400).status_code == 302, "as a browser sends 2,000 characters"
    assert complain(where, text="x" * 2001).status_code == 400


def test_complaints_about_one_picture_share_a_case_and_count_once(ada: Customer, image: Image) -> None:
    before = counted()
    where = path(share(ada, image))
    for _ in range(3):
        assert complain(where).status_code == 302
    posted = ada.client().post(f"/v1/images/{image.id}/complaints", {"reason": "hate"}, format="json")
    assert posted.status_code == 201
    with platform_role():
        filed = Complaint.objects.filter(tenant_id=ada.id)
        assert (filed.count(), len({each.receipt for each in filed}), len({each.case_id for each in filed})) == (
            4,
            4,
            1,
        )
    assert counted() == before + 1


def test_a_case_is_as_severe_as_the_worst_that_was_said(ada: Customer, image: Image) -> None:
    where = path(share(ada, image))
    complain(where, reason="spam", text="an advertisement")
    for reason in ("other", "hate"):
        complain(where, reason=reason, text=f"about {reason}")
    with override_settings(COMPLAINTS_PER_HOUR={"address": 100, "picture": 100}):
        for number in range(complaints.SHOWN):
            complain(where, reason="spam", text=f"again {number}")
    clock.perform("moderation.complaints")
    with platform_role():
        case = Case.objects.select_related("tenant").get(image_id=image.id)
        said, more = complaints.said_of(case)
    assert (case.category, case.severity) == ("other", 2)
    assert [words for _, words in said[:3]] == ["about hate", "about other", f"again {complaints.SHOWN - 1}"]
    assert (len(said), more) == (complaints.SHOWN, 3)
    complain(where, reason="sexual/minors")
    clock.perform("moderation.complaints")
    with platform_role():
        case.refresh_from_db()
    assert (case.category, case.severity) == ("sexual/minors", 3)


def test_words_that_cannot_be_opened_hide_no_others(ada: Customer, image: Image) -> None:
    where = path(share(ada, image))
    complain(where, text="damaged", reason="hate")
    complain(where, text="whole")
    with platform_role():
        changed("UPDATE moderation_complaint SET text_sealed = '\\xab' WHERE image_id = %s AND reason = 'hate'",
                [image.id])  # fmt: skip
        case = Case.objects.select_related("tenant").get(image_id=image.id)
        assert complaints.said_of(case) == ([("Violence", "whole"), ("Hatred", "(these words cannot be read)")], 0)


def test_what_comes_after_a_decision_to_keep_the_picture_is_read_too(ada: Customer, image: Image) -> None:
    where = path(share(ada, image))
    complain(where, text="the first")
    with platform_role():
        (case,) = cases.claim(MODERATOR, cases.Wanted(tenant=str(ada.id)), limit=9)
        cases.decide(case.id, who=MODERATOR, approved=True, reason="harmless")
    late = complain(where, text="the second", reason="hate")
    with platform_role():
        applying.apply_due(seconds=0)
    clock.perform("moderation.complaints")
    assert "A person will look at it." in visit(late["Location"]).content.decode()
    with platform_role():
        again = Case.objects.select_related("tenant").get(image_id=image.id, status="open")
        assert complaints.said_of(again) == ([("Hatred", "the second")], 0)
    decide(image, approved=False)
    assert "The picture was removed." in visit(late["Location"]).content.decode()


def counted() -> float:
    return REGISTRY.get_sample_value("easel_complaints_total") or 0.0


def test_one_address_cannot_complain_without_end(ada: Customer, image: Image) -> None:
    where, here = path(share(ada, image)), f"198.51.100.{new_id().bytes[-1]}"
    with override_settings(COMPLAINTS_PER_HOUR={"address": 2, "picture": 100}):
        answers = [complain(where, address=here).status_code for _ in range(3)]
    assert answers == [302, 302, 429]
    with override_settings(COMPLAINTS_PER_HOUR={"address": 100, "picture": 0}):
        assert complain(where).status_code == 429


def test_a_complaint_without_a_reason_is_refused_and_its_words_stay_in_the_form(ada: Customer, image: Image) -> None:
    answer = complain(path(share(ada, image)), reason="boredom", text="kept words")
    assert answer.status_code == 400
    assert "kept words" in answer.content.decode()


# --- Take-down -----------------------------------------------------------------------------------------------


@pytest.fixture
def hooked(ada: Customer) -> Customer:
    with platform_role():
        webhooks.create(ada.tenant, url="https://example.com/hook", kinds=["complaint.resolved"])
    return ada


def test_an_upheld_complaint_removes_the_picture_everywhere(hooked: Customer, image: Image) -> None:
    where = path(share(hooked, image))
    media = address(image, base_url="")
    other = delivered(hooked, seed=2)
    with platform_role():
        changed("DELETE FROM generation_image WHERE id = %s", [other.id])
        file = storage().get(image.object_key)
        copy = copied(hooked, other.generation_id, image.object_key, file)
        changed("UPDATE generation_generation SET fingerprint = %s, seedless = %s WHERE id = %s",
                [bytes(32), bytes(32), image.generation_id])  # fmt: skip
        cache.record(hooked.id, image.generation_id)
    assert cache_entries(hooked) == 1
    answer = complain(where)
    assert fetch(media) == 200

    decide(image, approved=False)

    assert [visit(each).status_code for each in (where, f"{where}/picture")] == [404, 404]
    assert fetch(media) == 404
    assert fetch(address(copy, base_url="")) == 404
    with pytest.raises(ObjectMissing):
        storage().get(image.object_key)
    with platform_role():
        assert not Image.objects.filter(object_key=image.object_key).exists()
        assert not Share.objects.filter(tenant_id=hooked.id, revoked_at=None).exists()
        assert DoomedObject.objects.filter(object_key=image.object_key).exists(), "the clock looks once more"
        assert "taken down" in Generation.objects.get(id=image.generation_id).warnings[0]
        (event,) = WebhookEvent.objects.filter(tenant_id=hooked.id)
        actions = set(AuditRecord.objects.filter(tenant_id=hooked.id).values_list("action", flat=True))
    assert cache_entries(hooked) == 0
    assert {"image.taken_down", "moderation.decided", "moderation.complaint_resolved"} <= actions
    assert (event.kind, event.payload["outcome"], event.payload["image_id"]) == (
        "complaint.resolved", "removed", str(image.id)
    )  # fmt: skip
    assert "The picture was removed." in visit(answer["Location"]).content.decode()


def test_a_picture_that_was_taken_down_is_known_again(ada: Customer, bob: Customer) -> None:
    image = delivered(ada, seed=11)
    complain(path(share(ada, image)), reason="hate")
    decide(image, approved=False)
    with platform_role():
        (case,) = Case.objects.filter(image_id=image.id)
        assert rejected_like(case.phash) == "hate"


def test_what_was_said_of_minors_is_told_to_nobody(hooked: Customer, image: Image) -> None:
    complain(path(share(hooked, image)), reason="sexual/minors", text="words of the complaint")
    decide(image, approved=False)
    with platform_role():
        (event,) = WebhookEvent.objects.filter(tenant_id=hooked.id)
    said = json.dumps(event.payload)
    assert "minors" not in said
    assert "sexual" not in said
    assert "words of the complaint" not in said


def test_taking_down_what_is_gone_does_nothing(ada: Customer, image: Image) -> None:
    with platform_role():
        assert takedown.take_down(ada.id, image.id, reason="policy") == 1
        assert takedown.take_down(ada.id, image.id, reason="policy") == 0


def test_a_copy_that_is_handed_over_while_another_is_taken_down_goes_with_it(ada: Customer, image: Image) -> None:
    earlier, later = (delivered(ada, seed=seed).generation_id for seed in (2, 3))
    with platform_role():
        Image.objects.filter(generation_id__in=[earlier, later]).delete()
        copy = copied(ada, earlier, image.object_key, b"")
    backends: Queue[int] = Queue()

    def take_down() -> int:
        try:
            with platform_role(), atomic():
                backends.put(rows("SELECT pg_backend_pid()")[0][0])
                return takedown.take_down(ada.id, copy.id, reason="policy")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as thread:
        with platform_role(), atomic():
            original = copies.take(ada.id, image.generation_id, standing=False)
            assert original is not None
            gone = thread.submit(take_down)
            backend = backends.get(timeout=20)
            until(lambda: rows("SELECT pg_backend_pid() = ANY(pg_blocking_pids(%s))", [backend])[0][0], seconds=20)
            copies.give(original, tenant_id=ada.id, generation_id=later)
        assert gone.result(timeout=20) == 3
    with platform_role():
        assert not Image.objects.filter(object_key=image.object_key).exists()


def cache_entries(customer: Customer) -> int:
    with platform_role():
        return len(rows("SELECT 1 FROM generation_cachedresult WHERE tenant_id = %s", [customer.id]))
