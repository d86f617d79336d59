"""A feature table, lookups with every argument, a function on demand, a spec, a model, and a batch that it scores."""

import datetime

import mlflow.sklearn
import pandas as pd
from sklearn.linear_model import LogisticRegression

from boathouse.feature_engineering import FeatureEngineeringClient, FeatureFunction, FeatureLookup

fe = FeatureEngineeringClient()
days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-03"], utc=True)
customers = pd.DataFrame({"customer_id": [1, 1, 2], "ts": days, "visits": [1, 2, 7], "spent": [10.0, 20.0, 70.0]})

table = fe.create_table(
    name="dev.shop.customers", primary_keys=["customer_id", "ts"], timeseries_column="ts", df=customers,
    description="visits and spending of a customer", tags={"team": "shop"},
)  # fmt: skip
fe.write_table(name="dev.shop.customers", mode="merge",
               df=pd.DataFrame({"customer_id": [2], "ts": days[1:2], "visits": [5], "spent": [50.0]}))  # fmt: skip
fe.set_feature_table_tag(name="dev.shop.customers", key="owner_team", value="growth")
fe.create_table(name="dev.shop.places", primary_keys="place", schema="place STRING, tax DOUBLE")
fe.write_table(name="dev.shop.places", df=pd.DataFrame({"place": ["Linz", "Graz"], "tax": [0.1, 0.2]}))
spark.sql("""
    CREATE OR REPLACE FUNCTION dev.shop.with_tax(amount DOUBLE, tax DOUBLE) RETURNS DOUBLE
    LANGUAGE PYTHON AS $$ return None if amount is None or tax is None else amount * (1 + tax) $$
""")  # noqa: F821

spine = pd.DataFrame({
    "id": [1, 2, 3], "place": ["Linz", "Graz", "Linz"], "bought": [0, 1, 0],
    "at": pd.to_datetime(["2024-01-02 12:00", "2024-01-03 12:00", "2024-02-20 00:00"], utc=True),
})  # fmt: skip
lookups = [
    FeatureLookup(
        table_name="dev.shop.customers", lookup_key=["id"], feature_names=["visits", "spent"],
        rename_outputs={"visits": "recent_visits"}, timestamp_lookup_key="at",
        lookback_window=datetime.timedelta(days=7), default_values={"recent_visits": 0, "spent": 0.0},
    ),
    FeatureLookup(table_name="dev.shop.places", lookup_key="place"),
    FeatureFunction(udf_name="dev.shop.with_tax", input_bindings={"amount": "spent", "tax": "tax"}, output_name="gross"),
]  # fmt: skip
training_set = fe.create_training_set(df=spine, feature_lookups=lookups, label="bought", exclude_columns=["id", "place", "at"])
training_df = training_set.load_df().toPandas()
unsupervised = fe.create_training_set(df=spine, feature_lookups=lookups[:1], label=None, exclude_columns=None)
everything = unsupervised.load_df().toPandas()

fe.create_feature_spec(name="dev.shop.customer_spec", features=lookups, exclude_columns=["tax"])
by_spec = fe.create_training_set(df=spine, feature_spec="dev.shop.customer_spec", label="bought", exclude_columns=None)
spec_columns = list(by_spec.load_df().toPandas().columns)

model = LogisticRegression().fit(training_df.drop(columns="bought"), training_df["bought"])
fe.log_model(
    model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=training_set,
    registered_model_name="dev.shop.buys", await_registration_for=60, infer_input_example=False,
    extra_pip_requirements=["pandas"],
)  # fmt: skip
batch = spine.drop(columns="bought")
scored = fe.score_batch(model_uri="models:/dev.shop.buys/1", df=batch, result_type="double", env_manager="local").toPandas()
overridden = fe.score_batch(model_uri="models:/dev.shop.buys/1", df=batch.assign(recent_visits=9)).toPandas()

fe.delete_feature_table_tag(name="dev.shop.customers", key="owner_team")
tags = fe.get_table(name="dev.shop.customers").tags
fe.delete_feature_spec(name="dev.shop.customer_spec")
