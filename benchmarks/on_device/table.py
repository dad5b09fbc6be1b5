"""Format the results of the parts as tables."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]

RECIPE = ("recipe", "arbiter", "batch", "losses", "images_per_second", "step_seconds", "arbiter_share", "peak_gib")
FLOAT32 = ("recipe", "loss", "loss_apart", "gradients_apart", "equal")
NOT_RUN = "not run"
SPEED = (
    *("method", "backbone", "batch", "what", "arbiter", "images", "views_on"),
    *("images_per_second", "of_network", "over_lightly", "arbiter_share", "peak_gib"),
)
# Of a training with views made on the device, of the network's rate; of lightly's from files; and of a step.
GOALS = "goals: of_network 0.65, over_lightly 2, arbiter_share 0.01 (mahalanobis) and 0.03 (learned)"
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
    """Yield a table of these columns under its title, with the errors of rows; not run without rows."""
    yield f"\n## {title}\n"
    if not rows:
        yield NOT_RUN
        return
    yield "| " + " | ".join(columns) + " |"
    yield "|" + " --- |" * len(columns)
    for row in rows:
        cells = [shown(row.get(name)) for name in columns]
        yield "| " + " | ".join(cells) + " |" + (f" {row['error']}" if "error" in row else "")


def of_tests(file: Path) -> Iterator[str]:
    """Yield the failures and the summary of the tests."""
    lines = file.read_text().splitlines() if file.exists() else [NOT_RUN]
    failed = [line for line in lines[:-1] if line.startswith(("FAILED", "ERROR"))]
    yield "\n## Tests on the device\n"
    yield from [*failed, *lines[-1:]]
    if not any(word in lines[-1] for word in ("passed", "failed", "skipped", "error", NOT_RUN)):
        yield "stopped before their end"


def of_speed(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of whole trainings, with their rates relative to the network's and to lightly's."""
    if not rows:
        yield f"\n## Speed of whole trainings\n\n{NOT_RUN}"
        return
    network, theirs = (
        {row["method"]: row.get("images_per_second") for row in rows if row["what"] == what}
        for what in ("network", "lightly")
    )
    shown_rows = [
        row
        | _relative(row, "of_network", network.get(row["method"]))
        | (_relative(row, "over_lightly", theirs.get(row["method"])) if row.get("images") == "jpeg" else {})
        for row in rows
    ]
    rounded = [{name: round(x, 3) if isinstance(x, float) else x for name, x in row.items()} for row in shown_rows]
    yield from lines_of("Speed of whole trainings, bf16", rounded, SPEED)
    yield f"\n{GOALS}"


def _relative(row: Row, name: str, to: float | None) -> Row:
    """Return a row's rate relative to another, if there are both."""
    return {name: row["images_per_second"] / to} if to and row.get("images_per_second") else {}


def of_recipes(rows: Sequence[Row]) -> Iterator[str]:
    """Yield tables of the published recipes and their small versions, and count the correct rows."""
    if not rows:
        yield f"\n## Published recipes\n\n{NOT_RUN}"
        return
    parts = {name: [row for row in rows if row["part"] == name] for name in ("recipe", "float32")}
    yield from lines_of("Published recipes on one device, bf16", parts["recipe"], RECIPE)
    yield from lines_of("First step in float32, beside the CPU's", parts["float32"], FLOAT32)
    wrong = [row["recipe"] for row in rows if not (row.get("finite") or row.get("equal"))]
    yield f"\n{len(rows) - len(wrong)} of {len(rows)} rows are finite or equal" + (f"; not: {wrong}" if wrong else "")
