"""Easel's own Prometheus metrics. Labels are few and known beforehand: no tenant, user, prompt or id is one.

They are exported on an internal port of their own, never on the public one. With more than one process behind
a port, PROMETHEUS_MULTIPROC_DIR must be set before Python starts: prometheus_client decides at its import.
"""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

# A client can send any word as its method; these keep their name, the rest share one.
_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

REQUESTS = Counter(
    "easel_http_requests",
    "Answered requests, by route template; 499: the client left before its answer, rehearsed: a test key's error.",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "easel_http_request_seconds",
    "From the whole request's arrival to the view's answer, waiting for a thread included; nothing held or streamed.",
    ["method", "route"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PROBLEMS = Counter("easel_problems", "Answers with a problem, by its code.", ["code"])
DEPENDENCY_FAILURES = Counter("easel_readiness_failures", "Readiness checks that failed.", ["dependency"])

# --- Circuit breakers. `name` is a breaker's label: a kind of thing, or a model of everybody's.
BREAKER_CALLS = Counter("easel_breaker_calls", "Calls under a breaker: ok, slow, failed, refused.", ["name", "outcome"])
BREAKER_PROBES = Counter("easel_breaker_probes", "Probes that were let through an open breaker.", ["name"])
BREAKER_TURNS = Counter("easel_breaker_turns", "Breakers that turned: open, open_again, closed.", ["name", "to"])
BREAKER_UNSHARED = Counter("easel_breaker_unshared", "Questions answered without the shared state.", ["name"])
BREAKER_OPEN = Gauge(
    "easel_breaker_open", "1 while a breaker is open, over all processes.", ["name"], multiprocess_mode="max"
)

# --- The queue. Gauges are set by the clock.
QUEUE_JOBS = Gauge("easel_queue_jobs", "Generations that wait or run.", ["pool", "state"])
QUEUE_OLDEST = Gauge("easel_queue_oldest_seconds", "Age of the oldest generation that may be drawn now.", ["pool"])
WORKERS = Gauge("easel_workers", "Workers that were seen within one lease length.", ["pool"])
FLOW_DRIFT = Gauge("easel_flow_drift", "Flows whose counts were wrong at the last recount, and were mended.")
CLAIMS = Counter("easel_claims", "Claims: work, or empty-handed.", ["outcome"])
CLAIM_ATTEMPTS = Counter("easel_claim_attempts", "Claimed jobs, by which attempt it was.", ["attempt"])
LEASES_LOST = Counter("easel_leases_lost", "Leases that a worker found gone when it renewed them.")
LEASES_TAKEN_BACK = Counter("easel_leases_taken_back", "Jobs taken back from workers that stopped renewing.")
FINISHING_RETRIES = Counter("easel_finishing_retries", "Uploads and endings tried again.", ["doing"])
LATE_RESULTS = Counter("easel_late_results", "Results dropped because the lease was somebody else's by then.")
ENDINGS = Counter("easel_generation_endings", "Endings of generations, by kind.", ["status", "reason"])
_WAITS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800)
GENERATION_SECONDS = Histogram("easel_generation_seconds", "From acceptance to the ending.", ["pool"], buckets=_WAITS)
GENERATION_WAIT_SECONDS = Histogram(
    "easel_generation_wait_seconds", "From acceptance to the first claim.", ["pool"], buckets=_WAITS
)

# --- The store.
STORE_SECONDS = Histogram(
    "easel_store_seconds", "Calls to the object store that were answered; what is streamed is not in it.", ["operation"]
)
STORE_FAILURES = Counter("easel_store_failures", "Calls to the object store that failed or were refused.")

# --- Earlier results that answer equal requests.
CACHE_LOOKUPS = Counter("easel_cache_lookups", "Questions to a level of the result cache.", ["level", "outcome"])
CACHE_ANSWERS = Counter("easel_cache_answers", "Requests answered without a drawing: cached or shared.", ["how"])

# --- Looking at images on their way.
PREVIEWS = Counter(
    "easel_previews",
    "Previews, by what was said of them: allow, review, block; dropped, failed, or unaffordable with no slot free.",
    ["outcome"],
)

# --- Which model draws.
ROUTING = Counter("easel_routing", 'Prompts that were sent by "auto", by category.', ["category"])
FALLBACKS = Counter("easel_fallbacks", "Requests that another model drew than the one asked for.", ["why"])


# --- Whoever waits: event streams, and requests that prefer to. Each process has its own; they are added up.
STREAMS = Gauge("easel_streams", "Open event streams.", multiprocess_mode="livesum")
WAITERS = Gauge("easel_waiters", "Requests that wait for an ending.", multiprocess_mode="livesum")
FEED = Counter("easel_feed", "News published, by kind: sent or lost.", ["kind", "outcome"])

# --- Webhooks
WEBHOOK_DELIVERIES = Counter(
    "easel_webhook_deliveries", "Attempts to deliver: delivered, retry, failed, refused, postponed.", ["outcome"]
)
WEBHOOK_OLDEST_SECONDS = Gauge(
    "easel_webhook_oldest_seconds", "How long a delivery that is due has waited to be sent.", multiprocess_mode="max"
)
WEBHOOKS_DISABLED = Counter("easel_webhooks_disabled", "Endpoints that were disabled, by cause.", ["cause"])

# --- Trust and money
IMAGES_DELIVERED = Counter(
    "easel_images_delivered", "Images that customers were given: drawn, shared or from the cache."
)
COMPLAINTS = Counter("easel_complaints", "Delivered images that were complained about, each once until it is decided.")
HOLDS_CREDITS = Gauge("easel_holds_credits", "Credits that all wallets together hold for unfinished work.")

# --- The machine
DISK_FREE_RATIO = Gauge("easel_disk_free_ratio", "Free part of the disk with the data folder, from 0 to 1.")


def observe_request(method: str, route: str, status: str, seconds: float) -> None:
    known = method if method in _METHODS else "OTHER"
    REQUESTS.labels(known, route, status).inc()
    REQUEST_SECONDS.labels(known, route).observe(seconds)


# --- The engine, in a worker. `model` is the name of a model of everybody's; a tenant's own is only "model".
ENGINE_SLOTS = Gauge("easel_engine_slots", "Images that the engine takes in at a time.")
ENGINE_BUSY_SLOTS = Gauge("easel_engine_busy_slots", "Images that are in the engine, of whatever model.")
ENGINE_STEP_SECONDS = Histogram(
    "easel_engine_step_seconds",
    "One step of one group: the model's call, and each image's own step.",
    ["model"],
    buckets=(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
)
ENGINE_DRAW_SECONDS = Histogram(
    "easel_engine_draw_seconds",
    "One image, from its first step to decoded pixels.",
    ["model"],
    buckets=(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100),
)
ENGINE_PREVIEW_SECONDS = Counter(
    "easel_engine_preview_seconds", "What decoding previews took of the engine's thread.", ["model"]
)
ENGINE_IMAGES = Counter("easel_engine_images", "Images that left the engine: drawn, or an error's code.", ["outcome"])
QUALITY_SCORE = Histogram(
    "easel_quality_score",
    "How settled finished images were.",
    ["model"],
    buckets=(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1),
)
DEVICE_UTILIZATION = Gauge(
    "easel_device_utilization_ratio",
    "Of a GPU, by NVML; of a processor, of our threads.",
    ["device"],
)
DEVICE_MEMORY = Gauge("easel_device_memory_bytes", "Memory of the device.", ["device", "kind"])
DEVICE_TEMPERATURE = Gauge("easel_device_temperature_celsius", "Of a GPU, by NVML.", ["device"])
