"""Images of tenants that ask rest encrypted, and come out of /media/ as they went in, whole or in ranges."""

import io

import pytest
from django.test import Client
from PIL import Image as PILImage

from easel.crypto import TamperedSeal, seal
from easel.sealed_file import CHUNK_BYTES, HEADER_BYTES, TAG_BYTES, SealedFile
from easel.storage import storage
from generation import media, sealed_images
from generation.models import Image
from generation.pictures import read_parameters
from tenants.keys import tenant_data_key
from tests.cast import Customer
from tests.rights.conftest import Draw, wish


def url_of(customer: Customer, image: Image) -> str:
    body = customer.client().get(f"/v1/generations/{image.generation_id}").json()
    return str(next(each["url"] for each in body["images"] if each["id"] == str(image.id)))


def test_a_sealed_image_is_unreadable_in_the_store_and_whole_at_its_address(ada: Customer, draw: Draw) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada, prompt="a red apple")
    stored = storage().get(image.object_key)
    assert stored[:4] == b"EASL"
    assert b"PNG" not in stored
    assert b"apple" not in stored

    answer = Client().get(url_of(ada, image))
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    assert len(answer.content) == image.bytes
    assert PILImage.open(io.BytesIO(answer.content)).size == (64, 64)
    assert "a red apple" in str(read_parameters(answer.content))  # nobody reads it in the store

    file = ada.client().get(f"/v1/generations/result/{image.generation_id}", headers={"Accept": "image/*"})
    assert file.content == answer.content


def test_without_the_wish_an_image_rests_as_it_is_and_without_its_prompt(ada: Customer, draw: Draw) -> None:
    (image,) = draw(ada, prompt="a red apple", negative_prompt="no worm")
    stored = storage().get(image.object_key)
    assert image.key_sealed is None
    assert stored.startswith(b"\x89PNG")
    assert b"apple" not in stored
    assert b"worm" not in stored
    wish(ada, prompts_in_files=True)
    (image,) = draw(ada, prompt="a red apple")
    assert b"apple" in storage().get(image.object_key)


def test_ranges_of_a_sealed_image_open(ada: Customer, draw: Draw) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada)
    url = url_of(ada, image)
    whole = Client().get(url).content
    size = len(whole)
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=100-199", 100, 199),
        ("bytes=100-", 100, size - 1),
        (f"bytes=0-{size * 2}", 0, size - 1),
        ("bytes=-50", size - 50, size - 1),
        (f"bytes=-{size * 2}", 0, size - 1),
    ):
        answer = Client().get(url, headers={"Range": asked})
        assert answer.status_code == 206, asked
        assert answer["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert answer.content == whole[first : last + 1]


def test_the_same_ranges_of_an_image_in_clear(ada: Customer, draw: Draw) -> None:
    (image,) = draw(ada)
    url = url_of(ada, image)
    whole = Client().get(url).content
    answer = Client().get(url, headers={"Range": "bytes=5-20"})
    assert (answer.status_code, answer.content) == (206, whole[5:21])


@pytest.mark.parametrize("asked", ["bytes=999999999-", "bytes=-0"])
def test_a_range_outside_the_file_is_refused_with_its_size(ada: Customer, draw: Draw, asked: str) -> None:
    (image,) = draw(ada)
    answer = Client().get(url_of(ada, image), headers={"Range": asked})
    assert (answer.status_code, answer["Content-Range"]) == (416, f"bytes */{image.bytes}")


@pytest.mark.parametrize("asked", ["bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=", "bytes=a-b"])
def test_what_is_no_range_gets_the_whole_file(ada: Customer, draw: Draw, asked: str) -> None:
    (image,) = draw(ada)
    answer = Client().get(url_of(ada, image), headers={"Range": asked})
    assert (answer.status_code, len(answer.content)) == (200, image.bytes)


def test_a_range_of_another_version_of_the_file_gets_the_whole_file(ada: Customer, draw: Draw) -> None:
    (image,) = draw(ada)
    url = url_of(ada, image)
    etag = Client().get(url)["ETag"]
    same = Client().get(url, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = Client().get(url, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)
    unchanged = Client().get(url, headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_file_that_was_altered_in_the_store_is_not_sent(ada: Customer, draw: Draw) -> None:
    wish(ada, seal_images=True)
    (image,) = draw(ada)
    url = url_of(ada, image)
    stored = storage().get(image.object_key)
    for position in (0, HEADER_BYTES - 1, HEADER_BYTES, len(stored) // 2, len(stored) - 1):
        altered = bytearray(stored)
        altered[position] ^= 1
        storage().put(image.object_key, bytes(altered), "application/octet-stream")
        answer = Client().get(url)
        assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    storage().put(image.object_key, stored[:-1], "application/octet-stream")
    assert Client().get(url).status_code == 500


def test_a_large_file_is_streamed_and_cut_off_where_it_was_altered(ada: Customer) -> None:
    size = media.WHOLE_BYTES + 5 * CHUNK_BYTES
    used = SealedFile.new(size)
    object_key = f"t/{ada.id}/g/large"
    key = tenant_data_key(ada.tenant)
    image = Image(
        tenant_id=ada.id, bytes=size, content_type="image/png", object_key=object_key,
        key_sealed=seal(used.packed, key=key, context=sealed_images.context(object_key)),
    )  # fmt: skip
    stored = bytearray(used.seal(bytes(size)))
    storage().put(object_key, bytes(stored), "application/octet-stream")
    whole = media._answer(image, key, None)
    assert whole.streaming
    assert whole["Content-Length"] == str(size)
    assert sum(map(len, whole)) == size

    stored[HEADER_BYTES + 3 * (CHUNK_BYTES + TAG_BYTES)] ^= 1
    storage().put(object_key, bytes(stored), "application/octet-stream")
    chunks = iter(media._answer(image, key, None))
    assert [len(next(chunks)) for _ in range(3)] == [CHUNK_BYTES] * 3
    with pytest.raises(TamperedSeal):
        next(chunks)


def test_a_sealed_image_never_redirects_to_the_store(
    ada: Customer, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish(ada, seal_images=True)
    (sealed,) = draw(ada)
    wish(ada, seal_images=False)
    (plain,) = draw(ada)
    monkeypatch.setattr(storage(), "_public_endpoint", "https://pictures.example.org")
    assert Client().get(url_of(ada, sealed)).status_code == 200
    assert Client().get(url_of(ada, plain)).status_code == 302


def test_a_sealed_image_does_not_open_in_another_row_or_for_another_tenant(
    ada: Customer, bob: Customer, draw: Draw
) -> None:
    wish(ada, seal_images=True)
    first, second = draw(ada, n=2)
    first.key_sealed = second.key_sealed
    with pytest.raises(TamperedSeal):
        media.fetch(first)
    second.tenant_id = bob.id
    with pytest.raises(TamperedSeal):
        media.fetch(second)
