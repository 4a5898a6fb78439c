"""Staff's status page: the main figures, workers and breakers; and every list of the admin."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client

from billing.models import Plan
from easel.breaker import Breaker, Rules
from easel.database import platform_role
from generation import availability, rounds_seen
from generation.models import Model
from tenants.models import AuditRecord
from tenants.staff_site import NewestOnes
from tests.cast import Customer
from tests.counting import queries
from tests.generation.conftest import Workshop, make_production, make_workshop
from tests.generation.scripted import ScriptedEngine
from tests.generation.test_page_budgets import KILOBYTES, STATEMENTS, weight
from tests.staff import at_the_staff_port, let_in, staff_person


@pytest.fixture
def shop(ada: Customer) -> Workshop:
    """With one job that waits; made before the client is at the staff's port."""
    shop = make_workshop("nowhere")
    shop.submit(ada)
    return shop


@pytest.fixture
def staff() -> Iterator[Client]:
    with at_the_staff_port():
        yield let_in(staff_person())


def open_breaker(model: Model, customer: Customer) -> None:
    shop = make_workshop("nowhere")
    for _ in range(50):
        if availability.is_open(model):
            return
        availability.report(model.id, shop.model.id, label="model", ok=False)
    raise AssertionError("it does not open")


def test_the_status_page_says_what_waits_where_and_who_draws(shop: Workshop, staff: Client) -> None:
    rounds_seen.sign("worker-one", [shop.pool], {"host": "gpu-7", "process": 42, "jobs": 3, "free_slots": 5})
    text = staff.get("/status/").content.decode()
    for said in (shop.pool, "gpu-7", "queued", "postgres", "storage"):
        assert said in text
    assert "does not answer" not in text


def test_a_worker_tells_what_it_holds(ada: Customer) -> None:
    production = make_production(ScriptedEngine())
    try:
        assert production.standing() == {"jobs": 0, "waiting_images": 0, "free_slots": 8}
    finally:
        production.close()


def test_a_worker_that_fell_silent_is_forgotten() -> None:
    rounds_seen.sign("worker-gone", ["nowhere"])
    assert "worker-gone" in rounds_seen.seen(seconds=60)
    assert "worker-gone" not in rounds_seen.seen(seconds=-1)
    assert "worker-gone" not in rounds_seen.seen(seconds=60)


def test_an_open_breaker_is_listed_and_closed_on_record(staff: Client, ada: Customer) -> None:
    model = make_workshop("nowhere").model
    open_breaker(model, ada)
    try:
        assert model.name in staff.get("/status/").content.decode()
        answer = staff.post("/status/breakers/close", {"name": f"model:{model.id}"}, follow=True)
        assert "tried again at once" in answer.content.decode()
        assert not availability.is_open(model)
        assert AuditRecord.objects.filter(action="breaker.closed", object_id=model.name).exists()
    finally:
        availability.breaker_of(model.id).reset()


def test_the_link_of_each_pool_leads_to_its_flows(shop: Workshop, staff: Client) -> None:
    (link,) = re.findall(rf'href="([^"]+)">{shop.pool}<', staff.get("/status/").content.decode())
    answer = staff.get(link)
    assert answer.status_code == 200
    assert f">{shop.pool}<" in answer.content.decode()


def test_what_staff_do_to_models_and_plans_is_on_record(staff: Client, ada: Customer) -> None:
    model = make_workshop("nowhere").model
    open_breaker(model, ada)
    staff.post("/admin/generation/model/", {"action": "close_breakers", "_selected_action": [str(model.id)]})
    assert not availability.is_open(model)
    assert AuditRecord.objects.filter(action="breaker.closed", object_id=model.name).exists()
    plan = Plan.objects.get(slug="free")
    form = {"slug": plan.slug, "name": plan.name, "rank": str(plan.rank), "offered": "on"}
    staff.post(f"/admin/billing/plan/{plan.pk}/change/", form)
    record = AuditRecord.objects.filter(action="staff.plan_changed", object_id=str(plan.pk)).latest("sequence")
    assert record.actor.startswith("staff-")


