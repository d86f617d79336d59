"""Score all flights whose prediction time lies in [--from, --to) and log the predictions."""

import argparse

import boathouse

from flights.instants import instant
from flights.scoring import CHAMPION, score


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="begin", type=instant, required=True, help="first prediction time")
    parser.add_argument("--to", dest="end", type=instant, required=True, help="end of the period, exclusive")
    parser.add_argument("--model-uri", default=CHAMPION)
    options = parser.parse_args(arguments)

    rows = score(boathouse.connect(), options.begin, options.end, mode="batch", model_uri=options.model_uri)
    print(f"{rows} flights scored with {options.model_uri}")


if __name__ == "__main__":
    main()
