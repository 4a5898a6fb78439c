"""Grants, room for updates in place, and what already waits."""

from django.db import migrations

from tenants.rls import GlobalTable, PlatformSQL

# Sums over other tenants' flows, and no more than sums: how many jobs start before a tag, and what runs.
QUEUE_AHEAD = """
CREATE FUNCTION queue_ahead(wanted_pool uuid, asking uuid, tag double precision)
RETURNS TABLE (jobs bigint, work double precision, running_jobs bigint, running_work double precision)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH now AS (
        SELECT coalesce((SELECT vtime FROM generation_pooltime WHERE pool_id = wanted_pool ORDER BY id DESC LIMIT 1), 0)
            AS vtime
    ), ahead AS (
        SELECT queued, waiting_work, greatest(0, (tag - greatest(flow.vtime, now.vtime)) * weight) AS room
        FROM generation_flow flow, now
        WHERE pool_id = wanted_pool AND tenant_id <> asking AND queued > 0 AND flow.vtime < tag
    )
    SELECT coalesce(sum(least(queued, ceil(room * queued / greatest(waiting_work, 1e-9)))), 0)::bigint,
           coalesce(sum(least(waiting_work, room)), 0)::double precision,
           (SELECT count(*) FROM generation_generation g WHERE g.pool_id = wanted_pool AND g.status = 'running'),
           (SELECT coalesce(sum(g.work), 0) FROM generation_generation g
            WHERE g.pool_id = wanted_pool AND g.status = 'running')
    FROM ahead
$$
"""


class Migration(migrations.Migration):
    dependencies = [("generation", "0011_claims_at_scale")]

    operations = [
        GlobalTable("generation_pooltime", grants="SELECT"),
        PlatformSQL(
            [
                "UPDATE generation_flow flow SET waiting_work = coalesce((SELECT sum(work) "
                "FROM generation_generation g WHERE g.tenant_id = flow.tenant_id AND g.pool_id = flow.pool_id "
                "AND g.status = 'queued'), 0)"
            ]
        ),
        migrations.RunSQL(
            [
                QUEUE_AHEAD,
                "REVOKE ALL ON FUNCTION queue_ahead(uuid, uuid, double precision) FROM PUBLIC",
                "GRANT EXECUTE ON FUNCTION queue_ahead(uuid, uuid, double precision) TO easel_app, easel_platform",
                # Only a role that sees every tenant's flows can own it; owning needs CREATE for this one moment.
                "GRANT CREATE ON SCHEMA public TO easel_platform",
                "ALTER FUNCTION queue_ahead(uuid, uuid, double precision) OWNER TO easel_platform",
                "REVOKE CREATE ON SCHEMA public FROM easel_platform",
            ],
            reverse_sql=migrations.RunSQL.noop,
        ),
        # A renewed lease and a moved flow find room beside their old version: no index is written for them where no
        # indexed column changes.
        migrations.RunSQL(
            [
                "ALTER TABLE generation_generation SET (fillfactor = 85)",
                "ALTER TABLE generation_flow SET (fillfactor = 70)",
            ],
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
