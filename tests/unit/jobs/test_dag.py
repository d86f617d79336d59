"""How a run ends, from how its tasks ended."""

from boathouse.jobs.dag import verdict


def test_a_run_says_why_each_of_its_tasks_failed() -> None:
    states = {"a": "FAILED", "b": "SUCCESS", "c": "LOST", "d": "UPSTREAM_FAILED"}
    assert verdict(states, {"a": "exit code 1", "c": None}) == ("LOST", "2 tasks did not succeed: a: exit code 1; c: LOST")
    many = {f"t{n}": "FAILED" for n in range(7)}
    assert (verdict(many, {})[1] or "").endswith("t4: FAILED; and 2 more")
