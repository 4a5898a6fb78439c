"""Staff see how each version of a model did, day by day, from the rows alone."""

from datetime import UTC, datetime, timedelta

import pytest

from easel.database import changed, platform_role
from generation import trends
from generation.trends import Day, by_day, earliest_id
from tests.cast import Customer
from tests.generation.conftest import Workshop
from tests.staff import at_the_staff_port, let_in, staff_person

PAGE = "/admin/generation/model/trends/"


def drawn(
    customer: Customer, workshop: Workshop, *, version: str, quality: float, seconds: float, days: int = 0
) -> None:
    """A generation that has ended, as an ending writes it."""
    generation = workshop.submit(customer)
    ended = datetime.now(UTC) - timedelta(days=days)
    with platform_role():
        changed(
            "UPDATE generation_generation SET status = 'completed', finished_at = %s, model_version = %s, "
            "timings = jsonb_build_object('drawing_seconds', %s::float, 'queued_seconds', 1.0) WHERE id = %s",
            [ended, version, seconds, generation],
        )
        changed(
            "INSERT INTO generation_image (id, tenant_id, generation_id, index, seed, width, height, content_type, "
            "bytes, sha256, object_key, steps_run, quality_score) VALUES "
            "(%s, %s, %s, 0, 1, 64, 64, 'image/png', 1, '', %s, 2, %s)",
            [generation, customer.id, generation, str(generation), quality],
        )


def of(workshop: Workshop, days: int = 14) -> list[Day]:
    with platform_role():
        return [each for each in by_day(days) if each.model == workshop.model.name]


def test_versions_are_told_apart_and_their_quality_and_times_are_right(ada: Customer, workshop: Workshop) -> None:
    for quality, seconds in ((0.8, 1.0), (0.6, 3.0)):
        drawn(ada, workshop, version="old", quality=quality, seconds=seconds)
    drawn(ada, workshop, version="new", quality=0.9, seconds=0.5)
    new, old = of(workshop)
    assert (old.version, old.generations, old.success) == ("old", 2, 100)
    assert (old.quality, old.drawing_p50, old.queued_p95) == (pytest.approx(0.7), pytest.approx(2.0), 1.0)
    assert (new.version, new.quality, new.drawing_p95) == ("new", 0.9, 0.5)


def test_only_the_days_that_were_asked_for_are_there(ada: Customer, workshop: Workshop) -> None:
    drawn(ada, workshop, version="v", quality=0.5, seconds=1.0, days=20)
    assert of(workshop, 14) == []


def test_no_id_of_a_moment_is_smaller_than_its_first() -> None:
    from easel.identifiers import new_id

    before, made = earliest_id(datetime.now(UTC)), new_id()
    assert before <= made < earliest_id(datetime.now(UTC) + timedelta(seconds=2))


def test_staff_see_the_page_and_others_do_not(ada: Customer, workshop: Workshop) -> None:
    drawn(ada, workshop, version="3f2a", quality=0.8125, seconds=1.0)
    with at_the_staff_port():
        shown = let_in(staff_person()).get(f"{PAGE}?days=7")
        assert shown.status_code == 200
        page = shown.content.decode()
        assert workshop.model.name in page
        assert "0.812" in page or "0.813" in page
        assert let_in(staff_person(superuser=False)).get(PAGE).status_code == 403
        too_many = let_in(staff_person()).get(f"{PAGE}?days=100000").content.decode()
        assert f'aria-current="true">{trends.DAYS[1]} days' in too_many
