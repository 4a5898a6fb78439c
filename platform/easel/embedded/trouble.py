"""What went wrong, and what to do about it, in one line that a newcomer can act on."""

import errno


class Trouble(Exception):
    """Ends a command with its message; never with a stack trace."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())


def explain(error: OSError) -> Trouble:
    """The errors of a machine rather than of the program, in the same form."""
    where = f" ({error.filename})" if error.filename else ""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Trouble(
            f"The disk is full{where}.",
            "Free some space, or put the data elsewhere: EASEL_VAR=/another/folder make up",
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return Trouble(f"No permission to write{where}.", "Name a folder of yours: EASEL_VAR=/another/folder make up")
    if error.errno in {errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}:
        return Trouble(f"That cannot be a folder{where}.", "Name another: EASEL_VAR=/another/folder make up")
    return Trouble(f"The system refused: {error.strerror or error}{where}.")
