"""`easel doctor`"""

import typer

from easel_client.cli import exits
from easel_client.cli.checks import Examination, Finding
from easel_client.cli.running import state_of


def doctor(context: typer.Context) -> None:
    """Find out why it does not work: address, connection, clock, key, scopes, credits, quota. Says what to do."""
    terminal = state_of(context).terminal
    bad: list[Finding] = []
    for finding in Examination().findings():
        bad += [finding] if finding.bad else []
        if terminal.as_json:
            state = "bad" if finding.bad else "warning" if finding.warning else "good"
            terminal.data(
                {"check": finding.check, "state": state, "said": finding.said, "remedy": finding.remedy or None}
            )
            continue
        mark = "✗" if finding.bad else "!" if finding.warning else "✓"
        terminal.say(f"{mark} {finding.check:<12} {finding.said}")
        if finding.remedy:
            terminal.say(f"  {'':<12} → {finding.remedy}")
    if bad:
        raise typer.Exit(_code(bad[0]))
    terminal.say("Everything that can be seen from here is well.")


def _code(finding: Finding) -> int:
    if finding.check in {"credentials", "key", "scopes", "account"}:
        return exits.NOT_LET_IN
    return exits.SPENT if finding.check in {"credits", "quota"} else exits.UNREACHABLE
