"""The gallery: what a member finds in it, chooses, tags, downloads and deletes; and what they never see."""

import io
import json
import re
import zipfile
from typing import Any
from uuid import UUID

import pytest
from django.test import Client
from PIL import Image as PILImage

from easel.database import atomic, changed, platform_role, rows
from easel.identifiers import new_id
from easel.problems import Problem
from easel.sealed_file import SealedFile
from easel.storage import storage
from generation import archive, duties, sealed_images, thumbnails
from generation.models import Image
from moderation.cases import text_of
from moderation.models import Case
from tenants.keys import data_key_of
from tenants.scope import tenant_scope
from tests.cast import Customer
from tests.generation.conftest import Workshop, make_workshop
from tests.tenants.people import let_in, person


@pytest.fixture
def shop() -> Workshop:
    return make_workshop("nowhere")


def picture(color: str, size: int = 96) -> bytes:
    file = io.BytesIO()
    PILImage.new("RGB", (size, size), color).save(file, "png")
    return file.getvalue()


def drawn(
    customer: Customer, shop: Workshop, prompt: str, *, color: str = "red", status: str = "completed", images: int = 1
) -> UUID:
    """A generation that has ended, with its files in the store."""
    generation_id = shop.submit(customer, prompt=prompt, n=images)
    data = picture(color)
    with platform_role():
        changed(
            "UPDATE generation_generation SET status = %s, finished_at = now(), credits = 1, "
            'receipt = \'{"model": "x"}\' WHERE id = %s',
            [status, generation_id],
        )
        for index in range(images):
            object_key = f"t/{customer.id}/g/{generation_id}/{new_id()}-{index}.png"
            storage().put(object_key, data, "image/png")
            image = Image.objects.create(
                tenant=customer.tenant, generation_id=generation_id, index=index, seed=index, width=96, height=96,
                content_type="image/png", bytes=len(data), sha256="0" * 64, object_key=object_key, steps_run=1,
            )  # fmt: skip
            if status == "completed":
                changed("UPDATE generation_image SET released_at = now() WHERE id = %s", [image.id])
    return generation_id


def image_of(generation_id: UUID) -> Image:
    with platform_role():
        found: Image = Image.objects.filter(generation_id=generation_id).order_by("index")[0]
    return found


def page(browser: Client, **query: Any) -> str:
    answer = browser.get("/console/gallery", query)
    assert answer.status_code == 200
    return answer.content.decode()


def ids(text: str) -> list[str]:
    return re.findall(r'name="id" value="([0-9a-f-]{36})"', text)


def test_filters_find_what_they_say(ada: Customer, browser: Client, shop: Workshop) -> None:
    other = make_workshop("nowhere")
    apple = drawn(ada, shop, "a red Äpple on a table")
    boat = drawn(ada, other, "a boat")
    failed = drawn(ada, shop, "a lost boat", status="failed")
    assert ids(page(browser)) == [str(boat), str(apple)]
    assert len(re.findall(r"\d\d:\d\d UTC", page(browser))) == 2, "a time says whose it is"
    assert ids(page(browser, status="failed")) == [str(failed)]
    assert ids(page(browser, status="all")) == [str(failed), str(boat), str(apple)]
    assert ids(page(browser, model=other.model.name)) == [str(boat)]
    assert ids(page(browser, q="APPLE table")) == [str(apple)]
    assert ids(page(browser, q="boat", status="all")) == [str(failed), str(boat)]
    assert ids(page(browser, since="2999-01-01")) == []
    assert ids(page(browser, until="2020-01-01")) == []
    assert "Nothing like that" in page(browser, q="zebra")


@pytest.mark.parametrize(
    "query",
    [{"status": "x"}, {"since": "yesterday"}, {"q": "a\0b"}, {"model": "\0"}, {"tag": "\0"}, {"q": "x" * 9999}],
)
def test_a_query_of_nonsense_breaks_nothing(browser: Client, query: dict[str, str]) -> None:
    assert browser.get("/console/gallery", query).status_code in {200, 400}


