"""What the four dashboards show. Read from top to bottom, each tells first whether all is well, then why not."""

from build import Dashboard, Panel, Row, quantiles

SERVICE = Dashboard(
    "service",
    "service",
    [
        Row(
            "Is all well?",
            [
                Panel("Generations that fail", "percentunit", {"failing": "easel:failures:ratio5m"}, limit=0.01),
                Panel("Mean answer", "s", {"API": "easel:http_seconds:mean5m"}, "Drawing is not in it.", limit=3),
                Panel("Answers 5xx", "percentunit", {"5xx": "easel:http_errors:ratio5m"}, limit=0.01),
            ],
        ),
        Row(
            "The API",
            [
                Panel("Requests", "reqps", {"{{status}}": "sum by (status) (rate(easel_http_requests_total[5m]))"}),
                Panel("Answer times", "s", quantiles("easel_http_request_seconds")),
                Panel(
                    "Slowest routes, p95",
                    "s",
                    {
                        "{{route}}": "topk(8, histogram_quantile(0.95, "
                        "sum by (le, route) (rate(easel_http_request_seconds_bucket[5m]))))"
                    },
                ),
                Panel("Problems", "reqps", {"{{code}}": "sum by (code) (rate(easel_problems_total[5m]))"}),
                Panel(
                    "Open event streams, waiting calls",
                    "short",
                    {"streams": "sum(easel_streams)", "waiting": "sum(easel_waiters)"},
                ),
                Panel(
                    "Rate limit checks",
                    "reqps",
                    {"{{group}} {{outcome}}": "sum by (group, outcome) (rate(easel_ratelimit_checks_total[5m]))"},
                ),
            ],
        ),
        Row(
            "What it stands on",
            [
                Panel("Open breakers", "short", {"{{name}}": "max by (name) (easel_breaker_open)"}, limit=1),
                Panel(
                    "Object store, p95",
                    "s",
                    {
                        "{{operation}}": "histogram_quantile(0.95, "
                        "sum by (le, operation) (rate(easel_store_seconds_bucket[5m])))"
                    },
                ),
                Panel(
                    "Object store, failed calls",
                    "reqps",
                    {"{{process}}": "sum by (process) (rate(easel_store_failures_total[5m]))"},
                ),
                Panel(
                    "Webhooks",
                    "reqps",
                    {"{{outcome}}": "sum by (outcome) (rate(easel_webhook_deliveries_total[5m]))"},
                ),
                Panel(
                    "Not ready",
                    "reqps",
                    {"{{dependency}}": "sum by (dependency) (rate(easel_readiness_failures_total[5m]))"},
                ),
                Panel(
                    "Result cache, hits",
                    "percentunit",
                    {
                        "{{level}}": 'sum by (level) (rate(easel_cache_lookups_total{outcome="hit"}[15m]))'
                        " / sum by (level) (rate(easel_cache_lookups_total[15m]))"
                    },
                ),
                Panel(
                    "Memory",
                    "bytes",
                    {
                        "{{process}} {{instance}}": "sum by (process, instance) "
                        '(process_resident_memory_bytes{job="easel"})'
                    },
                ),
            ],
        ),
    ],
)

