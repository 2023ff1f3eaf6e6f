"""Why a server is not there. Both say it in one line."""


class CannotBeHad(Exception):
    """This machine has not got it and cannot get it: no network, no Java, no rights, no environment."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class DidNotStart(Exception):
    """It is installed, but ended or did not answer in time."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: did not start: {reason}")
        self.name = name
        self.reason = reason