def test_a_day_may_be_as_far_away_as_one_can_write(ada: Customer, browser: Client, shop: Workshop) -> None:
    """A date field takes 26 for the year 26."""
    apple = drawn(ada, shop, "a red apple")
    assert ids(page(browser, since="0026-11-30")) == [str(apple)]
    assert ids(page(browser, until="0026-11-30")) == []
    assert ids(page(browser, until="9999-12-31")) == [str(apple)]


def test_a_strangers_pictures_are_in_no_gallery(ada: Customer, bob: Customer, shop: Workshop, browser: Client) -> None:
    theirs = drawn(bob, shop, "of Bob's")
    assert "of Bob" not in page(browser, status="all")
    assert browser.get(f"/console/gallery/{theirs}").status_code == 404
    browser.post("/console/gallery/delete", {"id": [str(theirs)]})
    browser.post("/console/gallery/tag", {"id": [str(theirs)], "tag": "mine"})
    assert browser.post("/console/gallery/download", {"id": [str(theirs)]}).status_code == 302
    with platform_role():
        assert rows("SELECT erased_at, (SELECT count(*) FROM generation_tag WHERE generation_id = %s) "
                    "FROM generation_generation WHERE id = %s", [theirs, theirs]) == [(None, 0)]  # fmt: skip


def test_chosen_pictures_are_tagged_found_by_the_tag_and_deleted(
    ada: Customer, browser: Client, shop: Workshop
) -> None:
    one, two, three = (drawn(ada, shop, f"picture {number}") for number in range(3))
    browser.post("/console/gallery/tag", {"id": [str(one), str(two)], "tag": "Logo"})
    assert ids(page(browser, tag="logo")) == [str(two), str(one)]
    browser.post("/console/gallery/tag", {"id": [str(two)], "tag": "logo", "off": "1"})
    assert ids(page(browser, tag="logo")) == [str(one)]
    answer = browser.post(
        "/console/gallery/delete", {"id": [str(one), str(three)], "back": "/console/gallery?tag=logo"}
    )
    assert answer["Location"] == "/console/gallery?tag=logo"
    assert ids(page(browser)) == [str(two)]


@pytest.mark.parametrize("act", ["delete", "tag", "download"])
def test_more_than_one_may_choose_is_refused_whole(ada: Customer, browser: Client, shop: Workshop, act: str) -> None:
    """Nothing of it is cut off in silence."""
    one = drawn(ada, shop, "an apple")
    chosen = [str(one), *(str(new_id()) for _ in range(500))]
    answer = browser.post(f"/console/gallery/{act}", {"id": chosen, "tag": "fruit"}, follow=True)
    text = answer.content.decode()
    assert "At most 500 pictures at a time: nothing was done." in text
    assert ids(text) == [str(one)]
    assert ids(page(browser, tag="fruit")) == []


def test_nobody_is_led_elsewhere(browser: Client) -> None:
    for back in ("https://example.org/console/gallery", "//example.org", "/console/keys"):
        assert browser.post("/console/gallery/delete", {"back": back})["Location"] == "/console/gallery"


def test_a_viewer_looks_and_downloads_but_changes_nothing(ada: Customer, shop: Workshop) -> None:
    one = drawn(ada, shop, "an apple")
    viewer = let_in(person(ada.tenant, "viewer"))
    assert viewer.post("/console/gallery/delete", {"id": [str(one)]}).status_code == 403
    assert "Delete" not in page(viewer)
    assert len(download(viewer, one).namelist()) == 2


def test_the_details_say_everything(ada: Customer, browser: Client, shop: Workshop) -> None:
    one = drawn(ada, shop, "an apple & a pear", images=2)
    text = browser.get(f"/console/gallery/{one}").content.decode()
    for said in (
        "an apple &amp; a pear",
        shop.model.name,
        "DPM++ 2M",
        str(one),
        ada.key.public_id,
        "Receipt",
        "Charged",
    ):
        assert said in text
    assert text.count("/media/") >= 2


