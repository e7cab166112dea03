"""Rules of the engine that no linter knows, read from the syntax trees. What may import what besides: `.importlinter`.

Each rule is shown an offender first: a rule that finds nothing because it is blind would prove nothing.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = sorted(path for folder in ("shared", "services") for path in (ROOT / folder).rglob("*.py"))
Rule = Callable[[ast.Module], Iterator[int]]

POLLS = {"poll", "getmany", "getone"}
TIMEOUTS = {"wait_for", "timeout", "timeout_at"}

# A fault of one event, unit, deadline or request must not become one of the others: these decide whose it is.
CATCH_ALL = {
    "shared/store/commit.py",
    "shared/consumer/inbox.py",
    "shared/consumer/pauses.py",
    "shared/consumer/worker.py",
    "shared/deadlines.py",
    "shared/dlq.py",
    "shared/kafka.py",
    "shared/http/edge.py",
    "shared/pictures/picture.py",
}
# The one module that may import a package, so that it can be replaced there.
ONLY_IN = {
    "aiokafka": {"shared/kafka.py"},
    "motor": {"shared/store/mongo.py"},
    "pymongo": {"shared/store/mongo.py"},
    "gridfs": {"shared/store/mongo.py"},
    "bson": {"shared/store/mongo.py"},
    "prometheus_client": {"shared/telemetry.py"},
    "structlog": {"shared/telemetry.py"},
    "opentelemetry": {"shared/traces.py"},
}
PURE = (
    "shared.contracts",
    "shared.errors",
    "shared.clock",
    "shared.workdays",
    "shared.geo",
    "shared.audit",
    "shared.district.names",
    "shared.attachments.kinds",
    "shared.months",
    "shared.own_cause",
    "shared.ranking",
    "shared.roles",
    "shared.documents.paper",
    "shared.writing",
)


def polls_that_may_be_cancelled(tree: ast.Module) -> Iterator[int]:
    """aiokafka never recovers from a cancelled poll: the group would never miss that member again."""
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncWith | ast.With):
            bounded = any(_called(item.context_expr) in TIMEOUTS for item in node.items)
        else:
            bounded = isinstance(node, ast.Call) and _called(node) in TIMEOUTS
        if bounded:
            polls = (call for call in ast.walk(node) if isinstance(call, ast.Call) and _called(call) in POLLS)
            yield from (call.lineno for call in polls)


def naive_moments(tree: ast.Module) -> Iterator[int]:
    """A moment without its offset means another time on another machine."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            zoned = len(call.args) > {"now": 0, "fromtimestamp": 1}.get(_called(call), 99) or any(
                keyword.arg in {"tz", "tzinfo"} for keyword in call.keywords
            )
            on_datetime = isinstance(call.func, ast.Attribute) and _name(call.func.value) in {"datetime", "date"}
            naive = _called(call) in {"utcnow", "utcfromtimestamp", "today"}
            if on_datetime and (naive or (_called(call) in {"now", "fromtimestamp"} and not zoned)):
                yield call.lineno


def made_up_labels(tree: ast.Module) -> Iterator[int]:
    """A label that is put together from parts has no bound on how many it makes."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _called(call) == "labels":
            values = [*call.args, *(keyword.value for keyword in call.keywords)]
            if any(isinstance(part, ast.JoinedStr | ast.BinOp) or _called(part) == "format" for part in values):
                yield call.lineno


def catch_alls(tree: ast.Module) -> Iterator[int]:
    """Whoever catches everything hides faults."""
    for handler in ast.walk(tree):
        if isinstance(handler, ast.ExceptHandler) and (
            handler.type is None
            or any(_name(part) in {"Exception", "BaseException"} for part in ast.walk(handler.type))
        ):
            yield handler.lineno


def untyped_data(tree: ast.Module) -> Iterator[int]:
    """A handler says which event it is for; `on` and `carries` make sure of it."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and _called(call) == "cast":
            yield from (
                part.lineno for part in ast.walk(call) if isinstance(part, ast.Attribute) and part.attr == "data"
            )


def imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Modules that are imported anywhere in the file, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def _called(node: ast.AST) -> str:
    return _name(node.func) if isinstance(node, ast.Call) else ""


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def offenders(rule: Rule, allowed: set[str] = frozenset()) -> list[str]:  # type: ignore[assignment]  # never changed
    return [
        f"{name}:{line}"
        for path in PRODUCT
        if (name := path.relative_to(ROOT).as_posix()) not in allowed
        for line in rule(tree_of(path))
    ]


@pytest.mark.parametrize(
    ("rule", "offence", "harmless"),
    [
        (
            polls_that_may_be_cancelled,
            "async with asyncio.timeout(1):\n    await feed.poll([], 1)",
            "async with asyncio.timeout(1):\n    await feed.commit({})",
        ),
        (polls_that_may_be_cancelled, "wait_for(consumer.getmany(), 1)", "consumer.getmany(timeout_ms=1)"),
        (naive_moments, "datetime.now()", "datetime.now(UTC)"),
        (naive_moments, "datetime.fromtimestamp(0)", "datetime.fromtimestamp(0, tz=UTC)"),
        (naive_moments, "datetime.datetime.utcnow()", "clock.now()"),
        (made_up_labels, "METRIC.labels(f'{case}').inc()", "METRIC.labels(group, 'ok').inc()"),
        (made_up_labels, "METRIC.labels(topic='a' + b)", "log.info(f'{case}')"),
        (untyped_data, "told = cast(CaseEvent, event.data)", "told = event.data"),
        (catch_alls, "try: pass\nexcept (ValueError, Exception): pass", "try: pass\nexcept ValueError: pass"),
        (catch_alls, "try: pass\nexcept: pass", "try: pass\nfinally: pass"),
    ],
)
def test_every_rule_sees_its_offender_and_leaves_others_alone(rule: Rule, offence: str, harmless: str) -> None:
    assert list(rule(ast.parse(f"async def f():\n{_indented(offence)}")))
    assert not list(rule(ast.parse(f"async def f():\n{_indented(harmless)}")))


def _indented(source: str) -> str:
    return "\n".join(f"    {line}" for line in source.splitlines())


def test_no_poll_is_ever_cancelled() -> None:
    assert offenders(polls_that_may_be_cancelled) == []


def test_no_moment_is_without_its_offset() -> None:
    assert offenders(naive_moments) == []


def test_no_label_of_a_metric_is_made_up() -> None:
    assert offenders(made_up_labels) == []


def test_only_the_engine_catches_everything() -> None:
    assert offenders(catch_alls, CATCH_ALL) == []
    assert all(list(catch_alls(tree_of(ROOT / name))) for name in CATCH_ALL), "the list names who needs it, no more"


def test_no_handler_guesses_what_its_event_carries() -> None:
    assert offenders(untyped_data) == []


@pytest.mark.parametrize("package", ONLY_IN)
def test_a_package_that_may_be_replaced_is_imported_in_one_place(package: str) -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for path in PRODUCT
        for module, _ in imports(tree_of(path))
        if module.partition(".")[0] == package
    }
    assert found == ONLY_IN[package]


def test_the_fakes_are_for_tests() -> None:
    found = [
        f"{path}:{line}"
        for path in PRODUCT
        if path.parent.name != "testing"
        for module, line in imports(tree_of(path))
        if module.startswith("shared.testing")
    ]
    assert found == []


def test_the_domain_knows_only_itself_and_the_pure_parts_of_shared() -> None:
    found = []
    for path in PRODUCT:
        parts = path.relative_to(ROOT).parts
        if parts[0] != "services" or "domain" not in path.relative_to(ROOT).with_suffix("").parts:
            continue
        own = f"services.{parts[1]}.domain"
        for module, line in imports(tree_of(path)):
            pure = module.partition(".")[0] in sys.stdlib_module_names or module.startswith((own, *PURE))
            if not pure:
                found.append(f"{path.relative_to(ROOT)}:{line} {module}")
    assert found == []


def test_shared_knows_no_service_by_name() -> None:
    found = [
        f"{path}:{line}"
        for path in PRODUCT
        if path.is_relative_to(ROOT / "shared")
        for module, line in imports(tree_of(path))
        if module.startswith("services")
    ]
    assert found == []
