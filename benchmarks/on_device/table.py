"""Format the results of the parts as tables."""

from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]

RECIPE = ("recipe", "arbiter", "batch", "losses", "images_per_second", "step_seconds", "arbiter_share", "peak_gib")
FLOAT32 = ("recipe", "loss", "loss_apart", "gradients_apart", "equal")
SMOKE = ("arbiter", "precision", "knn", "train_seconds", "evaluate_seconds")


def shown(value: Any) -> str:
    """Format a value for a cell."""
    if value is None:
        return ""
    if isinstance(value, float) and 0 < abs(value) < 1e-3:
        return f"{value:.1e}"
    if isinstance(value, list | tuple):
        return ", ".join(shown(each) for each in value)
    return str(value)


def lines_of(title: str, rows: Sequence[Row], columns: Sequence[str]) -> Iterator[str]:
    """Yield a table of these columns under its title, with the errors of rows; nothing without rows."""
    if not rows:
        return
    yield f"\n## {title}\n"
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        cells = [shown(row.get(name)) for name in columns]
        yield "| " + " | ".join(cells) + " |" + (f" {row['error']}" if "error" in row else "")


def of_recipes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield tables of the published recipes and their small versions, and count the correct rows."""
    parts = {name: [row for row in rows if row["part"] == name] for name in ("recipe", "float32")}
    yield from lines_of("Published recipes on one device, bf16", parts["recipe"], RECIPE)
    yield from lines_of("First step in float32, beside the CPU's", parts["float32"], FLOAT32)
    wrong = [row["recipe"] for row in rows if not (row.get("finite") or row.get("equal"))]
    yield f"\n{len(rows) - len(wrong)} of {len(rows)} rows are finite or equal" + (f"; not: {wrong}" if wrong else "")