# --- Thumbnails ----------------------------------------------------------------------------------------------


def test_a_thumbnail_is_made_once_and_kept(ada: Customer, browser: Client, shop: Workshop) -> None:
    one = drawn(ada, shop, "an apple")
    (address,) = re.findall(r"/thumbnails/[^\"]+", page(browser))
    first = Client().get(address)
    assert first["Content-Type"] == "image/webp"
    assert PILImage.open(io.BytesIO(first.content)).size == (96, 96)
    image = image_of(one)
    assert storage().get(thumbnails.key_of(image.object_key)) == first.content
    storage().delete(image.object_key)  # it is not read again
    assert Client().get(address).content == first.content
    assert Client().get(address, headers={"If-None-Match": first["ETag"]}).status_code == 304
    with platform_role():
        assert not rows("SELECT 1 FROM generation_objectintent WHERE tenant_id = %s", [ada.id])


def test_a_thumbnail_goes_with_its_image(ada: Customer, browser: Client, shop: Workshop) -> None:
    one = drawn(ada, shop, "an apple")
    (address,) = re.findall(r"/thumbnails/[^\"]+", page(browser))
    kept = thumbnails.key_of(image_of(one).object_key)
    Client().get(address)
    browser.post("/console/gallery/delete", {"id": [str(one)]})
    assert Client().get(address).status_code == 404
    with platform_role():
        duties.remove_leftover_objects()
    assert not storage().exists(kept)


def test_a_thumbnail_that_comes_too_late_leaves_nothing_behind(ada: Customer, shop: Workshop) -> None:
    image = image_of(drawn(ada, shop, "an apple"))
    with platform_role():
        changed("DELETE FROM generation_image WHERE id = %s", [image.id])
    thumbnails._make_and_keep(image)
    with platform_role():
        duties.remove_leftover_objects()
    assert not storage().exists(thumbnails.key_of(image.object_key))


def test_the_thumbnail_of_an_encrypted_image_rests_sealed_and_is_made_anew_under_another_key(
    ada: Customer, shop: Workshop
) -> None:
    image = image_of(drawn(ada, shop, "an apple"))
    used = SealedFile.new(image.bytes)
    storage().put(image.object_key, used.seal(picture("red")), "application/octet-stream")
    with platform_role(), atomic():
        sealed = sealed_images.closed(ada.id, image.object_key, used)
        changed("UPDATE generation_image SET key_sealed = %s WHERE id = %s", [sealed, image.id])
    address, kept = thumbnails.address(ada.id, image.id), thumbnails.key_of(image.object_key)
    shown = Client().get(address).content
    assert PILImage.open(io.BytesIO(shown)).format == "WEBP"
    assert b"WEBP" not in storage().get(kept)
    before = storage().get(kept)
    storage().put(
        kept, b"\x01" + before[1:-1] + b"x", "application/octet-stream"
    )  # as if sealed under a key that is gone
    assert Client().get(address).content == shown
    assert storage().get(kept) not in {before, shown}


def test_a_forged_or_expired_address_opens_nothing(ada: Customer, shop: Workshop, monkeypatch: Any) -> None:
    image = image_of(drawn(ada, shop, "an apple"))
    address = thumbnails.address(ada.id, image.id)
    assert Client().get(address).status_code == 200
    assert Client().get(address[:-2] + "xx").status_code == 404
    monkeypatch.setattr("generation.thumbnails.time.time", lambda: 4e9)
    assert Client().get(address).status_code == 404


def test_what_waits_for_staff_is_seen_as_colors_alone(ada: Customer, browser: Client, shop: Workshop) -> None:
    held = drawn(ada, shop, "something", color="navy", status="in_review")
    (veil,) = re.findall(r'src="(/media/blurred/[^"]+)"', page(browser, status="in_review"))
    assert Client().get(veil)["Content-Type"] == "image/jpeg"
    detail = browser.get(f"/console/gallery/{held}").content.decode()
    assert "In review" in detail
    assert re.findall(r"/media/(?!blurred)", detail) == []
    clear = thumbnails.address(ada.id, image_of(held).id)
    assert Client().get(clear).status_code == 404
    with platform_role():
        changed("UPDATE generation_generation SET status = 'rejected' WHERE id = %s", [held])
        changed("UPDATE generation_image SET rejected_at = now() WHERE generation_id = %s", [held])
    assert Client().get(veil).status_code == 404
    assert "/media/" not in page(browser, status="rejected")


