"""Worlds for the alert rules: series over 400 minutes, in promtool's notation (`start+step x times`)."""

from collections.abc import Mapping
from typing import Final

Series = Mapping[str, str]

COMPLETED: Final = 'easel_generation_endings_total{status="completed",reason=""}'
FAILED: Final = 'easel_generation_endings_total{status="failed",reason="model_unavailable"}'
_CLOCK: Final = 'easel_clock_last_run_timestamp_seconds{duty="ring_ready_pools"}'

HEALTHY: Final[Series] = {
    'easel_http_request_seconds_sum{method="GET",route="status"}': "0+3x400",
    'easel_http_request_seconds_count{method="GET",route="status"}': "0+600x400",
    'easel_http_requests_total{status="200"}': "0+600x400",
    'easel_http_requests_total{status="503"}': "0+1x400",
    COMPLETED: "0+600x400",
    FAILED: "0+1x400",
    'easel_generation_endings_total{status="rejected",reason="image"}': "0+60x400",
    'easel_generation_endings_total{status="canceled",reason=""}': "0+60x400",
    'up{job="easel",process="web",instance="web"}': "1x400",
    'easel_queue_oldest_seconds{pool="default"}': "4x400",
    'easel_queue_jobs{pool="default",state="queued"}': "9x400",
    'easel_workers{pool="default"}': "2x400",
    "easel_leases_taken_back_total": "0x400",
    'easel_device_utilization_ratio{device="cuda:0",instance="worker"}': "0.7x400",
    _CLOCK: "0+60x400",
    'easel_clock_started_timestamp_seconds{duty="ring_ready_pools"}': "0x400",
    'easel_clock_period_seconds{duty="ring_ready_pools"}': "2x400",
    'easel_clock_runs_total{duty="ring_ready_pools",outcome="done"}': "0+30x400",
    'easel_clock_runs_total{duty="ring_ready_pools",outcome="failed"}': "0x400",
    "easel_complaints_total": "0+1x400",
    "easel_images_delivered_total": "0+600x400",
    "easel_moderation_oldest_case_seconds": "600x400",
    'easel_ledger_differences{check="wallets"}': "0x400",
    'easel_breaker_open{name="storage"}': "0x400",
    'easel_screening_breaker_open{process="worker"}': "0x400",
    'easel_screening_calls_total{kind="text",outcome="failed"}': "0x400",
    "easel_webhook_oldest_seconds": "2x400",
    'easel_disk_free_ratio{process="clock",instance="clock"}': "0.5x400",
}

# Alert → what is different where it fires, and how long that takes at most.
BROKEN: Final[Mapping[str, tuple[Series, str]]] = {
    "EaselResponseSlow": ({'easel_http_request_seconds_sum{method="GET",route="status"}': "0+2400x400"}, "10m"),
    "EaselSuccessRateLow": ({FAILED: "0+12x400"}, "10m"),
    "EaselErrorBudgetBurnsFast": ({FAILED: "0+120x400"}, "90m"),
    "EaselErrorBudgetBurnsSlowly": ({FAILED: "0+12x400"}, "390m"),
    "EaselServerErrors": ({'easel_http_requests_total{status="503"}': "0+30x400"}, "10m"),
    "EaselTargetDown": ({'up{job="easel",process="web",instance="web"}': "0x400"}, "5m"),
    "EaselQueueOld": ({'easel_queue_oldest_seconds{pool="default"}': "400x400"}, "5m"),
    "EaselNoWorker": ({'easel_workers{pool="default"}': "0x400"}, "5m"),
    "EaselLeasesLost": ({"easel_leases_taken_back_total": "0+1x400"}, "20m"),
    "EaselDeviceSaturated": ({'easel_device_utilization_ratio{device="cuda:0",instance="worker"}': "0.97x400"}, "10m"),
    "EaselClockSilent": ({_CLOCK: "0x400"}, "5m"),
    "EaselDutyOverdue": (
        {
            'easel_clock_last_run_timestamp_seconds{duty="recount_flows"}': "0x400",
            'easel_clock_period_seconds{duty="recount_flows"}': "60x400",
        },
        "20m",
    ),
    "EaselDutyFails": ({'easel_clock_runs_total{duty="ring_ready_pools",outcome="failed"}': "0+1x400"}, "20m"),
    "EaselComplaintRateHigh": ({"easel_complaints_total": "0+30x400"}, "10m"),
    "EaselCasesOld": ({"easel_moderation_oldest_case_seconds": "90000x400"}, "20m"),
    "EaselLedgerDifference": ({'easel_ledger_differences{check="wallets"}': "1x400"}, "5m"),
    "EaselBreakerOpen": ({'easel_breaker_open{name="storage"}': "1x400"}, "5m"),
    "EaselScreeningDown": (
        {
            'easel_screening_breaker_open{process="worker"}': "1x400",
            'easel_screening_calls_total{kind="text",outcome="failed"}': "0+1x400",
        },
        "5m",
    ),
    "EaselWebhooksLate": ({"easel_webhook_oldest_seconds": "1000x400"}, "10m"),
    "EaselDiskNearlyFull": ({'easel_disk_free_ratio{process="clock",instance="clock"}': "0.05x400"}, "10m"),
}

# Unusual, but nobody's trouble.
HARMLESS: Final[Mapping[str, Series]] = {
    "a customer's receiver of webhooks is dead": {
        'easel_breaker_open{name="webhook"}': "1x400",
        'easel_webhook_deliveries_total{outcome="retry"}': "0+10x400",
        'easel_webhook_deliveries_total{outcome="postponed"}': "0+100x400",
        "easel_webhook_oldest_seconds": "0 4 9 30 2x396",
    },
    "a process that has asked nothing since an outage": {'easel_screening_breaker_open{process="worker"}': "1x400"},
    "few pictures and one complaint": {
        "easel_complaints_total": "0+0.05x400",
        "easel_images_delivered_total": "0+0.1x400",
    },
    "one generation fails in a quiet night": {COMPLETED: "0+0.05x400", FAILED: "0x385 1x15"},
    "requests ask for what cannot be drawn": {
        f'easel_generation_endings_total{{status="failed",reason="{reason}"}}': "0+300x400"
        for reason in (
            "not_a_picture",
            "sampler_unsupported",
            "mask_needed",
            "clip_skip_too_large",
            "init_image_unsupported",
        )
    },
    "customers cancel everything": {'easel_generation_endings_total{status="canceled",reason=""}': "0+6000x400"},
    "the policy refuses a lot": {'easel_generation_endings_total{status="rejected",reason="image"}': "0+6000x400"},
    "no worker, but no work": {
        'easel_workers{pool="default"}': "0x400",
        'easel_queue_jobs{pool="default",state="queued"}': "0x400",
    },
}
