"""What is asked besides thresholds: the artifact, its features, budgets, slices, fairness, confidence, replay."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse.delivery import Check, Evidence, Fairness, Limits, Replay, ReplayAsked, Threshold, Verdict, decide

GOOD = Evidence(candidate={"roc_auc": 0.71}, champion={"roc_auc": 0.70}, champion_version="3", rows=5000)
BETTER = {"roc_auc": Threshold(min=0.6)}


def judged(evidence: Evidence = GOOD, thresholds: dict[str, Threshold] = BETTER, **limits: Any) -> Verdict:
    return decide(evidence, thresholds, limits=Limits(**limits))


def only(verdict: Verdict, name: str) -> Check:
    [check] = [check for check in verdict.checks if check.name == name]
    return check


def test_an_unsafe_artifact_is_refused_before_all_else() -> None:
    verdict = judged(replace(GOOD, unsafe=("posix.system (m.pkl)",), loads=False))
    assert [c.name for c in verdict.checks] == ["artifact"]
    assert "posix.system (m.pkl), and nothing of it was loaded" in verdict.reasons[0]
    assert judged(replace(GOOD, unsafe=("a.B (m.pkl)",)), pickles="warn").outcome == "pass"


def test_a_resolver_that_did_not_answer_holds() -> None:
    words = Check("requirements", "hold", "it is not known whether the requirements can be installed: dns error")
    assert judged(replace(GOOD, requirements=words)).reasons == (words.reason,)


def test_features_must_be_granted_and_fresh() -> None:
    assert "not granted to this environment: prod.raw.t" in judged(replace(GOOD, denied=("prod.raw.t",))).reasons[0]
    stale = replace(GOOD, stale={"dev.features.w": 3 * 86400.0})
    verdict = judged(stale, max_feature_age=86400.0)
    assert verdict.reasons == ("feature tables must have been written within 1 days: dev.features.w 3 days ago",)
    assert (verdict.outcome, judged(stale, max_feature_age=4 * 86400.0).outcome) == ("hold", "pass")


def test_an_input_example_that_does_not_go_through_fails() -> None:
    assert "ValueError: no x" in judged(replace(GOOD, example="ValueError: no x")).reasons[0]


def test_memory_has_a_budget() -> None:
    assert judged(replace(GOOD, memory_mb=300.0), max_memory_mb=256).reasons == ("memory 300 MB is above the limit 256 MB",)
    assert judged(max_memory_mb=256).outcome == "fail"  # not measured


def test_small_slices_are_named_and_not_judged() -> None:
    slices = {"origin=JFK": {"roc_auc": (0.4, 0.7)}, "origin=EWR": {"roc_auc": (0.65, 0.7)}}
    evidence = replace(GOOD, slices=slices, slice_rows={"origin=JFK": 12, "origin=EWR": 900})
    verdict = judged(evidence, {"roc_auc": Threshold(min=0.6, slices_min=0.6)})
    assert verdict.outcome == "pass"
    assert only(verdict, "small slices").reason == "1 of 2 slices have fewer than 30 rows and were not judged"
    verdict = judged(evidence, {"roc_auc": Threshold(min=0.6, slices_min=0.6)}, slice_min_rows=10)
    assert verdict.reasons == ("roc_auc where origin=JFK 0.4 is below the minimum 0.6",)


def test_fairness_has_limits_and_needs_rows_on_both_sides() -> None:
    asked = (Fairness("shop = 'b'", {"equal_opportunity": 0.1}),)
    measured = replace(GOOD, fairness={"shop = 'b'": {"equal_opportunity": -0.2}}, fairness_rows={"shop = 'b'": (50, 900)})
    assert judged(measured, fairness=asked).reasons == (
        "equal_opportunity where shop = 'b' differs by -0.2 (0.2), which is beyond the limit 0.1",
    )
    few = replace(measured, fairness_rows={"shop = 'b'": (10, 900)})
    verdict = judged(few, fairness=asked)
    assert (verdict.outcome, verdict.reasons[0][-14:]) == ("hold", "20 are missing")


SURE = {"roc_auc": Threshold(not_worse_than_champion_by=0.01, confident=True)}


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [((-0.05, -0.08, -0.02), "fail"), ((-0.05, -0.08, -0.001), "hold"), ((0.0, -0.009, 0.009), "pass"),
     ((-0.02, -0.03, -0.0101), "fail"), ((0.02, -0.02, 0.06), "hold")],
)  # fmt: skip
def test_with_confidence_the_whole_interval_decides(interval: tuple[float, float, float], outcome: str) -> None:
    assert judged(replace(GOOD, differences={"roc_auc": interval}), SURE).outcome == outcome


def test_undecided_says_how_many_rows_are_missing() -> None:
    # The interval reaches 0.02 down from 0, and 0.01 is allowed: half its width takes four times the rows.
    verdict = judged(replace(GOOD, rows=1000, differences={"roc_auc": (0.0, -0.02, 0.02)}), SURE)
    assert verdict.reasons[0].endswith("undecided on 1000 rows, about 3000 are missing")


def test_an_interval_without_end_says_so_and_raises_nothing() -> None:
    verdict = judged(replace(GOOD, rows=100, differences={"roc_auc": (0.0, -1e258, 1e200)}), SURE)
    assert (verdict.outcome, verdict.reasons[0][-45:]) == ("hold", "on 100 rows, about 99999999999900 are missing")


def test_lower_is_better_for_a_loss() -> None:
    loss = {"log_loss": Threshold(not_worse_than_champion_by=0.01, confident=True)}
    evidence = replace(GOOD, candidate={"log_loss": 0.5}, champion={"log_loss": 0.4}, differences={"log_loss": (0.1, 0.05, 0.2)})
    assert judged(evidence, loss).outcome == "fail"
    assert judged(replace(evidence, differences={"log_loss": (-0.1, -0.2, -0.05)}), loss).outcome == "pass"


ASKED = ReplayAsked(min_rows=50, thresholds={"roc_auc": Threshold(min=0.6)}, max_prediction_shift=0.1)
SEEN = Replay(rows=200, labelled=120, candidate={"roc_auc": 0.7}, champion={"roc_auc": 0.69}, shift=0.02)


@pytest.mark.parametrize(
    ("replay", "outcome", "said"),
    [
        (SEEN, "pass", "labels have come for 120 rows"),
        (None, "hold", "were not replayed: it was not replayed"),
        (Replay(problem="no traffic was logged yet"), "hold", "the last 7 days of traffic were not replayed: no traffic"),
        (replace(SEEN, rows=20), "hold", "the last 7 days of traffic have 20 rows, and 50 are needed: 30 are missing"),
        (replace(SEEN, labelled=10), "hold", "labels have come for 10 rows, and 50 are needed: 40 are missing"),
        (replace(SEEN, shift=0.3), "fail", "replay shift 0.3 is above the maximum 0.1"),
        (replace(SEEN, candidate={"roc_auc": 0.5}), "fail", "replayed roc_auc 0.5 is below the minimum 0.6"),
    ],
)  # fmt: skip
def test_replayed_traffic_is_judged(replay: Replay | None, outcome: str, said: str) -> None:
    verdict = judged(replace(GOOD, replay=replay), replay=ASKED)
    assert (verdict.outcome, any(said in reason for reason in verdict.reasons)) == (outcome, True), verdict.reasons


def test_the_bundle_may_let_missing_traffic_pass() -> None:
    lenient = replace(ASKED, when_missing="pass")
    for replay in (None, replace(SEEN, rows=20), replace(SEEN, labelled=10)):
        assert judged(replace(GOOD, replay=replay), replay=lenient).outcome == "pass"


slice_metrics = st.dictionaries(st.just("roc_auc"), st.tuples(st.floats(0, 1), st.none() | st.floats(0, 1)))
numbers = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0, 1)
interval = st.tuples(numbers, numbers, numbers)
evidences = st.builds(
    Evidence, candidate=st.dictionaries(st.sampled_from(["roc_auc", "log_loss"]), numbers),
    champion=st.none() | st.dictionaries(st.sampled_from(["roc_auc", "log_loss"]), numbers), rows=st.integers(0, 500),
    loads=st.booleans(), has_signature=st.booleans(), unsafe=st.sampled_from([(), ("posix.system (m)",)]),
    missing_features=st.sampled_from([(), ("t.f",)]), denied=st.sampled_from([(), ("t",)]), latency_ms=st.none() | numbers,
    memory_mb=st.none() | numbers, differences=st.dictionaries(st.sampled_from(["roc_auc", "log_loss"]), interval),
    slices=st.dictionaries(st.sampled_from(["a=1", "a=2"]), slice_metrics),
    slice_rows=st.dictionaries(st.sampled_from(["a=1", "a=2"]), st.integers(0, 100)),
    replay=st.none() | st.builds(Replay, st.integers(0, 300), st.integers(0, 300), st.dictionaries(st.just("roc_auc"), numbers),
                                 shift=st.none() | numbers, problem=st.none() | st.just("gone")),
)  # fmt: skip
tolerance = st.none() | st.floats(0, 0.2)
thresholds = st.fixed_dictionaries({
    name: st.builds(Threshold, st.none() | st.floats(0, 1), st.none() | st.floats(0, 1), tolerance, tolerance,
                    confident=st.booleans(), slices_min=st.none() | st.floats(0, 1))
    for name in ("roc_auc", "log_loss")
})  # fmt: skip
limits = st.builds(
    Limits, st.integers(1, 200), st.integers(1, 60), st.sampled_from(["refuse", "warn"]), st.none() | st.floats(0, 1),
    st.none() | st.floats(0, 1), replay=st.none() | st.builds(ReplayAsked, min_rows=st.integers(1, 200),
                                                             when_missing=st.sampled_from(["hold", "pass"])),
)  # fmt: skip


@given(evidences, thresholds, limits, st.booleans())
def test_whatever_is_measured_a_verdict_keeps_the_laws(
    evidence: Evidence, asked: dict[str, Threshold], limits: Limits, approval: bool
) -> None:
    verdict = decide(evidence, asked, limits=limits, approval_required=approval)
    outcomes = [check.outcome for check in verdict.checks]
    worst = "fail" if "fail" in outcomes else "hold" if "hold" in outcomes else "pass"
    assert verdict.outcome == worst
    assert verdict.reasons
    assert all(check.reason for check in verdict.checks)
    if verdict.outcome == "pass":
        assert (evidence.loads, evidence.has_signature) == (True, True)
        assert (evidence.missing_features, evidence.denied, approval) == ((), (), False)
        assert evidence.rows >= limits.min_rows
        assert not (evidence.unsafe and limits.pickles == "refuse")
        for name, threshold in asked.items():
            if threshold.min is not None:
                assert evidence.candidate[name] >= threshold.min
    assert Verdict.from_dict(verdict.to_dict()) == verdict
    assert decide(Evidence.from_dict(evidence.to_dict()), asked, limits=limits, approval_required=approval) == verdict
    assert decide(evidence, asked, limits=limits, approval_required=True).outcome != "pass"  # one more question never helps
