"""Row security, and references that stay inside one tenant."""

from django.db import migrations

from tenants.rls import OWN, GlobalTable, TenantTable


class Migration(migrations.Migration):
    dependencies = [("generation", "0001_initial"), ("tenants", "0002_protect")]

    operations = [
        GlobalTable("generation_pool", grants="SELECT"),
        # A model without a tenant is everybody's to use, and nobody's but staff's to change.
        TenantTable("generation_model", visible=f"tenant_id IS NULL OR tenant_id = {OWN}"),
        TenantTable("generation_flow"),
        TenantTable("generation_generation", references={"key_id": "tenants_apikey"}),
        TenantTable("generation_image", references={"generation_id": "generation_generation"}),
        TenantTable("generation_objectintent"),
        TenantTable("generation_doomedobject"),
        TenantTable("generation_idempotencyrecord", references={"generation_id": "generation_generation"}),
        TenantTable("generation_inflight", references={"leader_id": "generation_generation"}),
    ]
