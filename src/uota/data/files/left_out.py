"""What opening a source left out or decided by itself, so that nothing of it happens in silence."""

from collections import Counter

from uota.console import printable

EXAMPLES, KINDS = 3, 12


class LeftOut:
    """Counts what was left out, and keeps some names for each reason.

    Attributes:
        counts: by the reason, which reads on from "12 file(s)": "are HEIC images, not read: pip install …".
        examples: some names for each.
        remarks: sentences on what was decided.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.remarks: list[str] = []

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Count one more, or several of which one is named."""
        self.counts[reason] += count
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(name)

    def add_all(self, other: "LeftOut") -> None:
        """Count what another counted, too."""
        for reason, count in other.counts.items():
            self.counts[reason] += count
            self.examples[reason] = (self.examples.get(reason, []) + other.examples[reason])[:EXAMPLES]
        self.remarks += other.remarks

    def sentences(self) -> list[str]:
        """One for each reason, the most frequent first, and the remarks."""
        first = self.counts.most_common(KINDS)
        counted = [f"{count} {reason}: {self._named(reason, count)}" for reason, count in first]
        if len(self.counts) > KINDS:
            others = self.counts.total() - sum(count for _, count in first)
            counted.append(f"{others} more, of {len(self.counts) - KINDS} other kinds, are not used either")
        return [printable(sentence) for sentence in counted + self.remarks]

    def _named(self, reason: str, count: int) -> str:
        named = ", ".join(self.examples[reason])
        return f"{named} …" if count > len(self.examples[reason]) else named
