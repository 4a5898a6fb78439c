"""The plans Easel starts with, and what tenants that were here before need: lots for their credits, and a plan."""

from django.db import migrations

from easel.identifiers import new_id
from tenants.rls import PlatformSQL

PLANS = {
    "free": ("Free", 10, dict(
        monthly_credits=1_000, requests_per_minute=60, generations_per_day=500, generations_per_month=5_000,
        running_jobs=2, queued_jobs=20, max_size=1024, max_steps=50, max_images=4, priority=0, queue_weight=1.0,
        retention_days=30, cached_price_percent=50, moderation_options={},
    )),
    "pro": ("Pro", 20, dict(
        monthly_credits=50_000, requests_per_minute=300, generations_per_day=20_000, generations_per_month=300_000,
        running_jobs=8, queued_jobs=200, max_size=2048, max_steps=100, max_images=8, priority=5, queue_weight=4.0,
        retention_days=90, cached_price_percent=20, moderation_options={"review_instead_of_block": True},
    )),
    "business": ("Business", 30, dict(
        monthly_credits=500_000, requests_per_minute=1_200, generations_per_day=None, generations_per_month=None,
        running_jobs=32, queued_jobs=2_000, max_size=4096, max_steps=150, max_images=8, priority=10, queue_weight=16.0,
        retention_days=365, cached_price_percent=10,
        moderation_options={"review_instead_of_block": True, "own_word_lists": True},
    )),
}  # fmt: skip

# Until now a wallet had no lots and a hold no pins. Their credits never expire.
LOTS = """
INSERT INTO billing_lot (id, tenant_id, source, amount, available, pinned, charged, removed)
SELECT gen_random_uuid(), tenant_id, 'opening', available + held, available, held, 0, 0 FROM billing_wallet
WHERE available + held > 0
"""
PINS = """
INSERT INTO billing_pin (id, tenant_id, hold_id, lot_id, position, amount)
SELECT gen_random_uuid(), hold.tenant_id, hold.id, lot.id, 1, hold.remaining
FROM billing_hold hold JOIN billing_lot lot ON lot.tenant_id = hold.tenant_id WHERE hold.remaining > 0
"""
ENDED_HOLDS = """
UPDATE billing_hold SET ended_at = created_at, charged = coalesce((
    SELECT -sum(held_delta) FROM billing_entry entry
    WHERE entry.tenant_id = billing_hold.tenant_id AND entry.owner_id = billing_hold.owner_id AND kind = 'charge'
), 0) WHERE remaining = 0
"""
SUBSCRIPTIONS = """
INSERT INTO billing_subscription (id, tenant_id, version_id, anchor_day, period_start, period_end)
SELECT gen_random_uuid(), tenant.id, version.id, extract(day FROM now() AT TIME ZONE 'UTC'), now(),
       now() + interval '1 month'
FROM tenants_tenant tenant, billing_planversion version JOIN billing_plan plan ON plan.id = version.plan_id
WHERE plan.slug = CASE WHEN tenant.slug = 'demo' THEN 'business' ELSE 'free' END
"""


def first_plans(apps, schema_editor):
    Plan, PlanVersion = apps.get_model("billing", "Plan"), apps.get_model("billing", "PlanVersion")
    using = schema_editor.connection.alias
    for slug, (name, rank, gives) in PLANS.items():
        plan = Plan.objects.using(using).create(id=new_id(), slug=slug, name=name, rank=rank)
        PlanVersion.objects.using(using).create(id=new_id(), plan=plan, number=1, **gives)


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_protect_lots_and_plans")]

    operations = [
        migrations.RunPython(first_plans, migrations.RunPython.noop),
        PlatformSQL([LOTS, PINS, ENDED_HOLDS, SUBSCRIPTIONS]),
    ]