def test_a_store_that_is_left_alone_is_listed_and_closes_by_itself(staff: Client) -> None:
    name = f"storage:https://s3.example/{uuid4().hex}:write"
    breaker = Breaker(name, rules=Rules(failures=1))
    breaker.report(breaker.admit().token, ok=False)
    try:
        page = staff.get("/status/").content.decode()
        assert name in page
        assert f'value="{name}"' not in page
    finally:
        breaker.reset()


def test_whoever_may_not_change_models_closes_no_breaker(ada: Customer) -> None:
    model = make_workshop("nowhere").model
    open_breaker(model, ada)
    try:
        with at_the_staff_port():
            looker = let_in(staff_person(superuser=False))
            answer = looker.post("/status/breakers/close", {"name": f"model:{model.id}"}, follow=True)
        assert "may not change models" in answer.content.decode()
        assert availability.is_open(model)
    finally:
        availability.breaker_of(model.id).reset()


@pytest.mark.parametrize("name", ["", "model:x", "webhook:1", "model:00000000-0000-0000-0000-000000000000"])
def test_a_breaker_that_is_none_is_said_so(staff: Client, name: str) -> None:
    answer = staff.post("/status/breakers/close", {"name": name}, follow=True)
    assert "No model&#x27;s breaker" in answer.content.decode()


def test_a_stranger_is_sent_to_the_door() -> None:
    with at_the_staff_port():
        assert Client(headers={"accept": "text/html"}).get("/status/").status_code == 302


def test_customers_have_no_such_pages() -> None:
    with platform_role():
        assert Client().get("/status/").status_code == 404


@pytest.mark.usefixtures("shop")
def test_every_list_of_the_admin_opens(staff: Client) -> None:
    for model in admin.site._registry:
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        answer = staff.get(path)
        assert answer.status_code == 200, path
        assert b"<script>" not in answer.content, path
        assert b'style="' not in answer.content, path


@pytest.mark.usefixtures("shop")
def test_lists_and_own_pages_are_cheap_to_make_and_light_to_load(staff: Client) -> None:
    own = ["/status/", "/admin/", "/admin/generation/model/trends/"]
    lists = [f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry]
    wrong = []
    for path in own + lists:
        staff.get(path)  # what is remembered for a few seconds
        with queries() as statements:
            page = staff.get(path)
        heavy = weight(page.content.decode())
        if len(statements) > STATEMENTS or heavy > KILOBYTES:
            wrong.append(f"{path}: {len(statements)} statements, {heavy} kB")
    assert wrong == []


def test_filters_offer_the_newest_and_the_search_finds_the_others(ada: Customer) -> None:
    shops = [make_workshop("nowhere") for _ in range(NewestOnes.MOST + 1)]
    shops[0].submit(ada)
    with at_the_staff_port():
        client = let_in(staff_person())
        offered = client.get("/admin/generation/generation/").content.decode()
        found = client.get("/admin/generation/generation/", {"q": shops[0].model.name}).content.decode()
    assert shops[-1].model.name in offered
    assert f"model__id__exact={shops[0].model.id}" not in offered
    assert offered.count("model__id__exact=") == NewestOnes.MOST
    assert str(ada.tenant.name) in found


def test_nobody_is_shown_the_way_to_what_they_may_not_open(ada: Customer) -> None:
    with at_the_staff_port():
        looker, root = let_in(staff_person(superuser=False)), let_in(staff_person())
        few, all_ = (each.get("/status/").content.decode() for each in (looker, root))
    for path in ("/moderation/", "/admin/billing/wallet/", "/admin/tenants/auditrecord/", "/admin/generation/flow/"):
        assert f'href="{path}"' in all_, path
        assert f'href="{path}"' not in few.partition("</nav>")[0], path
    assert 'href="/status/#breakers"' in few
