"""The one tree of errors that people see, each with its text.

Whoever finds that something cannot go on raises one of these; `handlers` word it in the
person's language with `texts(error.key, **error.params)`. Anything else that escapes is a
defect and is answered with one neutral sentence.
"""

from __future__ import annotations


class UserError(Exception):
    """Something a person can act on.

    `key` names the sentence in `locales/`, `params` fill it. The message of the exception
    itself is for logs only and carries no secrets and no prompts.
    """

    key = "error.unexpected"

    def __init__(self, **params: object) -> None:
        super().__init__(self.key)
        self.params = params


class AmountError(UserError):
    """An amount of money that was typed cannot be understood or accepted.

    `reason` is one of `not_a_number`, `negative`, `decimals`, `too_much`, `currency`.
    """

    def __init__(self, reason: str, **params: object) -> None:
        self.reason = reason
        self.key = f"error.amount.{reason}"
        super().__init__(**params)


class UnknownUnit(UserError):
    """fal prices the model in a unit whose amount cannot be known before the request."""

    key = "error.unknown_unit"


class TooDear(UserError):
    """The quote is more than what is available."""

    key = "error.too_dear"


class TooManyJobs(UserError):
    """The person already has as many jobs under way as are allowed."""

    key = "error.too_many_jobs"
