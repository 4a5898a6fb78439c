"""The index template, the life cycle and Kibana's objects from code: `python -m deploy.elk.build` writes the files.

Kibana's charts are aggregation-based visualizations: their saved form has been the same since Kibana 7.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from deploy.elk.fields import FIELDS

FOLDER: Final = Path(__file__).parent
STREAM: Final = "logs-easel-*"
VIEW: Final = "easel-logs"
KEPT: Final = "200d"  # logs of half a year are asked for by rules of several countries
WIDTH, HEIGHT = 24, 15  # Kibana's grid has 48 columns


@dataclass(frozen=True)
class Chart:
    """`metric` over time, one line for each value of `split`, of the lines that `query` (KQL) finds."""

    name: str
    title: str
    metric: tuple[str, str | None]  # an aggregation and its field
    split: str | None
    query: str
    label: str


CHARTS: Final = (
    Chart("quality", "Quality score by model version", ("avg", "quality_score"), "model_version",
          'message: "production.ended"', "mean quality score"),
    Chart("time", "Generation time by model version", ("avg", "generation_time"), "model_version",
          'message: "production.ended"', "mean seconds"),
    Chart("slow", "Slowest answers by route", ("max", "event.duration"), "http.route",
          'message: "answered"', "nanoseconds"),
    Chart("answers", "Answers by status", ("count", None), "http.response.status_code",
          'message: "answered"', "answers"),
    Chart("trouble", "Warnings and errors by process", ("count", None), "process.name",
          "log.level: (warning or error or critical)", "lines"),
    Chart("webhooks", "Webhooks by outcome", ("count", None), "outcome",
          'message: "webhooks.told"', "attempts"),
)  # fmt: skip
BOARDS: Final = {
    "models": ("Easel: quality and time by model version", ("quality", "time")),
    "service": ("Easel: service", ("answers", "slow", "trouble", "webhooks")),
}


def life_cycle() -> dict[str, Any]:
    return {
        "policy": {
            "phases": {
                "hot": {"actions": {"rollover": {"max_age": "1d", "max_primary_shard_size": "30gb"}}},
                "warm": {"min_age": "7d", "actions": {"shrink": {"number_of_shards": 1}, "forcemerge": {
                    "max_num_segments": 1}}},
                "delete": {"min_age": KEPT, "actions": {"delete": {}}},
            }
        }
    }  # fmt: skip


def template() -> dict[str, Any]:
    """For the data stream logs-easel-default. A field that is in no table is kept in the document and not indexed: a
    new one can neither break a mapping nor fill it."""
    return {
        "index_patterns": [STREAM],
        "priority": 500,
        "data_stream": {},
        "template": {
            "settings": {"index.lifecycle.name": "easel-logs", "index.number_of_replicas": 1, "index.codec":
                         "best_compression"},
            "mappings": {"dynamic": False, "properties": properties()},
        },
        "_meta": {"description": "Easel's log lines: Elastic Common Schema and Easel's own fields"},
    }  # fmt: skip


def properties() -> dict[str, Any]:
    """Nested as Elasticsearch wants it."""
    made: dict[str, Any] = {}
    for name, kind in sorted(FIELDS.items()):
        *above, last = name.split(".")
        place = made
        for part in above:
            place = place.setdefault(part, {"properties": {}})["properties"]
        place[last] = {"type": kind, "ignore_above": 1024} if kind == "keyword" else {"type": kind}
    return made


def kibana() -> list[dict[str, Any]]:
    """The lines of a saved objects' export, in the order in which they can be imported."""
    view = {"title": STREAM, "name": "Easel logs", "timeFieldName": "@timestamp"}
    objects = [_saved("index-pattern", VIEW, view)]
    objects += [_saved("visualization", f"easel-{chart.name}", _chart(chart), data=VIEW) for chart in CHARTS]
    objects += [
        _saved("dashboard", f"easel-{name}", _board(title, charts), charts=charts)
        for name, (title, charts) in BOARDS.items()
    ]
    return objects


def _chart(chart: Chart) -> dict[str, Any]:
    kind, field = chart.metric
    value = {"id": "1", "enabled": True, "type": kind, "schema": "metric",
             "params": {"customLabel": chart.label} | ({"field": field} if field else {})}  # fmt: skip
    time = {"id": "2", "enabled": True, "type": "date_histogram", "schema": "segment",
            "params": {"field": "@timestamp", "interval": "auto", "min_doc_count": 1}}  # fmt: skip
    aggregations = [value, time]
    if chart.split:
        aggregations.append(
            {"id": "3", "enabled": True, "type": "terms", "schema": "group",
             "params": {"field": chart.split, "size": 10, "order": "desc", "orderBy": "1"}}
        )  # fmt: skip
    state = {"title": chart.title, "type": "line", "aggs": aggregations, "params": {"type": "line", "addLegend": True}}
    search = {
        "query": {"query": chart.query, "language": "kuery"},
        "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index",
    }
    return {
        "title": f"Easel: {chart.title}",
        "visState": json.dumps(state),
        "uiStateJSON": "{}",
        "description": "",
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(search)},
    }


def _board(title: str, charts: tuple[str, ...]) -> dict[str, Any]:
    panels = [
        {
            "type": "visualization",
            "panelIndex": name,
            "panelRefName": f"panel_{name}",
            "embeddableConfig": {},
            "gridData": {"i": name, "x": index % 2 * WIDTH, "y": index // 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
        }
        for index, name in enumerate(charts)
    ]
    search = {"query": {"query": "", "language": "kuery"}, "filter": []}
    return {
        "title": title,
        "description": "",
        "panelsJSON": json.dumps(panels),
        "optionsJSON": json.dumps({"useMargins": True}),
        "timeRestore": True,
        "timeFrom": "now-7d",
        "timeTo": "now",
        "kibanaSavedObjectMeta": {"searchSourceJSON": json.dumps(search)},
    }


def _saved(
    kind: str, name: str, attributes: dict[str, Any], *, data: str = "", charts: tuple[str, ...] = ()
) -> dict[str, Any]:
    references = [{"type": "visualization", "id": f"easel-{each}", "name": f"panel_{each}"} for each in charts]
    if data:
        place = "kibanaSavedObjectMeta.searchSourceJSON.index"
        references.append({"type": "index-pattern", "id": data, "name": place})
    return {"type": kind, "id": name, "attributes": attributes, "references": references}


def files() -> dict[Path, str]:
    lines = "".join(json.dumps(each) + "\n" for each in kibana())
    return {
        FOLDER / "elasticsearch/life-cycle.json": json.dumps(life_cycle(), indent=2) + "\n",
        FOLDER / "elasticsearch/index-template.json": json.dumps(template(), indent=2) + "\n",
        FOLDER / "kibana/easel.ndjson": lines,
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text)
