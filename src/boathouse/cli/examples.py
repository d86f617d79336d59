"""One line to copy for each command, shown below its `--help`."""

from collections.abc import Iterator

import typer

_LINES = """
init mine --ci github
up --port 8787
doctor
login https://boathouse.example.org --user ann
logout https://boathouse.example.org
ui --no-browser
validate -t prod --var as_of=2025-05-26
plan -t staging --ref main
deploy -t staging --ref main
destroy -t dev --yes
test --unit --junit reports
run training --param as_of=2025-05-26
sync --watch
notebook notebooks/explore.ipynb
sql "select city, count(*) n from features.customers group by city" --format csv
lineage features.customers --up --columns
trace 7c5e1b0a2f4d4a53
search "orders customer" --kind table
whoami --json
audit --subject prod.shop.reorder --since 2026-01-31 --denied
score models:/shop.reorder@champion input.parquet output.parquet
backup /backups/boathouse --keep 7
restore /backups/boathouse --replace
migrate --database-url postgresql://boathouse@db/boathouse
demo --exit

requests open --title "Better features"
requests list --json
requests show 1
requests test 1
requests close 1
requests merge 1
releases cut 1.0
releases list
releases show 1.0
environments list
environments show prod
environments diff staging prod
environments python list
environments python runtimes
environments python prune --unused 7d
projects list
projects show shop
projects remote shop https://github.com/acme/shop.git
projects fetch shop
projects webhook shop
projects statuses shop --token-stdin

runs list --job training --state FAILED
runs show 80f4b2c91d3a4e57
runs logs 80f4b2c91d3a4e57 --task train
runs cancel 80f4b2c91d3a4e57
runs repair 80f4b2c91d3a4e57
jobs list
jobs show training --json
jobs pause training
jobs resume training
jobs backfill features --from 2025-01-01 --to 2025-02-01 --every 1d
queries list --running
queries show 0123456789abcdef0123456789abcdef
queries cancel 0123456789abcdef0123456789abcdef

catalogs list
catalogs create vendor --comment "what the vendor sends"
catalogs drop vendor --cascade
schemas list
schemas create sales --comment "what was sold"
schemas drop sales --cascade
tables list features
tables show features.customers
tables head features.customers -n 5 --where "city = 'Oslo'"
tables history features.customers --limit 5
tables changes features.customers --since 12
tables clone prod.raw.people dev.raw.people --sample 10% --mask
tables restore features.customers 12
tables optimize features.customers --z-order customer_id
tables checkpoint features.customers
tables vacuum features.customers --dry-run
tables alter features.customers --description "one row a customer and day" --tag team=growth
tables mask raw.people ssn "CASE WHEN is_member('admins') THEN ssn END"
tables filter raw.people "is_member('admins') OR country = 'NO'"
tables drop features.customers --yes
tables import raw.orders orders.csv --key order_id
tables ingest raw.orders incoming --pattern "*.csv" --watch
tables register raw.events s3://landing/events --key event_id
volumes list raw
volumes create raw.incoming --comment "files as they come"
volumes show raw.incoming
volumes drop raw.incoming --yes
volumes put orders.csv raw.incoming/2025/
volumes get raw.incoming/2025 orders
volumes ls raw.incoming --recursive
volumes rm raw.incoming/2025/orders.csv
locations list
locations create landing s3://landing/raw
locations drop landing
functions list
functions show shop.age
functions create age.sql
functions drop shop.age

users list
users create ann
users password ann
users link ann 248289761001
users unlink ann
users disable ann
users enable ann
users delete ann --to data-engineers
groups list
groups create analysts
groups delete analysts
groups add analysts ann
groups remove analysts ann
principals list
principals create orders-loader
principals delete orders-loader --to data-engineers
principals trust ci --issuer https://token.actions.githubusercontent.com --subject "repo:acme/shop:*" --audience boathouse
principals trusted ci
principals distrust ci 1
tokens create --for ci --expires 30d --comment "nightly build"
tokens list --all
tokens revoke 3f1c9a7e
grants list prod.features.customers --effective
grants check ann SELECT prod.features.customers
grants owner prod.features.customers --to data-engineers
grants add SELECT --table prod.features.customers --to data-scientists
grants remove SELECT --table prod.features.customers --from data-scientists
shares list
shares show partners
shares create partners
shares drop partners
shares add partners prod.features.customers --as shared.customers
shares remove partners prod.features.customers
shares profile partners --to partner-reader --expires 90d
shares revoke partners 3f1c9a7e

features list --search wind --tag team=ops
features show features.customers.orders_7d
features specs
features publish features.customers --ttl 2h
features leaks models:/shop.reorder@champion --spine features.reorders
features skew --model shop.reorder
features declared --schema shop
features materialize shop.orders_by_customer
features backfill shop.orders_by_customer --from 2025-01-01 --to 2025-02-01
features online list
features online show features.customers
features online drop features.customers
features stores list
features stores show default
features stores create fast --url redis://cache:6379/0
features stores update fast --capacity CU_2
features stores delete fast

experiments list
experiments runs /shop/reorder --filter "metrics.roc_auc > 0.7" --sort -metrics.roc_auc
experiments compare 5d1e 9a0c --plot metrics.svg
models list --search reorder --tag team=growth
models show shop.reorder --version champion
models history shop.reorder
models compare shop.reorder 4
models test shop.reorder 4
models promote shop.reorder 4 --reason "agreed on Monday"
models approve shop.reorder 4 --reason "looks right"
models reject shop.reorder 4 --reason "too slow"
models rollback shop.reorder --reason "complaints from Oslo"
models copy shop.reorder/champion --to staging
models delete shop.reorder --version 2
models reproduce shop.reorder 4
models describe shop.reorder "Will they order again?"
models tag shop.reorder team=growth
models comment shop.reorder "trained without the holidays"
models comments shop.reorder
endpoints list
endpoints show reorder
endpoints create reorder --model shop.reorder
endpoints update reorder --model shop.reorder --version 4
endpoints traffic reorder champion=90 4=10
endpoints logs reorder --limit 50
endpoints delete reorder
endpoints query reorder '{"dataframe_records": [{"customer_id": 7}]}'
monitors list
monitors show reorder --granularity "1 week"
monitors create orders --table features.customers --timestamp day --granularity "1 day"
monitors delete orders
monitors refresh reorder --as-of 2025-05-26
alerts list
alerts show reorder_off
alerts ack 12
alerts mute reorder_off --for 12h
alerts test reorder_off
webhooks list
webhooks create ci https://ci.example.org/hook --event model_version.transitioned
webhooks delete ci
webhooks deliveries ci
webhooks redeliver ci 7
events list
events redeliver 12
secrets put mail/password --from-file password.txt
secrets list
secrets delete mail/password
secrets rotate-key
notifications list --state FAILED
notifications resend 12
compute list
compute create small --cpus 1 --memory 2GB
compute delete small
"""


def examples() -> list[str]:
    """Every example, without the program's name."""
    return _LINES.split("\n")[1:-1]


def show_examples(app: typer.Typer) -> None:
    """Put each command's example below its help. A command whose text holds it keeps that alone."""
    lines = [line for line in examples() if line]
    for path, command in _commands(app):
        line = next((line for line in lines if f"{line} ".startswith(f"{path} ")), None)
        said = (command.callback.__doc__ or "") if command.callback else ""
        if line and f"{path} " not in said:
            command.epilog = f"\b\nExample:\n  boathouse {line}"


def _commands(app: typer.Typer, above: str = "") -> Iterator[tuple[str, typer.models.CommandInfo]]:
    for command in app.registered_commands:
        name = command.name or (command.callback.__name__ if command.callback else "")
        yield f"{above}{name.replace('_', '-')}", command
    for group in app.registered_groups:
        if group.typer_instance:
            yield from _commands(group.typer_instance, f"{above}{group.name} ")
