"""The story that the demo tells, in simulated time over 2013."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from boathouse import context
from boathouse.cli.output import console, say, show
from boathouse.client import Http, Lake
from boathouse.errors import NotReleased, RunFailed

MODEL = "flights.delay"
FIRST, LATER, STREAM, ALERT, END = "2013-04-15", "2013-06-03", "2013-07-09", "2013-07-11", "2014-01-01"
LANDED = "2013-07-11T12:00:00"
"""By then all flights have landed that the stream predicted until ALERT: labels come later than predictions."""


@dataclass(frozen=True)
class Step:
    """One step: its place in the architecture, what happens, and the function that makes it happen."""

    chapter: str
    title: str
    run: Callable[[], str]


class Story:
    """Steps over one lakehouse, and what came of them."""

    def __init__(self, url: str, token: str, project: Path) -> None:
        self.url = url
        self.project = project
        self.lakes = {e: Lake(Http(url, token), e) for e in ("dev", "staging", "prod")}
        self.prod = self.lakes["prod"]
        self.told: list[dict[str, Any]] = []
        self.facts: dict[str, Any] = {"promoted": [], "refused": [], "rolled_back": [], "alerts": [], "retrained": []}
        dev = "A. Development: any code, the working tree included"
        staging = "B. Staging: code is tested, merged and released"
        prod = "C. Production: features, training, delivery, inference"
        loop = "D. The loop closes: monitoring, alert, retraining"
        self.steps = [
            Step(dev, "A project: Git repository, boathouse.yml, pipelines and their tests", self.make_project),
            Step(dev, "dev: ingest January into Delta tables and refresh the feature tables", self.explore_data),
            Step(dev, "dev: train a small model on point-in-time features", self.explore_model),
            Step(staging, "Merge request: unit tests, then the pipelines jointly in throw-away schemas", self.test_code),
            Step(staging, "Merge into main; staging runs it. prod refuses a commit that was not released", self.merge_code),
            Step(staging, "Cut a release branch; continuous delivery updates prod's jobs", self.release_code),
            Step(prod, f"prod: ingest and feature refresh, as known on {FIRST}", lambda: self.refresh(FIRST)),
            Step(prod, "prod: train on January to March; the new version is tested and becomes Production", self.first_model),
            Step(prod, "A version trained on shuffled labels is refused", self.bad_model),
            Step(prod, "Publish features online; the endpoint follows the champion and answers", self.serve),
            Step(prod, f"Batch: score the departures up to {LATER}", lambda: self.batch(FIRST, LATER)),
            Step(prod, f"Batch up to July, then a stream of new departures, as of {ALERT}", self.stream),
            Step(loop, "Late labels join; profile, drift and quality by day and week; the alert", self.monitor),
            Step(loop, "The alert has started retraining; the challenger must beat the champion", self.retrain),
            Step(loop, "Roll back in one command, and forward again", self.roll_back),
            Step(loop, "Trace one online prediction to commit and raw tables", self.trace),
            Step(loop, "The rest of the year: what each champion was worth, month by month", self.the_year),
        ]

    # A

    def make_project(self) -> str:
        """The flights project in a repository of its own."""
        from boathouse.project import create_project

        files = create_project(self.project, "flights")
        self._git("switch", "--quiet", "--create", "late-flights")
        (self.project / "README.md").open("a").write("\nThis copy was made by the demo.\n")
        self._git(
            "-c",
            "user.name=demo",
            "-c",
            "user.email=demo@localhost",
            "commit",
            "--quiet",
            "--all",
            "--message",
            "Say where this copy comes from",
        )
        return f"{len(files)} files in {self.project}, branch late-flights"

    def explore_data(self) -> str:
        """January in dev."""
        dev = self.lakes["dev"]
        dev.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(self.project)})
        dev.jobs.run("refresh", {"as_of": "2013-02-01"})
        rows = dev.sql(
            "select count(*) as flights, min(ts_dep)::date as first, max(ts_dep)::date as last from raw.flights"
        ).to_dicts()[0]
        span = f"{rows['flights']:,} flights, {rows['first']} to {rows['last']}"
        return f"dev.raw.flights: {span}; {len(dev.tables('features'))} feature tables"

    def explore_model(self) -> str:
        """A quick model in dev; no gate stands here but the same code."""
        dev = self.lakes["dev"]
        dev.jobs.run("training", {"as_of": "2013-02-01", "iterations": "30", "trials": "0", "holdout_days": "7"})
        self.prod.await_idle()
        newest = dev.models.get(MODEL)["versions"][0]
        return f"dev.{MODEL} version {newest['version']}, stage {newest['stage']}"

    # B

    def test_code(self) -> str:
        """Open a merge request and wait for its tests."""
        from boathouse.environments import push

        staging = self.lakes["staging"]
        repository = Path(staging.call("PUT", "/api/v1/projects/flights")["repository"])
        for branch in ("main", "late-flights"):
            push(self.project, repository, f"refs/heads/{branch}:refs/heads/{branch}")
        request = staging.call(
            "POST", "/api/v1/requests", {"project": "flights", "branch": "late-flights", "title": "Late flights"}
        )
        run = staging.jobs.wait(next(c["run"] for c in request["checks"].values()))
        if run["state"] != "SUCCESS":
            raise RunFailed(f"the tests of the merge request failed: {run['reason']}\n{staging.jobs.last_words(run, 40)}")
        self.prod.await_idle()
        passed = [staging.jobs.log(run["id"], t["task_key"]).strip().splitlines()[-1] for t in run["tasks"]]
        self.facts["request"] = request["id"]
        return "\n".join(f"{t['task_key']} tests: {line}" for t, line in zip(run["tasks"], passed, strict=True))

    def merge_code(self) -> str:
        """Merge, and try to run the unreleased commit in prod."""
        staging = self.lakes["staging"]
        merged = staging.call("POST", f"/api/v1/requests/{self.facts['request']}/merge")
        try:
            self.prod.call("POST", "/api/v1/deployments", {"target": "prod", "project": "flights", "ref": "main"})
        except NotReleased as refusal:
            return f"main is {merged['merge_commit'][:12]}\nprod: {refusal}"
        raise RunFailed("prod took a commit that was never released")

    def release_code(self) -> str:
        """Release 1.0."""
        done = self.prod.call("POST", "/api/v1/releases", {"project": "flights", "version": "1.0"})
        self.facts["release"] = {"version": "1.0", "commit": done["commit_id"]}
        jobs = [j["name"] for j in self.prod.jobs.deployed()]
        return f"{done['branch']} is {done['commit_id'][:12]}; prod's jobs: {', '.join(jobs)}"

    # C

    def refresh(self, as_of: str) -> str:
        """Raw tables, feature tables and labels as known on a day."""
        self.prod.jobs.run("refresh", {"as_of": as_of})
        counts = {
            t: self.prod.sql(f"select count(*) as n from {t}").to_dicts()[0]["n"] for t in ("raw.flights", "features.labelled")
        }
        return ", ".join(f"prod.{t}: {n:,} rows" for t, n in counts.items())

    def first_model(self) -> str:
        """Train, and follow the version through its gates."""
        self.prod.jobs.run("training", {"as_of": FIRST})
        return self._delivered("promoted", "Production")

    def bad_model(self) -> str:
        """Train on shuffled labels, and see it refused."""
        self.prod.jobs.run("training", {"as_of": FIRST, "shuffle_labels": "true", "trials": "0"})
        return self._delivered("refused", "Archived")

    def serve(self) -> str:
        """Ask the endpoint about real departures."""
        self.prod.jobs.run("publish")
        version = self.prod.models.get(MODEL)["production"]
        self.prod.call("POST", f"/api/v1/endpoints/prod/delay/await/{version}")
        rows = self.prod.sql(
            f"""select carrier, flight, origin, dest, tailnum, ts_dep, hour, minute, isodow(flight_date)::int as weekday,
            distance, scheduled_minutes from raw.flights where ts_dep > timestamptz '{FIRST}' order by ts_dep limit 40"""
        ).to_dicts()
        late = 0
        for row in rows:
            answer = self.prod.http.raw("POST", "/serving-endpoints/prod.delay/invocations", _question(row), "application/json")
            self.facts["online_request"] = answer.headers["x-request-id"]
            late += answer.json()["probabilities"][0] >= 0.5
        served = self.prod.call("GET", "/api/v1/endpoints/prod/delay")["served_version"]
        return f"endpoint prod.delay serves version {served}: {len(rows)} requests answered, {late} predicted late"

    def batch(self, begin: str, end: str) -> str:
        """Refresh, then score a period."""
        self.prod.jobs.run("refresh", {"as_of": end})
        self.prod.jobs.run("batch_scoring", {"begin": begin, "end": end})
        return self._logged()

    def stream(self) -> str:
        """Batch up to two days before the alert, a stream for the rest."""
        self.prod.jobs.run("refresh", {"as_of": ALERT})
        self.prod.jobs.run("batch_scoring", {"begin": LATER, "end": STREAM})
        self.prod.jobs.run("stream_scoring", {"begin": STREAM, "as_of": ALERT})
        return self._logged()

    # D

    def monitor(self) -> str:
        """Refresh the monitor and hear the alerts."""
        self.prod.jobs.run("refresh", {"as_of": LANDED})
        path = "/api/v1/monitors/prod/delay/refreshes"
        run_id = self.prod.http.call("POST", path, params={"as_of": LANDED})["run_id"]
        run = self.prod.jobs.wait(run_id)
        if run["state"] != "SUCCESS":
            raise RunFailed(f"the refresh failed: {run['reason']}\n{self.prod.jobs.last_words(run, 40)}")
        incidents = self.prod.http.call("GET", "/api/v1/incidents", params={"environment": "prod"})
        self.facts["alerts"] = [{"alert": i["alert"], "reason": i["reason"]} for i in incidents]
        return self.prod.jobs.log(run_id, "refresh-monitor").strip()

    def retrain(self) -> str:
        """The run that the alert started, and the verdict on its version."""
        self.prod.await_idle()
        incidents = [i for i in self.prod.http.call("GET", "/api/v1/incidents", params={"environment": "prod"}) if i["run_id"]]
        if not incidents:
            raise RunFailed("no alert fired, so nothing was retrained: the model has become better than this story expects")
        run = self.prod.jobs.get(incidents[0]["run_id"])
        if run["state"] != "SUCCESS":
            raise RunFailed(f"retraining failed: {run['reason']}\n{self.prod.jobs.last_words(run, 40)}")
        told = self._delivered("retrained", None)
        return f"alert {incidents[0]['alert']} started run {run['id']} ({run['trigger']})\n{told}"

    def roll_back(self) -> str:
        """Back to the former champion, and forward again."""
        before = self.prod.models.get(MODEL)["production"]
        if len({h["version"] for h in self.prod.models.get(MODEL)["history"] if h["to_stage"] == "Production"}) < 2:
            raise RunFailed("there was only one champion so far, so there is nothing to roll back to")
        back = self.prod.models.rollback(MODEL, "shown by the demo")["version"]
        self.facts["rolled_back"].append({"from": before, "to": back})
        self.prod.call("POST", f"/api/v1/endpoints/prod/delay/await/{back}")
        self.prod.models.promote(MODEL, str(before), "forward again")
        self.prod.call("POST", f"/api/v1/endpoints/prod/delay/await/{before}")
        return f"version {before} -> {back} -> {before}; the endpoint followed each time"

    def trace(self) -> str:
        """Where one prediction came from."""
        found = self.prod.trace(self.facts["online_request"])
        self.facts["trace"] = found
        return (
            f"boathouse trace {self.facts['online_request']} --env prod\n"
            f"model {found['model']['name']} version {found['model']['version']}, commit {found['training']['commit'][:12]}, "
            f"job run {found['training']['job_run']}\nraw tables: {', '.join(found['raw_tables'])}"
        )

    def the_year(self) -> str:
        """Score what is left of the year and measure every champion on it."""
        from boathouse.feature_engineering import FeatureEngineeringClient
        from boathouse.scoring import load

        self.prod.jobs.run("refresh", {"as_of": END})
        context.use(self.prod)
        client = FeatureEngineeringClient(context=self.prod)
        rows = self.prod.sql("select * from features.labelled where prediction_time >= timestamptz '2013-04-01'").to_arrow()
        frame = self.prod.engine.register(rows)
        by_version: dict[str, Any] = {}
        champions = sorted({h["version"] for h in self.prod.models.get(MODEL)["history"] if h["to_stage"] == "Production"})
        for version in champions:
            # only flights after all that the version learned from: anything else would flatter it
            since = "2013-04-01" if version == champions[0] else ALERT
            later = self.prod.engine.relation(f"from {frame} where prediction_time >= timestamptz '{since}'")
            scored = client.score_batch(model_uri=f"models:/{MODEL}/{version}", df=later)
            wanted = scored.select("prediction_time", "late", "prediction_probability").to_pandas()
            by_version[str(version)] = {"since": since, **_auc_by_month(wanted)}
        self.facts["champion_auc_by_month"] = by_version
        inputs = self.prod.models.version(MODEL, str(champions[0]))
        spec = load(self.prod, f"models:/{MODEL}/{inputs['version']}").spec
        self.facts["features"] = sorted(spec.model_columns) if spec else []
        lines = [f"{len(self.facts['features'])} features: {', '.join(self.facts['features'])}"]
        for number, months in by_version.items():
            told = " ".join(f"{k} {x:.3f}" for k, x in months.items() if k not in ("pooled", "since"))
            lines.append(f"version {number}, AUC since {months['since']}: {months['pooled']:.3f} pooled; {told}")
        return "\n".join(lines)

    # what came of it

    def note(self, step: Step, seconds: float, result: str) -> None:
        """Remember a step."""
        self.told.append({"chapter": step.chapter, "title": step.title, "seconds": round(seconds, 1), "result": result})

    def summary(self) -> dict[str, Any]:
        """Everything, as JSON."""
        tables = {e: len(lake.tables()) for e, lake in self.lakes.items()}
        predictions = self.prod.sql(f"select mode, count(*) as n from {MODEL}_inference group by 1").to_dicts()
        return {**self.facts, "tables": tables, "predictions": {p["mode"]: p["n"] for p in predictions},
                "runs": len(self.prod.http.call("GET", "/api/v1/runs", params={"limit": 500})), "steps": self.told,
                "url": self.url, "project": str(self.project)}  # fmt: skip

    def print_summary(self, summary: dict[str, Any], target: Path) -> None:
        """A table for people."""
        console.print("\nSummary", style="bold")
        rows = [
            {"what": "predictions logged", "result": summary["predictions"]}, {"what": "runs", "result": summary["runs"]},
            {"what": "tables", "result": summary["tables"]},
            *({"what": kind, "result": _version(v)} for kind in ("promoted", "refused", "retrained") for v in summary[kind]),
            *({"what": "alert", "result": a["reason"]} for a in summary["alerts"]),
            *({"what": f"AUC of version {v}", "result": m} for v, m in summary["champion_auc_by_month"].items()),
            {"what": "seconds", "result": summary["seconds"]},
        ]  # fmt: skip
        show(rows, ["what", "result"], False)
        say(f"The same as JSON is in {target}. Look around:")
        say(
            f"  export BOATHOUSE_HOME={summary['home']} BOATHOUSE_ENV=prod\n"
            f"  boathouse models show {MODEL};  boathouse monitors show delay;  boathouse trace {self.facts['online_request']}"
        )

    def _delivered(self, key: str, stage: str | None) -> str:
        self.prod.await_idle()
        newest = self.prod.models.get(MODEL)["versions"][0]
        verdict = newest["verdict"] or {"outcome": "none", "checks": []}
        self.facts[key].append({"version": newest["version"], "stage": newest["stage"], "verdict": verdict["outcome"],
                                "reasons": verdict.get("reasons")})  # fmt: skip
        if stage and newest["stage"] != stage:
            raise RunFailed(f"version {newest['version']} is {newest['stage']}, not {stage}: {verdict.get('reasons')}")
        lines = [f"{c['outcome']:<4} {c['name']}: {c['reason']}" for c in verdict["checks"]]
        return "\n".join([f"version {newest['version']}: {verdict['outcome']} -> {newest['stage']}", *lines])

    def _logged(self) -> str:
        rows = self.prod.sql(f"select mode, count(*) as n from {MODEL}_inference group by 1 order by 1").to_dicts()
        return f"prod.{MODEL}_inference: " + ", ".join(f"{r['n']:,} {r['mode']}" for r in rows)

    def _git(self, *words: str) -> None:
        subprocess.run(["git", *words], cwd=self.project, check=True, capture_output=True)


def _version(found: dict[str, Any]) -> str:
    reasons = found["reasons"] or []
    telling = [r for r in reasons if "champion" in r] or reasons
    return f"version {found['version']}: {found['verdict']} -> {found['stage']}; {'; '.join(telling[:2])}"


def _question(row: dict[str, Any]) -> bytes:
    """A request as it would have come two hours before departure, in simulated time."""
    asked = row["ts_dep"] - timedelta(hours=2)
    return json.dumps({"dataframe_records": [row], "request_time": asked.isoformat()}, default=str).encode()


def _auc_by_month(frame: Any) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    frame = frame.sort_values("prediction_time")
    months = frame["prediction_time"].dt.strftime("%b")
    found = {
        m: float(roc_auc_score(part["late"], part["prediction_probability"])) for m, part in frame.groupby(months, sort=False)
    }
    return {"pooled": float(roc_auc_score(frame["late"], frame["prediction_probability"])), **found}
