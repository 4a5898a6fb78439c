"""SQL that tells the largest groups apart and adds up what is left, so that a chart never reads a thousand lines."""

from collections.abc import Mapping


def largest(source: str, measures: Mapping[str, str], *, most: int) -> str:
    """A statement over `source`, which yields `day`, `name` (never NULL) and these measures, by the name of their
    column, each with its SQL type. Yields `day`, `name` and the measures' sums; a name that is among the `most` largest
    of no measure is NULL."""
    places = ", ".join(
        f'row_number() OVER (ORDER BY coalesce(sum({measure}), 0) DESC, name COLLATE "C")' for measure in measures
    )
    sums = ", ".join(f"sum({measure})::{kind}" for measure, kind in measures.items())
    return (
        f"WITH source AS ({source}), "  # noqa: S608  our own text
        f"placed AS (SELECT name, least({places}) <= {most} AS apart FROM source GROUP BY name) "
        f"SELECT day, CASE WHEN apart THEN name END, {sums} FROM source JOIN placed USING (name) "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    )
