"""What a new version must pass."""

import json
from dataclasses import replace
from math import inf, nan

import pytest

from boathouse.delivery import Check, Evidence, Threshold, Verdict, decide
from boathouse.errors import InvalidInput

AUC = {"roc_auc": Threshold(min=0.68, not_worse_than_champion_by=0.005)}
GOOD = Evidence(candidate={"roc_auc": 0.71}, champion={"roc_auc": 0.70}, champion_version="3", rows=5000)


def only(verdict: Verdict, name: str) -> Check:
    (check,) = [check for check in verdict.checks if check.name == name]
    return check


def test_a_better_candidate_passes() -> None:
    verdict = decide(GOOD, AUC)
    assert verdict.outcome == "pass"
    assert "roc_auc 0.71 against the 0.7 of champion 3 is within 0.005" in verdict.reasons


def test_below_the_minimum_fails_with_both_numbers() -> None:
    verdict = decide(replace(GOOD, candidate={"roc_auc": 0.512}, champion=None), AUC)
    assert verdict.outcome == "fail"
    assert verdict.reasons == ("roc_auc 0.512 is below the minimum 0.68",)


def test_above_the_maximum_fails_with_both_numbers() -> None:
    verdict = decide(replace(GOOD, candidate={"rmse": 4.25}), {"rmse": Threshold(max=4)})
    assert verdict.reasons == ("rmse 4.25 is above the maximum 4",)


def test_a_limit_itself_is_kept() -> None:
    assert (
        decide(replace(GOOD, candidate={"roc_auc": 0.68}), {"roc_auc": Threshold(0.68, 0.68)}).outcome
        == "pass"
    )


def test_numbers_that_are_close_are_shown_apart() -> None:
    verdict = decide(replace(GOOD, candidate={"roc_auc": 0.679999}), {"roc_auc": Threshold(min=0.68)})
    assert verdict.reasons == ("roc_auc 0.679999 is below the minimum 0.68",)


def test_the_first_version_passes_the_comparison_and_says_why() -> None:
    verdict = decide(replace(GOOD, champion=None), AUC)
    assert verdict.outcome == "pass"
    reason = only(verdict, "roc_auc against the champion").reason
    assert reason == "there is no champion yet, so roc_auc 0.71 is not compared"


@pytest.mark.parametrize(("value", "outcome"), [(0.695, "pass"), (0.6949, "fail"), (0.8, "pass")])
def test_a_candidate_may_fall_behind_by_the_tolerance(value: float, outcome: str) -> None:
    assert decide(replace(GOOD, candidate={"roc_auc": value}), AUC).outcome == outcome


@pytest.mark.parametrize("metric", ["log_loss", "brier", "rmse"])
def test_a_higher_loss_is_worse(metric: str) -> None:
    asked = {metric: Threshold(not_worse_than_champion_by=0.01)}
    assert decide(replace(GOOD, candidate={metric: 0.3}, champion={metric: 0.5}), asked).outcome == "pass"
    verdict = decide(replace(GOOD, candidate={metric: 0.5}, champion={metric: 0.3}), asked)
    assert verdict.reasons == (f"{metric} 0.5 is 0.2 worse than the 0.3 of champion 3, and 0.01 is allowed",)


def test_a_metric_of_ones_own_must_say_which_way_is_better() -> None:
    own = replace(GOOD, candidate={"lift": 2.0}, champion={"lift": 1.5})
    verdict = decide(own, {"lift": Threshold(not_worse_than_champion_by=0)})
    assert verdict.outcome == "fail"
    assert "whether higher or lower is better" in verdict.reasons[0]
    assert (
        decide(own, {"lift": Threshold(not_worse_than_champion_by=0, direction="higher")}).outcome == "pass"
    )
    assert decide(own, {"lift": Threshold(not_worse_than_champion_by=0, direction="lower")}).outcome == "fail"


def test_a_missing_metric_fails() -> None:
    verdict = decide(replace(GOOD, candidate={}), AUC)
    assert verdict.outcome == "fail"
    assert verdict.reasons[0] == "roc_auc was not measured, and it has a threshold"


@pytest.mark.parametrize("value", [nan, inf, -inf])
@pytest.mark.parametrize(
    "asked", [Threshold(min=0), Threshold(max=1), Threshold(not_worse_than_champion_by=9e9)]
)
def test_what_is_no_number_never_passes(value: float, asked: Threshold) -> None:
    assert decide(replace(GOOD, candidate={"roc_auc": value}), {"roc_auc": asked}).outcome == "fail"
    assert (
        decide(replace(GOOD, champion=None, candidate={"roc_auc": value}), {"roc_auc": asked}).outcome
        == "fail"
    )


