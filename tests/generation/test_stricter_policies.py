"""A policy that became stricter holds for pictures that are there already: equal requests are not answered with what it
would not let through."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from easel.database import changed, platform_role
from easel.identifiers import new_id
from generation.models import Image
from generation.source import PostgresSource
from moderation import policy
from moderation.findings import Finding, Judgment
from moderation.images import signed
from moderation.models import Policy
from moderation.policy import DEFAULT
from tests.cast import Customer
from tests.generation.conftest import Workshop, row
from tests.generation.test_cache import WISH, ask
from tests.generation.test_endings import delivery

source = PostgresSource()
PHASH = "f0f0aa5533cc0f1e"
SCORE = 0.45  # below the platform's bound for review (0.6), and too low to be kept as a finding
UNASKED = Judgment((Finding(layer="image", category="unscreened", score=0.0, action="review"),), 1)


def seen(score: float) -> Judgment:
    """As the image layer says it under the platform's first policy."""
    found = Finding(layer="image", category="sexual", score=score, action="allow", rule="scorer", phash=PHASH)
    return Judgment((found,) if score >= 0.5 else (), 1, phash=PHASH, scores={"sexual": score})


@pytest.fixture
def publish() -> Iterator[Any]:
    """A new version of the platform's policy, with these bounds for sexual pictures."""
    with platform_role():
        before = policy.platform()[0]

    def published(*, shadow: bool = False, **bounds: float) -> None:
        with platform_role():
            version = policy.platform()[0] + 1
            categories = {**DEFAULT, "sexual": {**DEFAULT["sexual"], **bounds}}
            Policy.objects.create(version=version, categories=categories, shadow=shadow, note="test", created_by="ada")
        policy.forget()

    yield published
    with platform_role():
        Policy.objects.filter(version__gt=before).delete()
    policy.forget()


def draw(customer: Customer, workshop: Workshop, judgment: Judgment, **fields: Any) -> UUID:
    generation = workshop.submit(customer, **{**WISH, **fields})
    (job,) = source.claim(workshop.pool, limit=1)
    assert source.complete(job, [delivery(job, steps_run=100, judgment=judgment)])
    return generation


def test_a_platform_policy_that_became_stricter_is_not_got_round_by_the_cache(
    ada: Customer, workshop: Workshop, publish: Any
) -> None:
    draw(ada, workshop, seen(SCORE))
    assert ask(ada, workshop).status_code == 200
    publish(image_review=0.4)
    assert ask(ada, workshop).status_code == 202, "it is drawn anew, and judged by what counts now"


def test_a_policy_that_became_laxer_or_stricter_elsewhere_costs_nobody_a_cached_answer(
    ada: Customer, workshop: Workshop, publish: Any
) -> None:
    draw(ada, workshop, seen(SCORE))
    publish(image_review=0.5, text_block=0.6)
    assert ask(ada, workshop).status_code == 200
    publish(image_review=0.7)
    assert ask(ada, workshop).status_code == 200


def test_a_copy_of_a_cached_answer_is_measured_as_well(ada: Customer, workshop: Workshop, publish: Any) -> None:
    draw(ada, workshop, seen(SCORE))
    copy = UUID(ask(ada, workshop).json()["id"])
    with platform_role():
        assert Image.objects.get(generation_id=copy).reading == {"scores": {"sexual": SCORE}, "phash": PHASH}


def test_a_tenant_that_became_stricter_is_not_answered_with_what_it_no_longer_wants(
    ada: Customer, workshop: Workshop
) -> None:
    draw(ada, workshop, seen(0.55))
    assert ask(ada, workshop).status_code == 200
    ada.client().patch("/v1/moderation-policy", {"categories": {"sexual": "review"}}, format="json")
    assert ask(ada, workshop).status_code == 202


def test_what_is_like_a_picture_that_was_rejected_since_is_not_handed_over(ada: Customer, workshop: Workshop) -> None:
    draw(ada, workshop, seen(SCORE))
    with platform_role():
        sql = "INSERT INTO moderation_rejectedhash (id, phash, category) VALUES (%s, %s, 'sexual')"
        changed(sql, [new_id(), signed(PHASH)])
    try:
        assert ask(ada, workshop).status_code == 202
    finally:
        with platform_role():
            changed("DELETE FROM moderation_rejectedhash WHERE phash = %s", [signed(PHASH)])


def test_what_no_model_has_read_is_not_handed_over(ada: Customer, workshop: Workshop) -> None:
    draw(ada, workshop, seen(SCORE))
    with platform_role():
        Image.objects.filter(tenant=ada.tenant).update(reading=None)  # as of before readings were kept
    assert ask(ada, workshop).status_code == 202
    assert UNASKED.reading is None


def test_a_version_in_shadow_mode_takes_no_cached_answer_away(ada: Customer, workshop: Workshop, publish: Any) -> None:
    draw(ada, workshop, seen(0.55))
    publish(shadow=True, image_review=0.4)
    assert ask(ada, workshop).status_code == 200


def test_followers_of_a_picture_that_was_judged_before_the_change_are_drawn_for_themselves(
    ada: Customer, workshop: Workshop, publish: Any
) -> None:
    leader, follower = workshop.submit(ada, **WISH), workshop.submit(ada, **WISH)
    (job,) = source.claim(workshop.pool, limit=1)
    publish(image_review=0.4)  # while it is drawn, after it was judged
    assert source.complete(job, [delivery(job, steps_run=100, judgment=seen(SCORE))])
    assert row(leader).status == "completed"
    assert (row(follower).status, row(follower).draws_with) == ("queued", None)
