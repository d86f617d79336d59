"""The model: what it looks up about a customer, how it is made and how it is measured."""

from typing import TYPE_CHECKING

from shop.features import CUSTOMER_ORDERS

if TYPE_CHECKING:
    import pandas as pd
    from boathouse.feature_engineering import FeatureLookup
    from sklearn.pipeline import Pipeline

MODEL = "shop.reorder"
CHAMPION = f"models:/{MODEL}@champion"
LABEL = "reordered"
NOT_FEATURES = ("customer_id", "day")
"""Columns that say who is asked about and when; the model does not see them."""

NUMBERS = ("orders_30d", "spend_30d", "days_since_order", "newsletter")
CATEGORIES = ("city",)


def lookups() -> "list[FeatureLookup]":
    """Where the features come from. The model takes this list with it, into batch jobs and the endpoint."""
    from boathouse.feature_engineering import FeatureLookup

    return [
        FeatureLookup(
            table_name=CUSTOMER_ORDERS.name,
            lookup_key="customer_id",
            timestamp_lookup_key="day",
            feature_names=list(CUSTOMER_ORDERS.columns),
        ),
        FeatureLookup(
            table_name="raw.customers",
            lookup_key="customer_id",
            timestamp_lookup_key="day",
            feature_names=["city", "newsletter"],
        ),
    ]


def pipeline(strength: float = 1.0) -> "Pipeline":
    """An untrained model that takes features as they are, gaps and new cities included.

    `strength` is the inverse of the regularisation, as scikit-learn's `C`.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    columns = ColumnTransformer(
        [
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), list(NUMBERS)),
            ("categories", OneHotEncoder(handle_unknown="ignore"), list(CATEGORIES)),
        ]
    )
    return make_pipeline(columns, LogisticRegression(C=strength))


def inputs(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The model's features in order."""
    return frame[[*NUMBERS, *CATEGORIES]]


def metrics(model: "Pipeline", frame: "pd.DataFrame") -> dict[str, float]:
    """How well the model predicts rows it has not seen."""
    from sklearn.metrics import log_loss, roc_auc_score

    predicted, actual = model.predict_proba(inputs(frame))[:, 1], frame[LABEL]
    return {
        "rows": len(frame),
        "roc_auc": float(roc_auc_score(actual, predicted)),
        "log_loss": float(log_loss(actual, predicted)),
    }
