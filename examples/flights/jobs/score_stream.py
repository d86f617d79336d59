"""Score the flights whose prediction time has come since the last time, until --as-of, and end."""

import argparse
from datetime import timedelta

import boathouse

from flights.instants import instant
from flights.scoring import CHAMPION, INFERENCE, score
from flights.watermark import watermark


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="prediction times before this instant")
    parser.add_argument(
        "--from", dest="begin", type=instant, help="where a new stream begins; else a day before"
    )
    parser.add_argument("--model-uri", default=CHAMPION)
    options = parser.parse_args(arguments)

    lake = boathouse.connect()
    first = options.begin or options.as_of - timedelta(days=1)
    scored_until = watermark(lake, INFERENCE, "request_time", "mode = 'stream'") + timedelta(microseconds=1)
    begin = max(first, scored_until)
    rows = score(lake, begin, options.as_of, mode="stream", model_uri=options.model_uri)
    print(f"{rows} flights of [{begin}, {options.as_of}) scored with {options.model_uri}")


if __name__ == "__main__":
    main()