def test_the_first_page_shows_what_waits_for_staff_as_colors_too(
    ada: Customer, browser: Client, shop: Workshop
) -> None:
    drawn(ada, shop, "something", color="navy", status="in_review", images=2)
    text = browser.get("/console/").content.decode()
    (veil,) = re.findall(r'src="(/media/blurred/[^"]+)"', text)
    assert Client().get(veil)["Content-Type"] == "image/jpeg"
    assert "In review" in text
    assert "/media/thumbnails/" not in text


def test_what_was_refused_can_be_appealed_once(ada: Customer, browser: Client, shop: Workshop) -> None:
    refused = drawn(ada, shop, "something", status="rejected")
    path = f"/console/gallery/{refused}"
    assert "Appeal…" in browser.get(path).content.decode()
    browser.post(f"{path}/appeal", {"text": "line\r\n" * 333 + "It is a statue."})  # 1,680 characters in the browser
    with platform_role():
        case = Case.objects.select_related("tenant").get(generation_id=refused, kind="appeal")
        assert text_of(case).endswith("line\nIt is a statue.")
    assert b"statue" not in bytes(case.text_sealed)
    text = browser.get(path).content.decode()
    assert "Staff have not decided yet" in text
    assert "Appeal…" not in text
    assert "appealed before" in browser.post(f"{path}/appeal", {"text": "Again."}, follow=True).content.decode()
    browser.cookies["easel_language"] = "zh-hans"
    assert "只能申诉一次" in browser.post(f"{path}/appeal", {"text": "Again."}, follow=True).content.decode()
    del browser.cookies["easel_language"]
    assert ids(page(browser, status="appealed")) == [str(refused)]


# --- The archive ---------------------------------------------------------------------------------------------


def download(browser: Client, *chosen: UUID) -> zipfile.ZipFile:
    answer = browser.post("/console/gallery/download", {"id": [str(each) for each in chosen]})
    assert answer["Content-Type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(b"".join(answer.streaming_content)))


def test_chosen_pictures_come_as_one_file_with_what_they_are(ada: Customer, browser: Client, shop: Workshop) -> None:
    one, two = drawn(ada, shop, "an apple", images=2), drawn(ada, shop, "a boat", color="blue")
    file = download(browser, one, two)
    assert file.testzip() is None
    assert len(file.namelist()) == 4
    index = json.loads(file.read("index.json"))
    assert [each["prompt"] for each in index] == ["an apple", "an apple", "a boat"]
    assert file.read(index[2]["file"]) == picture("blue")


def test_what_the_store_lost_is_said_in_the_index(ada: Customer, browser: Client, shop: Workshop) -> None:
    one, two = drawn(ada, shop, "an apple"), drawn(ada, shop, "a boat")
    storage().delete(image_of(one).object_key)
    file = download(browser, one, two)
    index = json.loads(file.read("index.json"))
    assert [each.get("missing", False) for each in index] == [True, False]
    assert len(file.namelist()) == 2


def test_downloads_are_few_at_a_time_and_give_their_place_back(ada: Customer, shop: Workshop) -> None:
    with tenant_scope(ada.id):
        key = data_key_of(ada.id)
    members = archive.members(ada.id, [drawn(ada, shop, "an apple")], key=key)
    held = [archive.Archive(members, key) for _ in range(archive.AT_ONCE)]
    with pytest.raises(Problem, match="under way"):
        archive.Archive(members, key)
    held[0].close()  # never read
    held[0].close()
    assert b"".join(archive.Archive(members, key))
    for each in held:
        each.close()
