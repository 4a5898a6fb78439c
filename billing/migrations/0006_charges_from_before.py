"""What was charged before there were lots and usage belongs to both, or else the books would not add up."""

from django.db import migrations

from tenants.rls import PlatformSQL

_MISSING = """
WITH missing AS (
    SELECT tenant_id, charged - coalesce(borne, 0) AS credits, first_lot
    FROM (SELECT tenant_id, -sum(held_delta) AS charged FROM billing_entry WHERE kind = 'charge' GROUP BY 1) AS entries
    LEFT JOIN (
        SELECT tenant_id, sum(charged) AS borne, (array_agg(id ORDER BY granted_at, id))[1] AS first_lot
        FROM billing_lot GROUP BY 1
    ) AS lots USING (tenant_id)
    WHERE charged > coalesce(borne, 0)
)
"""
LATER_LOTS = f"""{_MISSING}
UPDATE billing_lot lot SET amount = amount + credits, charged = charged + credits FROM missing WHERE lot.id = first_lot
"""
SPENT_LOTS = f"""{_MISSING}
INSERT INTO billing_lot (id, tenant_id, source, amount, available, pinned, charged, removed)
SELECT gen_random_uuid(), tenant_id, 'opening', credits, 0, 0, credits, 0 FROM missing WHERE first_lot IS NULL
"""
USAGE = """
INSERT INTO billing_usage (id, tenant_id, day, key_id, model, status, generations, images, charged, refunded)
SELECT gen_random_uuid(), tenant_id, (created_at AT TIME ZONE 'UTC')::date, key_id, model, status, sum(generations),
    sum(images), -sum(held_delta), 0
FROM billing_entry WHERE kind = 'charge' AND status = '' GROUP BY 2, 3, 4, 5, 6
ON CONFLICT (tenant_id, day, key_id, model, status) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("billing", "0005_first_plans")]

    operations = [PlatformSQL([SPENT_LOTS, LATER_LOTS, USAGE])]
