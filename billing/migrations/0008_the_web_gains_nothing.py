"""The customer web's role can reserve and spend a tenant's credits, and cannot make any (docs/adr/0010).

It adds no lot and no wallet, changes of both only what a hold or a charge changes, and writes no entry by which the
total of a tenant's credits grows.
"""

from django.db import migrations

from tenants.rls import RefusedChange

STATEMENTS = [
    "REVOKE INSERT, UPDATE ON billing_wallet FROM easel_app",
    "GRANT UPDATE (available, held) ON billing_wallet TO easel_app",
    "REVOKE INSERT, UPDATE ON billing_lot FROM easel_app",
    "GRANT UPDATE (available, pinned, charged) ON billing_lot TO easel_app",
    "REVOKE UPDATE ON billing_hold FROM easel_app",
    "GRANT UPDATE (remaining, charged, status, ended_at) ON billing_hold TO easel_app",
    "CREATE POLICY no_gain ON billing_entry AS RESTRICTIVE FOR INSERT TO easel_app "
    "WITH CHECK (kind IN ('hold', 'charge', 'release') AND available_delta + held_delta <= 0)",
]


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_whose_cap"), ("tenants", "0004_protect_audit")]

    operations = [
        migrations.RunSQL(STATEMENTS, reverse_sql=migrations.RunSQL.noop),
        # A lot's amount is fixed, and what it has lost is still accounted for: its charges alone could be undone.
        RefusedChange("billing_wallet", "NEW.available + NEW.held > OLD.available + OLD.held"),
        RefusedChange("billing_lot", "NEW.charged < OLD.charged"),
        RefusedChange("billing_hold", "NEW.charged < OLD.charged OR NEW.remaining > OLD.remaining"),
    ]
