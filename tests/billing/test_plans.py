from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from django.conf import settings
from django.test import override_settings
from structlog.testing import capture_logs

from billing import alerts, ledger, opening, plans
from billing.models import Alert, Plan, Subscription
from easel.database import atomic, changed, platform_role, rows
from easel.identifiers import new_id
from tenants import demo
from tenants.lifecycle import create_tenant
from tenants.models import Tenant, User
from tests.billing.purses import Purse, entries, purse, tenant_with

START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
FREE, PRO = 1_000, 50_000  # credits a month


@pytest.fixture(autouse=True)
def _platform():
    with platform_role():
        yield


@pytest.fixture
def on_free() -> UUID:
    tenant = tenant_with()
    plans.subscribe(tenant, "free", at=START)
    return tenant


def available(tenant: UUID, at: datetime) -> int:
    """What could be spent at that moment."""
    ((found,),) = rows(
        "SELECT coalesce(sum(available), 0)::int FROM billing_lot WHERE tenant_id = %s "
        "AND (expires_at IS NULL OR expires_at > %s) AND granted_at <= %s",
        [tenant, at, at],
    )
    return int(found)


def test_three_plans_come_with_easel_each_wider_than_the_one_before() -> None:
    limits = [plans.Limits.of(plans.newest(slug)) for slug in ("free", "pro", "business")]
    wider = ["monthly_credits", "requests_per_minute", "running_jobs", "queued_jobs", "max_size", "max_steps",
             "priority", "queue_weight", "retention_days"]  # fmt: skip
    for name in wider:
        values = [getattr(each, name) for each in limits]
        assert values == sorted(set(values)), name
    assert [each.cached_price_percent for each in limits] == [50, 20, 10]


def test_a_new_tenant_starts_on_free_with_the_month_and_the_opening_credits() -> None:
    tenant = create_tenant(name="New")
    assert plans.subscription_of(tenant.id).version.plan.slug == "free"
    assert purse(tenant.id) == Purse(FREE + settings.OPENING_CREDITS, 0)


def test_the_demo_tenant_may_draw_freely() -> None:
    tenant = Tenant.objects.filter(slug=demo.SLUG).first() or create_tenant(name="Demo", slug=demo.SLUG)
    assert plans.subscription_of(tenant.id).version.plan.slug == "business"
    assert purse(tenant.id).available >= 500_000


def test_an_opening_plan_that_is_none_is_said_by_the_name_of_its_setting() -> None:
    assert opening.check_opening_plan() == 0
    with override_settings(OPENING_PLAN="fre"):
        with capture_logs() as lines:
            assert opening.check_opening_plan() == 1
        with pytest.raises(plans.NoPlan, match="EASEL_OPENING_PLAN: There is no plan 'fre'"):
            create_tenant(name="Nobody")
    (line,) = lines
    assert (line["what"], line["found"]) == ("EASEL_OPENING_PLAN", "fre")
    assert "free" in line["expected"].split(", ")


def test_opening_credits_come_once_per_address() -> None:
    email = f"trial-{new_id().hex}@example.com"
    first = User.objects.create_user(email)
    second = User.objects.create_user(email.replace("@", "+again@").upper())
    assert purse(create_tenant(name="One", owner=first).id).available == FREE + settings.OPENING_CREDITS
    assert purse(create_tenant(name="Two", owner=first).id).available == FREE
    assert purse(create_tenant(name="Three", owner=second).id).available == FREE


def test_the_address_itself_is_not_kept() -> None:
    email = f"trial-{new_id().hex}@example.com"
    create_tenant(name="One", owner=User.objects.create_user(email))
    ((kept,),) = rows("SELECT address_digest FROM billing_trial ORDER BY created_at DESC LIMIT 1")
    assert email.encode() not in bytes(kept)
    assert len(bytes(kept)) == 32


def test_opening_credits_come_once_per_tenant() -> None:
    tenant = create_tenant(name="New")
    assert not opening.grant_opening_credits(tenant, email="")


def test_a_month_ends_on_the_same_day_or_the_months_last() -> None:
    ends = [START]
    for _ in range(4):
        ends.append(plans.next_period(ends[-1], 31))
    assert [end.strftime("%m-%d") for end in ends] == ["01-31", "02-28", "03-31", "04-30", "05-31"]


def test_a_new_month_brings_its_credits_and_the_old_ones_end(on_free: UUID) -> None:
    end = plans.subscription_of(on_free).period_end
    assert plans.renew_due(on_free, at=end - timedelta(seconds=1)) == 0
    assert plans.renew_due(on_free, at=end) == 1
    assert plans.renew_due(on_free, at=end) == 0
    assert available(on_free, end) == FREE, "the first month's are past their date"


def test_months_that_the_clock_missed_are_made_up_for(on_free: UUID) -> None:
    assert plans.renew_due(on_free, at=START + timedelta(days=100)) == 3
    assert available(on_free, START + timedelta(days=100)) == FREE


