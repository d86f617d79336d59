"""Train a model on what was known --as-of, measure it on the newest labels, and register a version of it."""

import argparse
from datetime import datetime
from typing import Any

import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

from shop.features import REORDERS
from shop.instants import instant, literal
from shop.model import LABEL, MODEL, NOT_FEATURES, inputs, lookups, metrics, pipeline


def examples(lake: Any, labels: str) -> Any:
    """A training set of the labels that a condition names, with the features that were known on their day."""
    spine = lake.sql(f"select customer_id, day, {LABEL} from {REORDERS.name} where {labels}").to_arrow()
    return FeatureEngineeringClient().create_training_set(
        df=spine, feature_lookups=lookups(), label=LABEL, exclude_columns=list(NOT_FEATURES)
    )


def split_time(lake: Any, as_of: datetime, holdout_days: int) -> datetime:
    """The instant that parts the labels to learn from and those that only measure."""
    [row] = lake.sql(f"""
        select max(label_time) - interval '{holdout_days} days' as split
        from {REORDERS.name} where label_time <= {literal(as_of)}
    """).to_dicts()
    return row["split"]


def main(arguments: list[str] | None = None) -> None:
    import mlflow.sklearn

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="nothing known later is used")
    parser.add_argument("--holdout-days", type=int, default=14, help="the newest labels, kept for measuring")
    parser.add_argument("--strength", type=float, default=1.0, help="inverse of the regularisation")
    options = parser.parse_args(arguments)

    lake = boathouse.connect()
    split = literal(split_time(lake, options.as_of, options.holdout_days))
    known = f"label_time <= {literal(options.as_of)}"
    learned, held_out = (examples(lake, f"{known} and label_time {side} {split}") for side in ("<=", ">"))
    frame = learned.load_df().toPandas()
    with mlflow.start_run(run_name=f"reorder as of {options.as_of:%Y-%m-%d}"):
        model = pipeline(options.strength).fit(inputs(frame), frame[LABEL])
        measured = metrics(model, held_out.load_df().toPandas())
        mlflow.log_params({**vars(options), "rows": len(frame)})
        mlflow.log_metrics({f"held_out_{name}": value for name, value in measured.items()})
        FeatureEngineeringClient().log_model(
            model=model,
            artifact_path="model",
            flavor=mlflow.sklearn,
            training_set=learned,
            registered_model_name=MODEL,
        )
    print(
        f"learned from {len(frame)} rows; roc_auc {measured['roc_auc']:.3f} on {measured['rows']} later ones"
    )


if __name__ == "__main__":
    main()
