"""``emosim plugins check``: hold an installed plugin to the contract."""

from __future__ import annotations

from typing import Any

import click

from emosim_core.cli.printing import print_json, print_line


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.pass_context
def check(ctx: click.Context, name: str, as_json: bool) -> None:
    """Hold the installed plugin NAME to the contract, and print a report.

    Everything that it provides is checked as far as that needs no option and costs no money. The status is 1 where a
    rule is broken. The same checks, and those that are left out here, can be run as tests: see emosim_core.testing.
    """
    from emosim_core.hooks import Registry
    from emosim_core.testing.check import check_plugin

    if ctx.obj["only"] is not None:  # --no-plugins: say that the plugin is blocked
        Registry(only=ctx.obj["only"]).load(name)
    reports: list[dict[str, Any]] = []
    for report in check_plugin(name):
        results = [
            {
                "check": outcome.check,
                "rules": list(outcome.rules),
                "status": "skipped" if outcome.skipped else "ok" if outcome.error is None else "failed",
                "message": outcome.skipped or ("" if outcome.error is None else _message(outcome.error)),
            }
            for outcome in report.outcomes
        ]
        reports.append({"subject": report.subject, "checks": results})
        if not as_json:
            _print(report.subject, results)
    statuses = [one["status"] for report in reports for one in report["checks"]]
    counts = {status: statuses.count(status) for status in ("ok", "failed", "skipped")}
    if as_json:
        print_json({"plugin": name, "reports": reports, **counts})
    else:
        print_line(f"{counts['ok']} checks passed, {counts['failed']} failed, {counts['skipped']} skipped")
    if counts["failed"]:
        ctx.exit(1)


def _print(subject: str, results: list[dict[str, Any]]) -> None:
    print_line(subject, bold=True)
    colours = {"ok": "green", "failed": "red", "skipped": "yellow"}
    first: dict[str, str] = {}
    for one in results:
        print_line(f"  {one['status']:<8}", fg=colours[one["status"]], nl=False)
        print_line(f"{one['check']} [{', '.join(one['rules'])}]" if one["rules"] else one["check"])
        if one["message"]:
            check = first.setdefault(one["message"], one["check"])
            print_line(f"          {one['message'] if check == one['check'] else f'the same error as in {check!r}'}")


def _message(error: Exception) -> str:
    from emosim_core.testing.contract import BrokenRuleError

    return str(error) if isinstance(error, BrokenRuleError) else f"{type(error).__name__}: {error}"
