"""Row security, grants, and the customer web's one cross-tenant read."""

from django.db import migrations

from tenants.rls import ALL, PERSON, GlobalTable, TenantTable

AUTH_KEY = """
CREATE FUNCTION auth_key(wanted text)
RETURNS TABLE (key_id uuid, tenant_id uuid, mode text, scopes text[], secret_sealed bytea, expires_at timestamptz,
               revoked_at timestamptz, tenant_frozen_at timestamptz, data_key bytea, data_key_version integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT k.id, k.tenant_id, k.mode::text, k.scopes::text[], k.secret_sealed, k.expires_at,
           k.revoked_at, t.frozen_at, t.data_key, t.data_key_version
    FROM tenants_apikey k JOIN tenants_tenant t ON t.id = k.tenant_id
    WHERE k.public_id = wanted
$$
"""

# Each role sees the sessions it made: the customer web can neither read one of staff nor make one.
OWN_SESSIONS = [
    "ALTER TABLE django_session ADD COLUMN made_by name NOT NULL DEFAULT current_user",
    "ALTER TABLE django_session ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE django_session FORCE ROW LEVEL SECURITY",
    "CREATE POLICY own ON django_session TO easel_app, easel_platform "
    "USING (made_by = current_user) WITH CHECK (made_by = current_user)",
]


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0001_initial"),
        ("sessions", "0001_initial"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        # Whoever breaks into the customer web must not be able to make staff, nor to learn a staff password's hash.
        GlobalTable("tenants_user", grants="SELECT, INSERT, UPDATE", visible="NOT is_staff AND NOT is_superuser"),
        GlobalTable("tenants_user_groups", grants="SELECT"),
        GlobalTable("tenants_user_user_permissions", grants="SELECT"),
        GlobalTable("auth_group", grants="SELECT"),
        GlobalTable("auth_group_permissions", grants="SELECT"),
        GlobalTable("auth_permission", grants="SELECT"),
        GlobalTable("django_content_type", grants="SELECT"),
        GlobalTable("django_session", grants=ALL),
        migrations.RunSQL(OWN_SESSIONS, reverse_sql=migrations.RunSQL.noop),
        GlobalTable("django_admin_log"),
        GlobalTable("django_migrations", grants="SELECT", platform_grants="SELECT"),
        # Not its data key, and not whether it is frozen.
        TenantTable("tenants_tenant", column="id", grants="SELECT, UPDATE (name, slug)"),
        TenantTable("tenants_member", visible=f"user_id = {PERSON}"),
        TenantTable("tenants_apikey"),
        migrations.RunSQL(
            [
                AUTH_KEY,
                "REVOKE ALL ON FUNCTION auth_key(text) FROM PUBLIC",
                "GRANT EXECUTE ON FUNCTION auth_key(text) TO easel_app, easel_platform",
                # Only a role that sees every tenant's keys can own it; owning needs CREATE for this one moment.
                "GRANT CREATE ON SCHEMA public TO easel_platform",
                "ALTER FUNCTION auth_key(text) OWNER TO easel_platform",
                "REVOKE CREATE ON SCHEMA public FROM easel_platform",
            ],
            reverse_sql="DROP FUNCTION auth_key(text)",
        ),
    ]
