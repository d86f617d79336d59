"""The model: which flights it learns from, what it looks up, how it is fitted, tuned and measured."""

from collections.abc import Mapping
from datetime import datetime
from math import nan
from typing import TYPE_CHECKING, Any

from flights.features import LATE, TABLES
from flights.instants import BEGINNING, literal
from flights.raw import LEG

if TYPE_CHECKING:
    import pandas as pd
    from boathouse.feature_engineering import FeatureLookup
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

Parameters = Mapping[str, float]

LABEL = "late"
LABELLED = "features.labelled"
PREDICTION_TIME = "prediction_time"
NOT_FEATURES = ("flight", "tailnum", "ts_dep", PREDICTION_TIME)
"""Columns of the spine that say which flight it is, and when; the model does not see them."""

PLANNED = ("carrier", "origin", "dest", "hour", "minute", "weekday", "distance", "scheduled_minutes")
"""Features that the flight plan itself holds. The month is left out: no year repeats in these data."""

LOOKED_UP = tuple(feature for table in TABLES for feature in table.features)
FEATURES = PLANNED + LOOKED_UP
CATEGORIES = ("carrier", "origin", "dest", "plane_engine", "plane_manufacturer")
NUMBERS = tuple(feature for feature in FEATURES if feature not in CATEGORIES)

BASE = {"max_leaf_nodes": 31, "min_samples_leaf": 20, "max_features": 1.0}
LEARNING_RATE = 0.05
SEED = 0
TUNING_ROWS = 30_000


def departures(begin: datetime, end: datetime) -> str:
    """SQL of the flights to predict in [begin, end), each at its prediction time: 2 h before departure."""
    return f"""
    select {", ".join(LEG)}, tailnum, ts_dep - interval '2 hours' as {PREDICTION_TIME}, hour, minute,
        isodow(flight_date)::int as weekday, distance, scheduled_minutes
    from raw.flights
    where ts_dep >= {literal(begin)} + interval '2 hours' and ts_dep < {literal(end)} + interval '2 hours'
    """


def labels(since: datetime, until: datetime) -> str:
    """SQL of the flights whose label became known in (since, until], with `late` and `label_time`.

    Cancelled and diverted flights never get a label.
    """
    return f"""
    select planned.*, (arrived.arr_delay >= {LATE})::int as {LABEL}, arrived.known_time as label_time
    from ({departures(BEGINNING, until)}) as planned
    join raw.arrivals as arrived using ({", ".join(LEG)})
    where arrived.known_time > {literal(since)} and arrived.known_time <= {literal(until)}
    """


def spine(begin: datetime, end: datetime, as_of: datetime) -> str:
    """SQL of the flights of [begin, end) to learn from, in time order: their label was known `as_of`."""
    return f"""
    select * exclude (label_time) from ({labels(BEGINNING, as_of)})
    where {PREDICTION_TIME} >= {literal(begin)} and {PREDICTION_TIME} < {literal(end)}
    order by {PREDICTION_TIME}, {", ".join(LEG)}
    """


def lookups() -> list["FeatureLookup"]:
    """What is looked up for a flight, as of its prediction time."""
    from boathouse.feature_engineering import FeatureLookup

    return [
        FeatureLookup(
            table_name=table.name,
            lookup_key=list(table.keys),
            feature_names=list(table.features),
            timestamp_lookup_key=PREDICTION_TIME if table.event_time else None,
        )
        for table in TABLES
    ]


def pipeline(
    iterations: int = 200, parameters: Parameters = BASE, learning_rate: float = LEARNING_RATE
) -> "Pipeline":
    """An untrained model that takes raw values: codes of the categories are learned and packaged with it.

    `predict_proba(frame)[:, 1]` is the probability of a late arrival. Missing values and categories
    never seen in training are welcome.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=nan, encoded_missing_value=nan)
    columns = ColumnTransformer(
        [("codes", codes, list(CATEGORIES)), ("numbers", "passthrough", list(NUMBERS))]
    )
    classifier = HistGradientBoostingClassifier(
        max_iter=iterations,
        learning_rate=learning_rate,
        categorical_features=list(range(len(CATEGORIES))),
        early_stopping=False,
        random_state=SEED,
        **parameters,
    )
    return Pipeline([("columns", columns), ("classifier", classifier)])


def inputs(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The model's inputs in order, numbers as floats, for any of them may be missing."""
    return frame[list(FEATURES)].astype(dict.fromkeys(NUMBERS, "float64"))


def fit(model: "Pipeline", frame: "pd.DataFrame") -> "Pipeline":
    """The model, trained on a frame with the columns FEATURES and LABEL."""
    with one_thread():
        return model.fit(inputs(frame), frame[LABEL])


def probability(model: "Pipeline", frame: "pd.DataFrame") -> Any:
    """The probability of a late arrival, one number a row."""
    with one_thread():
        return model.predict_proba(inputs(frame))[:, 1]


def one_thread() -> "threadpool_limits":
    """On few or busy cores, threads that wait for each other cost more than they bring."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, "openmp")


def tune(frame: "pd.DataFrame", iterations: int = 200, trials: int = 5) -> Parameters:
    """The parameters that predict the last 20% of the period best, after learning from the 80% before it.

    Trials take at most TUNING_ROWS rows, and half the trees at twice the learning rate.
    """
    import optuna
    from sklearn.metrics import roc_auc_score

    earlier, later = split(sample(frame, TUNING_ROWS))

    def quality(trial: optuna.Trial) -> float:
        parameters = {
            "max_leaf_nodes": trial.suggest_int("max_leaf_nodes", 7, 63, log=True),
            "min_samples_leaf": trial.suggest_int("min_samples_leaf", 20, 300, log=True),
            "max_features": trial.suggest_float("max_features", 0.3, 1.0),
        }
        model = fit(pipeline(max(iterations // 2, 1), parameters, 2 * LEARNING_RATE), earlier)
        return float(roc_auc_score(later[LABEL], probability(model, later)))

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=SEED))
    study.enqueue_trial(BASE)
    study.optimize(quality, n_trials=trials)
    return dict(study.best_params)


def metrics(model: "Pipeline", frame: "pd.DataFrame") -> dict[str, float]:
    """How well the model predicts rows it has not seen, and its mean beside the share of late flights."""
    from sklearn.metrics import log_loss, roc_auc_score

    predicted, actual = probability(model, frame), frame[LABEL]
    return {
        "rows": len(frame),
        "roc_auc": float(roc_auc_score(actual, predicted)),
        "log_loss": float(log_loss(actual, predicted)),
        "mean_prediction": float(predicted.mean()),
        "mean_label": float(actual.mean()),
    }


def shuffled(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The same rows with each other's labels: what is learned from them is worth nothing."""
    labels_elsewhere = frame[LABEL].sample(frac=1.0, random_state=SEED).to_numpy()
    return frame.assign(**{LABEL: labels_elsewhere})


def sample(frame: "pd.DataFrame", rows: int) -> "pd.DataFrame":
    """At most so many rows of the frame, always the same ones."""
    return frame.sample(rows, random_state=SEED) if len(frame) > rows else frame


def split(frame: "pd.DataFrame", share: float = 0.8) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """The rows to predict first, and the ones that came after them."""
    ordered = frame.sort_values(PREDICTION_TIME, kind="stable")
    cut = int(len(ordered) * share)
    return ordered.iloc[:cut], ordered.iloc[cut:]
