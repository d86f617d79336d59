"""Predict for every customer on every Monday since the last time, until --as-of, as known on that day."""

import argparse

import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

from shop.features import CUSTOMER_ORDERS
from shop.instants import instant, literal, newest
from shop.model import CHAMPION, MODEL


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="the last Monday to score, inclusive")
    parser.add_argument("--from", dest="begin", type=instant, required=True, help="the first Monday ever")
    parser.add_argument("--model-uri", default=CHAMPION)
    options = parser.parse_args(arguments)

    lake = boathouse.connect()
    scored_until = newest(lake, f"{MODEL}_inference", "request_time", where="mode = 'batch'")
    # The id is made of customer and day: whoever is scored again is recognised as the same request.
    requests = lake.sql(f"""
        select concat_ws('-', 'customer', customer_id, strftime(day, '%Y%m%d')) as request_id,
            day as request_time, customer_id, day
        from {CUSTOMER_ORDERS.name}
        where isodow(day) = 1 and day >= {literal(options.begin)}
            and day > {literal(scored_until)} and day <= {literal(options.as_of)}
    """).to_arrow()
    if requests.num_rows:
        FeatureEngineeringClient().score_batch(model_uri=options.model_uri, df=requests, log_to=MODEL)
    print(f"{requests.num_rows} predictions of {options.model_uri} are in {MODEL}_inference")


if __name__ == "__main__":
    main()
