"""Train, tune and register the model on flights whose label was known --as-of; the last days are held out."""

import argparse
from datetime import datetime, timedelta
from importlib.metadata import version
from typing import Any

import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

from flights import training
from flights.instants import BEGINNING, instant
from flights.scoring import MODEL

REQUIREMENTS = ("pandas", "scikit-learn", "skops")
TRUSTED_TYPES = [
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
]
"""The model is saved without pickles; these are the types it is made of that skops does not know."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="nothing known later is used")
    parser.add_argument("--from", dest="begin", type=instant, default=BEGINNING, help="first prediction time")
    parser.add_argument(
        "--holdout-days", type=float, default=14, help="days before --as-of that only measure"
    )
    parser.add_argument("--sample", type=float, default=1.0, help="share of the flights to learn from")
    parser.add_argument("--iterations", type=int, default=200, help="number of trees")
    parser.add_argument("--trials", type=int, default=5, help="sets of parameters to try; 0 does not tune")
    parser.add_argument(
        "--shuffle-labels", choices=["true", "false"], default="false", help="a bad model, on purpose"
    )
    return parser.parse_args(arguments)


def examples(lake: Any, begin: datetime, end: datetime, as_of: datetime) -> tuple[Any, Any]:
    """The training set of the flights of [begin, end), and its rows with the prediction time beside them."""
    flights = lake.sql(training.spine(begin, end, as_of)).to_arrow()
    data = FeatureEngineeringClient().create_training_set(
        df=flights,
        feature_lookups=training.lookups(),
        label=training.LABEL,
        exclude_columns=list(training.NOT_FEATURES),
    )
    frame, planned = data.load_df().toPandas(), flights.select(list(training.PLANNED)).to_pandas()
    # The time is no feature, but later rows must be told apart: lookups keep the order of the flights.
    if not frame[list(training.PLANNED)].eq(planned).all(axis=None):
        raise RuntimeError("the training set does not have the order of its flights: cannot split it by time")
    return data, frame.assign(**{training.PREDICTION_TIME: flights[training.PREDICTION_TIME].to_pandas()})


def main(arguments: list[str] | None = None) -> None:
    import mlflow.sklearn

    options = parse(arguments)
    lake = boathouse.connect()
    learn_until = options.as_of - timedelta(days=options.holdout_days)
    data, frame = examples(lake, options.begin, learn_until, options.as_of)
    if options.sample < 1:
        frame = training.sample(frame, round(len(frame) * options.sample))
    if options.shuffle_labels == "true":
        frame = training.shuffled(frame)

    with mlflow.start_run(run_name=f"training as of {options.as_of:%Y-%m-%d}"):
        tuned = training.tune(frame, options.iterations, options.trials) if options.trials else training.BASE
        mlflow.log_params({**vars(options), **tuned, "learn_until": learn_until, "rows": len(frame)})
        model = training.fit(training.pipeline(options.iterations, tuned), frame)
        if learn_until < options.as_of:
            _, held_out = examples(lake, learn_until, options.as_of, options.as_of)
            mlflow.log_metrics({f"held_out_{k}": v for k, v in training.metrics(model, held_out).items()})
        FeatureEngineeringClient().log_model(
            model=model,
            artifact_path="model",
            flavor=mlflow.sklearn,
            training_set=data,
            registered_model_name=MODEL,
            pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            skops_trusted_types=TRUSTED_TYPES,
            pyfunc_predict_fn="predict_proba",
        )


if __name__ == "__main__":
    main()
