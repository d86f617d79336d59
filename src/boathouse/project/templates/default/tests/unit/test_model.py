import numpy as np
import pandas as pd

from shop.features import REORDERS
from shop.model import CATEGORIES, LABEL, NOT_FEATURES, NUMBERS, inputs, metrics, pipeline


def customers(rows: int = 400) -> pd.DataFrame:
    """Customers who order again when they ordered much before, with every feature the model knows."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=rows) for name in NUMBERS})
    frame["city"] = random.choice(["Bergen", "Oslo"], rows)
    return frame.assign(
        **{LABEL: (frame["orders_30d"] + random.normal(scale=0.3, size=rows) > 0).astype(int)}
    )


def test_a_model_learns_what_there_is_to_learn() -> None:
    earlier, later = customers()[:300], customers()[300:]
    measured = metrics(pipeline().fit(inputs(earlier), earlier[LABEL]), later)
    assert measured["roc_auc"] > 0.9
    assert measured["rows"] == 100


def test_gaps_and_new_cities_are_scored() -> None:
    frame = customers()
    model = pipeline().fit(inputs(frame), frame[LABEL])
    stranger = pd.DataFrame([dict.fromkeys(NUMBERS, np.nan) | {"city": "Narvik"}])
    assert 0 < model.predict_proba(inputs(stranger))[0, 1] < 1


def test_neither_the_outcome_nor_who_it_is_is_a_feature() -> None:
    assert not {*REORDERS.columns, "label_time", *NOT_FEATURES} & {*NUMBERS, *CATEGORIES}
