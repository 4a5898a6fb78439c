"""Grafana's dashboards from code: `python deploy/grafana/build.py` writes the JSON files beside this one.

A dashboard is a title and rows; a row is a title and panels; a panel is what it shows, its unit and its queries.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent / "dashboards"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT, COLUMNS = 24, 8, 3


@dataclass(frozen=True)
class Panel:
    """`queries` maps a legend (with {{label}}s) to PromQL. `limit` draws a red line and colors what is above it."""

    title: str
    unit: str
    queries: dict[str, str]
    says: str = ""
    kind: str = "timeseries"
    limit: float | None = None


@dataclass(frozen=True)
class Row:
    title: str
    panels: list[Panel] = field(default_factory=list)


@dataclass(frozen=True)
class Dashboard:
    name: str
    title: str
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        panels: list[dict[str, Any]] = []
        top = 0
        for row in self.rows:
            panels.append(_row(row, len(panels) + 1, top))
            top += 1
            for index, panel in enumerate(row.panels):
                place = {
                    "x": index % COLUMNS * (WIDTH // COLUMNS),
                    "y": top + index // COLUMNS * HEIGHT,
                    "w": WIDTH // COLUMNS,
                    "h": HEIGHT,
                }
                panels.append(_panel(panel, len(panels) + 1, place))
            top += -(-len(row.panels) // COLUMNS) * HEIGHT
        return {
            "uid": f"easel-{self.name}",
            "title": f"Easel: {self.title}",
            "tags": ["easel"],
            "schemaVersion": 41,
            "editable": False,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]},
            "links": [{"type": "dashboards", "tags": ["easel"], "title": "Easel", "asDropdown": True}],
            "panels": panels,
        }


def _row(row: Row, number: int, top: int) -> dict[str, Any]:
    place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": row.title, "gridPos": place, "collapsed": False, "panels": []}


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        drawn = "line" if panel.limit is not None else "off"
        defaults["custom"] = {"fillOpacity": 8, "showPoints": "never", "thresholdsStyle": {"mode": drawn}}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "gridPos": place,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}} if panel.kind == "timeseries" else {},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend, "datasource": SOURCE}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def quantiles(metric: str, by: str = "") -> dict[str, str]:
    """p50, p95 and p99 of a histogram; `by` names labels to keep apart."""
    legend = "".join(f" {{{{{label}}}}}" for label in by.split(",") if label)
    grouped = ", ".join(filter(None, ["le", by]))
    return {
        f"p{share}{legend}": f"histogram_quantile(0.{share}, sum by ({grouped}) (rate({metric}_bucket[5m])))"
        for share in (50, 95, 99)
    }


def main() -> None:
    from definitions import DASHBOARDS

    FOLDER.mkdir(exist_ok=True)
    for dashboard in DASHBOARDS:
        text = json.dumps(dashboard.as_json(), indent=1) + "\n"
        (FOLDER / f"{dashboard.name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
