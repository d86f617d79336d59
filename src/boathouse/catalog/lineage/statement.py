"""The query inside a statement: what CREATE TABLE AS, INSERT, UPDATE and MERGE write, as one SELECT."""

from sqlglot import exp


def selection(tree: exp.Expr) -> exp.Query | None:
    """The rows that a statement writes, in the columns of its target; None where it writes none."""
    if isinstance(tree, exp.Query):
        return tree
    if isinstance(tree, exp.Create):
        return tree.expression if isinstance(tree.expression, exp.Query) else None
    if isinstance(tree, exp.Insert):
        return _inserted(tree)
    if isinstance(tree, exp.Update):
        return _updated(tree)
    if isinstance(tree, exp.Merge):
        return _merged(tree)
    return None


def _inserted(tree: exp.Insert) -> exp.Query | None:
    query = tree.expression
    if not isinstance(query, exp.Query):
        return None
    if not isinstance(tree.this, exp.Schema):
        return query
    columns = [exp.to_identifier(c.name, quoted=True) for c in tree.this.expressions]
    alias = exp.TableAlias(this=exp.to_identifier("__written"), columns=columns)
    return exp.select("*").from_(exp.Subquery(this=query.copy(), alias=alias))


def _updated(tree: exp.Update) -> exp.Query:
    made = exp.Select(expressions=[_assigned(e) for e in tree.expressions])
    sources = tree.args.get("from_") or tree.args.get("from")
    made = made.from_(tree.this.copy())
    if sources is not None:
        made = made.join(sources.this.copy(), join_type="cross")
    if (where := tree.args.get("where")) is not None:
        made = made.where(where.this.copy())
    return made


def _merged(tree: exp.Merge) -> exp.Query:
    """Each column once, made of whatever any of the clauses gives it."""
    values: dict[str, list[exp.Expr]] = {}
    for when in tree.find_all(exp.When):
        for name, value in _given(when.args.get("then")):
            values.setdefault(name, []).append(value)
    projections = [exp.alias_(v[0] if len(v) == 1 else exp.Coalesce(this=v[0], expressions=v[1:]), n, quoted=True)
                   for n, v in values.items()]  # fmt: skip
    source = tree.args["using"].copy()
    made = exp.Select(expressions=projections or [exp.Star()]).from_(source)
    return made.join(tree.this.copy(), on=tree.args["on"].copy(), join_type="left") if projections else made


def _given(action: exp.Expr | None) -> list[tuple[str, exp.Expr]]:
    if isinstance(action, exp.Update):
        assigned = [e for e in action.expressions if isinstance(e, exp.EQ)]
        return [(e.this.name, e.expression.copy()) for e in assigned]
    if isinstance(action, exp.Insert) and isinstance(action.this, exp.Tuple) and isinstance(action.expression, exp.Tuple):
        return [(c.name, v.copy()) for c, v in zip(action.this.expressions, action.expression.expressions, strict=False)]
    return []


def _assigned(assignment: exp.Expr) -> exp.Expr:
    return exp.alias_(assignment.expression.copy(), assignment.this.name, quoted=True)
