"""The older class, with its arguments by position."""

import pandas as pd

from boathouse.feature_store import FeatureLookup, FeatureStoreClient

fs = FeatureStoreClient()
ts = pd.to_datetime(["2024-01-01", "2024-01-02"], utc=True)
features = pd.DataFrame({"customer_id": [1, 1], "ts": ts, "score": [0.5, 0.75]})
fs.create_table("dev.legacy.scores", ["customer_id"], features, timestamp_keys="ts", description="scores")
fs.write_table("dev.legacy.scores", features.assign(score=0.25)[:1], "merge")
spine = pd.DataFrame({"customer_id": [1], "ts": ts[1:], "label": [1]})
lookups = [FeatureLookup("dev.legacy.scores", "customer_id", feature_names="score", timestamp_lookup_key="ts")]
training = fs.create_training_set(spine, lookups, "label", exclude_columns=None).load_df().toPandas()
rows = fs.read_table("dev.legacy.scores").toPandas()
fs.drop_table("dev.legacy.scores")
