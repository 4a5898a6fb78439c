"""Every field that Easel's log lines have, with its Elasticsearch type.

Those of the Elastic Common Schema are named and typed as its field reference has them (release 8.11, the one that
`ecs.version` tells; github.com/elastic/ecs, generated/csv/fields.csv). The others are Easel's own: their first part is
the name of no field set of the schema, with one exception that is written down.
"""

from typing import Final

ECS: Final = {
    "@timestamp": "date",
    "message": "match_only_text",
    "ecs.version": "keyword",
    "log.level": "keyword",
    "log.logger": "keyword",
    "service.name": "keyword",
    "service.version": "keyword",
    "process.name": "keyword",
    "process.pid": "long",
    "error.type": "keyword",
    "error.code": "keyword",
    "error.message": "match_only_text",
    "error.stack_trace": "wildcard",
    "http.request.method": "keyword",
    "http.response.status_code": "long",
    "event.duration": "long",  # nanoseconds
    "client.ip": "ip",
}

# What is looked for most: the tenant, each model version's time and quality. Then what tells one event from another.
OWN: Final = {
    "request_id": "keyword",
    "tenant": "keyword",
    "model_version": "keyword",
    "generation_time": "float",  # seconds
    "quality_score": "float",  # from 0 to 1
    "model": "keyword",
    "generation": "keyword",
    "case": "keyword",
    "image": "keyword",
    "images": "long",
    "index": "integer",
    "input": "keyword",
    "pool": "keyword",
    "pools": "keyword",
    "lease": "keyword",
    "attempt": "integer",
    "dropped": "boolean",
    "delivery": "keyword",
    "endpoint": "keyword",
    "subject": "keyword",
    "kind": "keyword",
    "outcome": "keyword",
    "status": "keyword",
    "cause": "keyword",
    "breaker": "keyword",
    "to": "keyword",
    "last": "keyword",
    "dependency": "keyword",
    "duty": "keyword",
    "count": "long",
    "cut": "long",
    "seconds": "float",
    "doing": "keyword",
    "check": "keyword",
    "expected": "keyword",
    "found": "keyword",
    "what": "keyword",
    "path": "keyword",
    "port": "integer",
    # OpenTelemetry's name for the route's template; the schema has no field for it, and `url.path` would be wrong.
    "http.route": "keyword",
}
BORROWED: Final = {"http.route"}  # own, below a field set of the schema

# The first parts of the schema's names: an own field must not be one of them.
FIELD_SETS: Final = {
    "agent", "base", "client", "cloud", "container", "data_stream", "destination", "device", "dll", "dns", "ecs",
    "email", "entity", "error", "event", "faas", "file", "gen_ai", "group", "host", "http", "labels", "log", "message",
    "network", "observer", "orchestrator", "organization", "package", "process", "registry", "related", "rule",
    "server", "service", "source", "span", "tags", "threat", "tls", "trace", "transaction", "url", "user",
    "user_agent", "volume", "vulnerability",
}  # fmt: skip

FIELDS: Final = ECS | OWN