QUEUE = Dashboard(
    "queue",
    "queue and devices",
    [
        Row(
            "The queue",
            [
                Panel("Jobs", "short", {"{{pool}} {{state}}": "max by (pool, state) (easel_queue_jobs)"}),
                Panel("Oldest ready job", "s", {"{{pool}}": "max by (pool) (easel_queue_oldest_seconds)"}, limit=300),
                Panel("Workers", "short", {"{{pool}}": "max by (pool) (easel_workers)"}),
                Panel("Accepted → first slot", "s", quantiles("easel_generation_wait_seconds")),
                Panel("Accepted → ended", "s", quantiles("easel_generation_seconds")),
                Panel(
                    "Endings",
                    "ops",
                    {"{{status}} {{reason}}": "sum by (status, reason) (rate(easel_generation_endings_total[5m]))"},
                ),
                Panel("Claims", "ops", {"{{outcome}}": "sum by (outcome) (rate(easel_claims_total[5m]))"}),
                Panel(
                    "Leases lost",
                    "short",
                    {
                        "taken back by the clock": "sum(increase(easel_leases_taken_back_total[15m]))",
                        "missed by a worker": "sum(increase(easel_leases_lost_total[15m]))",
                    },
                    "A worker that was killed misses nothing.",
                    limit=5,
                ),
                Panel("Flows that were wrong", "short", {"drift": "max(easel_flow_drift)"}, limit=1),
            ],
        ),
        Row(
            "The engine",
            [
                Panel("Images", "ops", {"{{outcome}}": "sum by (outcome) (rate(easel_engine_images_total[5m]))"}),
                Panel(
                    "Busy slots",
                    "percentunit",
                    {"{{instance}}": "easel_engine_busy_slots / easel_engine_slots"},
                    "More than all of them: memory ran out, and some wait inside.",
                ),
                Panel("A step", "s", quantiles("easel_engine_step_seconds", "model")),
                Panel("Drawing an image", "s", quantiles("easel_engine_draw_seconds", "model")),
                Panel(
                    "Quality, median",
                    "percentunit",
                    {
                        "{{model}}": "histogram_quantile(0.5, "
                        "sum by (le, model) (rate(easel_quality_score_bucket[30m])))"
                    },
                ),
            ],
        ),
        Row(
            "Devices",
            [
                Panel(
                    "Utilization",
                    "percentunit",
                    {"{{instance}} {{device}}": "easel_device_utilization_ratio"},
                    "On a processor: the busy part of the process's threads.",
                    limit=0.9,
                ),
                Panel(
                    "Memory",
                    "percentunit",
                    {
                        "{{instance}} {{device}}": 'easel_device_memory_bytes{kind="used"}'
                        ' / ignoring(kind) easel_device_memory_bytes{kind="total"}'
                    },
                ),
                Panel("Temperature", "celsius", {"{{instance}} {{device}}": "easel_device_temperature_celsius"}),
            ],
        ),
        Row(
            "The clock",
            [
                Panel(
                    "Since a duty last ended well",
                    "s",
                    {
                        "{{duty}}": "time() - (max by (duty) (easel_clock_last_run_timestamp_seconds)"
                        " or min by (duty) (easel_clock_started_timestamp_seconds))"
                    },
                ),
                Panel(
                    "Duties that failed",
                    "short",
                    {"{{duty}}": 'sum by (duty) (increase(easel_clock_runs_total{outcome="failed"}[15m]))'},
                    limit=3,
                ),
                Panel("Bells", "ops", {"{{pool}} {{outcome}}": "sum by (pool, outcome) (rate(easel_bells_total[5m]))"}),
            ],
        ),
    ],
)

MONEY = Dashboard(
    "money",
    "money",
    [
        Row(
            "The books",
            [
                Panel("Differences", "short", {"{{check}}": "max by (check) (easel_ledger_differences)"}, limit=1),
                Panel("Credits on hold", "short", {"held": "max(easel_holds_credits)"}),
                Panel(
                    "Delivered images",
                    "ops",
                    {"delivered": "sum(rate(easel_images_delivered_total[5m]))"},
                    "What customers were given: drawn for them, shared, or from the cache at its lower price.",
                ),
            ],
        ),
    ],
)

MODERATION = Dashboard(
    "moderation",
    "moderation",
    [
        Row(
            "The queue of people",
            [
                Panel("Open cases", "short", {"open": "max(easel_moderation_open_cases)"}),
                Panel("Oldest case", "s", {"oldest": "max(easel_moderation_oldest_case_seconds)"}, limit=86400),
                Panel(
                    "Complaints a day",
                    "percentunit",
                    {"of delivered": "easel:complaints:ratio24h"},
                    "Of all images that customers were given, also shared and cached ones; from 100 on.",
                    limit=0.02,
                ),
            ],
        ),
        Row(
            "The layers",
            [
                Panel(
                    "Verdicts",
                    "ops",
                    {"{{layer}} {{action}}": "sum by (layer, action) (rate(easel_verdicts_total[5m]))"},
                ),
                Panel(
                    "Blocked, by category",
                    "short",
                    {"{{category}}": 'sum by (category) (increase(easel_verdicts_total{action="block"}[1h]))'},
                ),
            ],
        ),
    ],
)

DASHBOARDS = [SERVICE, QUEUE, MONEY, MODERATION]
