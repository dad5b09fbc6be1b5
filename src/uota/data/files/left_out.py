"""What opening a source left out or decided by itself, counted so that the user is told."""

from collections import Counter

from uota.console import printable

EXAMPLES, KINDS = 3, 12


class LeftOut:
    """Counts what was left out by reason, with a few names for each.

    Attributes:
        counts: by reason, each a phrase that continues "12 file(s) …", such as "are not read: pip install …".
        examples: a few names for each reason.
        remarks: sentences on what opening decided.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.remarks: list[str] = []

    def add(self, reason: str, name: str, count: int = 1) -> None:
        """Add one to the count of a reason, or `count` of which one is named."""
        self.counts[reason] += count
        examples = self.examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(name)

    def add_all(self, other: "LeftOut") -> None:
        """Add the counts, examples and remarks of another."""
        for reason, count in other.counts.items():
            self.counts[reason] += count
            self.examples[reason] = (self.examples.get(reason, []) + other.examples[reason])[:EXAMPLES]
        self.remarks += other.remarks

    def sentences(self) -> list[str]:
        """One sentence for each reason, the most frequent first, then the remarks."""
        first = self.counts.most_common(KINDS)
        counted = [f"{count} {reason}: {self._named(reason, count)}" for reason, count in first]
        if len(self.counts) > KINDS:
            others = self.counts.total() - sum(count for _, count in first)
            counted.append(f"{others} more, of {len(self.counts) - KINDS} other kinds, are not used either")
        return [printable(sentence) for sentence in counted + self.remarks]

    def remarks_of(self, name: str) -> list[str]:
        """The sentences, each after the name of their source."""
        return [f"{printable(name)}: {sentence}" for sentence in self.sentences()]

    def _named(self, reason: str, count: int) -> str:
        named = ", ".join(self.examples[reason])
        return f"{named} …" if count > len(self.examples[reason]) else named