@pytest.mark.parametrize("champion", [{}, {"roc_auc": nan}])
def test_a_champion_without_a_number_leaves_it_to_a_person(champion: dict[str, float]) -> None:
    verdict = decide(replace(GOOD, champion=champion), AUC)
    assert verdict.outcome == "hold"
    assert verdict.reasons == ("roc_auc 0.71 cannot be compared: there is no number of champion 3",)


def test_too_few_rows_hold_and_say_how_many_are_missing() -> None:
    verdict = decide(replace(GOOD, rows=80, candidate={"roc_auc": 0.1}), AUC, min_rows=100)
    assert verdict.outcome == "hold"
    assert verdict.reasons == ("it was measured on 80 rows, and 100 are needed: 20 are missing",)
    assert not [check for check in verdict.checks if "roc_auc" in check.name]


def test_a_version_that_does_not_load_fails_at_once() -> None:
    verdict = decide(replace(GOOD, loads=False, load_error="no module named lightgbm"), AUC)
    assert verdict.checks[1:] == (Check("loads", "fail", "the version does not load: no module named lightgbm"),)


def test_a_signature_and_every_feature_are_needed() -> None:
    verdict = decide(replace(GOOD, has_signature=False, missing_features=("features.weather.wind",)), AUC)
    assert only(verdict, "signature").outcome == "fail"
    assert only(verdict, "features").reason == "1 features are not in this environment: features.weather.wind"


def test_one_bad_slice_fails_a_good_average() -> None:
    slices = {
        "origin = JFK": {"roc_auc": (0.60, 0.70)},
        "origin = LGA": {"roc_auc": (0.75, 0.70), "f1": (0, 1)},
    }
    verdict = decide(replace(GOOD, slices=slices), AUC)
    assert verdict.outcome == "fail"
    expected = (
        "roc_auc where origin = JFK 0.6 is 0.1 worse than the 0.7 of the champion, and 0.005 is allowed"
    )
    assert verdict.reasons == (expected,)


def test_slices_can_have_a_tolerance_of_their_own() -> None:
    asked = {"roc_auc": Threshold(not_worse_than_champion_by=0.005, slices_not_worse_by=0.2)}
    slices = {"origin = JFK": {"roc_auc": (0.60, 0.70)}}
    assert decide(replace(GOOD, slices=slices), asked).outcome == "pass"
    assert decide(replace(GOOD, slices={"s": {"roc_auc": (nan, 0.7)}}), asked).outcome == "fail"


def test_latency_is_judged_where_a_limit_is_set() -> None:
    assert decide(replace(GOOD, latency_ms=12.5), AUC, max_latency_ms=250).outcome == "pass"
    slow = decide(replace(GOOD, latency_ms=300), AUC, max_latency_ms=250)
    assert slow.reasons == ("latency 300 ms is above the limit 250 ms",)
    assert decide(GOOD, AUC, max_latency_ms=250).outcome == "fail"


def test_the_projects_own_checks_count() -> None:
    custom = (Check("fairness", "fail", "recall differs by 0.2 between airports"),)
    verdict = decide(replace(GOOD, custom=custom), AUC)
    assert verdict.reasons == ("recall differs by 0.2 between airports",)
    with pytest.raises(InvalidInput, match="use pass, hold or fail"):
        Check("fairness", "maybe", "who knows")  # type: ignore[arg-type]


def test_approval_holds_what_would_pass_and_not_what_fails() -> None:
    assert decide(GOOD, AUC, approval_required=True).outcome == "hold"
    assert decide(replace(GOOD, candidate={"roc_auc": 0.1}), AUC, approval_required=True).outcome == "fail"


def test_the_interval_explains_the_comparison() -> None:
    verdict = decide(replace(GOOD, differences={"roc_auc": (0.01, -0.002, 0.021)}), AUC)
    reason = only(verdict, "roc_auc against the champion").reason
    assert "(difference +0.01, 95 % between -0.002 and +0.021)" in reason


def test_evidence_and_verdict_survive_json() -> None:
    full = replace(
        GOOD,
        candidate={"roc_auc": 0.71, "f1": inf},
        missing_features=("a.b.c",),
        slices={"origin = JFK": {"roc_auc": (0.6, None)}},
        differences={"roc_auc": (0.01, -0.02, 0.03)},
        latency_ms=3.5,
        custom=(Check("own", "hold", "look at it"),),
    )
    assert Evidence.from_dict(json.loads(json.dumps(full.to_dict(), allow_nan=False))) == full
    verdict = decide(full, AUC)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict
    broken = Evidence.from_dict(json.loads(json.dumps(replace(GOOD, candidate={"roc_auc": nan}).to_dict())))
    assert decide(broken, AUC).outcome == "fail"
