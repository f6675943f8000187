"""The next step of a client's checklist, in a few words."""

from bots.reporting.checklist import Checklist, LineState, Part

#: The next step for a line that is wrong, or that waits for a user, in two or three words.
_TO_FIX = {
    Part.DETAILS: "fix its server",
    Part.KEY: "enter a new key",
    Part.PROFILE: "fix its credentials profile",
    Part.DEPLOYED: "see why the launch failed",
    Part.CONNECTED: "check its bot",
}
_TO_DO = {
    Part.KEY: "add the exchange key",
    Part.BOT: "add a bot",
    Part.PROFILE: "launch the bot",
    Part.DEPLOYED: "launch the bot",
    Part.CONNECTED: "wait for the bot to connect",
}


def next_summary(checklist: Checklist) -> str:
    """Return the next step in a few words, for a client who is being onboarded."""
    line = checklist.next
    if line is None:
        return "mark as active"
    if line.part == Part.DEPLOYED and line.comes_by_itself:
        return "wait for the launch"
    return (_TO_FIX if line.state == LineState.WRONG else _TO_DO)[line.part]