def test_an_upgrade_in_the_middle_of_the_month_brings_its_share_of_the_credits(on_free: UUID) -> None:
    middle = START + (plans.subscription_of(on_free).period_end - START) / 2
    plans.change(on_free, plans.newest("pro"), at=middle)
    assert available(on_free, middle) == FREE + (PRO - FREE) // 2
    assert plans.limits_of(on_free) == plans.Limits.of(plans.newest("pro"))


def test_a_downgrade_takes_back_its_share_as_far_as_it_is_unspent(on_free: UUID) -> None:
    plans.change(on_free, plans.newest("pro"), at=START)
    assert available(on_free, START) == PRO
    middle = START + (plans.subscription_of(on_free).period_end - START) / 2
    ledger.hold(on_free, new_id(), PRO - 100, at=START)
    plans.change(on_free, plans.newest("free"), at=middle)
    assert purse(on_free) == Purse(0, PRO - 100), "100 were unspent; what is held stays held"


def test_going_up_and_down_again_earns_nothing(on_free: UUID) -> None:
    moment = START + timedelta(days=10, seconds=7)
    for _ in range(3):
        plans.change(on_free, plans.newest("business"), at=moment)
        plans.change(on_free, plans.newest("free"), at=moment)
    assert available(on_free, moment) <= FREE


def test_no_way_up_and_down_brings_more_than_the_largest_plans_month(on_free: UUID) -> None:
    business = plans.newest("business")
    for day in range(1, 6):
        moment = START + timedelta(days=day)
        plans.change(on_free, business, at=moment)
        if spent := available(on_free, moment):
            ledger.hold(on_free, new_id(), spent, at=moment)
        plans.change(on_free, plans.newest("free"), at=moment)
    ((given,),) = rows("SELECT sum(amount - removed) FROM billing_lot WHERE tenant_id = %s", [on_free])
    assert given <= business.monthly_credits


def test_a_month_that_a_downgrade_made_smaller_is_used_up_when_what_is_left_of_it_is(on_free: UUID) -> None:
    plans.change(on_free, plans.newest("pro"), at=START)
    plans.change(on_free, plans.newest("free"), at=START)
    job = new_id()
    ledger.hold(on_free, job, FREE, at=START)
    ledger.settle(on_free, job, charge=FREE, images=1, at=START)
    alerts.raise_for(on_free, now=START + timedelta(hours=1))
    told = Alert.objects.filter(tenant_id=on_free).values_list("percent", "allowed")
    assert set(told) == {(percent, FREE) for percent in alerts.THRESHOLDS}


def test_a_downgrade_leaves_bought_credits_alone(on_free: UUID) -> None:
    plans.change(on_free, plans.newest("pro"), at=START)
    ledger.hold(on_free, new_id(), PRO, at=START)
    ledger.grant(on_free, 70, operation_id="grant:bought", at=START)
    plans.change(on_free, plans.newest("free"), at=START)
    assert purse(on_free).available == 70


def test_a_change_to_the_same_version_is_none(on_free: UUID) -> None:
    before = entries(on_free)
    plans.change(on_free, plans.newest("free"), at=START)
    assert entries(on_free) == before
    assert Subscription.objects.filter(tenant_id=on_free).count() == 1


def test_an_edit_is_a_new_version_and_subscribers_keep_theirs_until_moved() -> None:
    plan = Plan.objects.create(slug=f"own-{new_id().hex[:8]}", name="Own")
    first = plans.publish(plan, **plans.Limits.of(plans.newest("free")).as_dict())
    tenant = tenant_with()
    plans.subscribe(tenant, plan.slug)
    second = plans.publish(plan, max_steps=99)
    assert (first.number, second.number) == (1, 2)
    assert second.queued_jobs == first.queued_jobs
    assert plans.limits_of(tenant).max_steps == first.max_steps
    plans.change(tenant, second)
    assert plans.limits_of(tenant).max_steps == 99


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("billing_lot WHERE tenant_id = %(id)s AND source = 'plan' AND expires_at = %(at)s", "lot_of_plan_month"),
        ("billing_usage WHERE day = %(at)s::date", "usage_by_day"),
        ("billing_subscription WHERE ended_at IS NULL AND owed > 0", "subscription_owes"),
    ],
)
def test_what_is_asked_again_and_again_is_read_by_an_index(asked: str, index: str, on_free: UUID) -> None:
    with atomic():
        changed("SET LOCAL enable_seqscan = off")  # the tables of tests are small
        plan = rows(f"EXPLAIN SELECT count(*) FROM {asked}", {"id": on_free, "at": START})
    assert index in "\n".join(line for (line,) in plan)


def test_a_tenant_is_on_one_plan_at_a_time(on_free: UUID) -> None:
    with pytest.raises(Exception, match="subscription_one_at_a_time"):
        plans.subscribe(on_free, "pro")
