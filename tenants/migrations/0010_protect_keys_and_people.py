"""Row security of the new tables, and a look-up of keys that brings all that a request has to be checked against."""

from django.db import migrations

from tenants.rls import PERSON, GlobalTable, TenantTable

AUTH_KEY = """
CREATE FUNCTION auth_key(wanted text)
RETURNS TABLE (key_id uuid, tenant_id uuid, mode text, scopes text[], secret_sealed bytea, expires_at timestamptz,
               revoked_at timestamptz, tenant_frozen_at timestamptz, data_key bytea, data_key_version integer,
               previous_secret_sealed bytea, previous_until timestamptz, allowed_networks text[],
               tokens_not_before timestamptz, last_used_at timestamptz, allowed_origins text[], revoked_tokens bytea[])
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id, k.tenant_id, k.mode::text, k.scopes::text[], k.secret_sealed, k.expires_at,
           k.revoked_at, t.frozen_at, t.data_key, t.data_key_version,
           k.previous_secret_sealed, k.previous_until, k.allowed_networks::text[],
           k.tokens_not_before, k.last_used_at, t.allowed_origins::text[],
           ARRAY(SELECT r.digest FROM tenants_revokedtoken r
                 WHERE r.tenant_id = k.tenant_id AND r.key_id = k.id AND r.expires_at > now())
    FROM tenants_apikey k JOIN tenants_tenant t ON t.id = k.tenant_id
    WHERE k.public_id = wanted
$$
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0009_keys_and_people")]

    operations = [
        TenantTable("tenants_revokedtoken", grants="SELECT, INSERT", references={"key_id": "tenants_apikey"}),
        TenantTable("tenants_invitation"),
        GlobalTable("tenants_founding", grants="SELECT, INSERT", visible=f"user_id = {PERSON}"),
        migrations.RunSQL(
            [
                "GRANT UPDATE (requires_two_factor, allowed_origins) ON tenants_tenant TO easel_app",
                "DROP FUNCTION auth_key(text)",
                AUTH_KEY,
                "REVOKE ALL ON FUNCTION auth_key(text) FROM PUBLIC",
                "GRANT EXECUTE ON FUNCTION auth_key(text) TO easel_app, easel_platform",
                # Only a role that sees every tenant's keys can own it; owning needs CREATE for this one moment.
                "GRANT CREATE ON SCHEMA public TO easel_platform",
                "ALTER FUNCTION auth_key(text) OWNER TO easel_platform",
                "REVOKE CREATE ON SCHEMA public FROM easel_platform",
            ],
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
