"""Seeds that follow from where a run stands, so that a resumed run draws what an uninterrupted one would."""


def seed_of(*numbers: int) -> int:
    """A seed of 63 bits from integers such as a run's seed, a step and a rank; the same on every machine.

    Python randomises the hashes of strings, but not those of integers.
    """
    return hash(numbers) % 2**63
