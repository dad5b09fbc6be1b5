"""The list of benchmarks: python -m benchmarks  (or make bench)"""

from benchmarks import BENCHMARKS


def main() -> None:
    """Print what each benchmark shows and how long it takes."""
    name_width, shows_width = max(map(len, BENCHMARKS)), max(len(each.shows) for each in BENCHMARKS.values())
    print("python -m benchmarks.NAME  (--help says more; --tiny takes seconds, to see whether it runs)\n")
    for name, (shows, takes) in BENCHMARKS.items():
        print(f"  {name:{name_width}}  {shows:{shows_width}}  {takes}")


if __name__ == "__main__":
    main()
