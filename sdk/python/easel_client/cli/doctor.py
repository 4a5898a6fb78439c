"""`easel doctor`"""

import typer

from easel_client.cli import exits
from easel_client.cli.checks import Examination, Finding
from easel_client.cli.running import state_of, told
from easel_client.cli.terminal import Terminal


def doctor(context: typer.Context) -> None:
    """Find out why it does not work: address, connection, clock, key, scopes, credits, quota. Says what to do."""
    state = state_of(context)
    with told(state.terminal):
        findings = [_shown(state.terminal, each) for each in Examination(sealed=state.sealed).findings()]
    if findings[-1].bad:
        raise typer.Exit(_code(findings[-1]))
    state.terminal.say("Everything that can be seen from here is well.")


def _shown(terminal: Terminal, finding: Finding) -> Finding:
    if terminal.as_json:
        state = "bad" if finding.bad else "warning" if finding.warning else "good"
        terminal.data({"check": finding.check, "state": state, "said": finding.said, "remedy": finding.remedy or None})
        return finding
    mark = "✗" if finding.bad else "!" if finding.warning else "✓"
    terminal.say(f"{mark} {finding.check:<12} {finding.said}")
    if finding.remedy:
        terminal.say(f"  {'':<12} → {finding.remedy}")
    return finding


def _code(finding: Finding) -> int:
    if finding.check in {"credentials", "key", "scopes", "account"}:
        return exits.NOT_LET_IN
    return exits.SPENT if finding.check in {"credits", "quota"} else exits.UNREACHABLE
