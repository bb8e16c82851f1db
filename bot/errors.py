"""The one tree of errors that people see, each with its text.

Whoever finds that something cannot go on raises one of these; `handlers` word it in the
person's language with `texts(error.key, **error.params)`. Anything else that escapes is a
defect and is answered with one neutral sentence.
"""

from __future__ import annotations


class UserError(Exception):
    """Something a person can act on.

    `key` names the sentence in `locales/`, `params` fill it; a parameter `*_nanos` is an amount,
    and fills the placeholder of the name before it. What is `about_money` is answered with the
    status line. The message of the exception itself is for logs only and carries no secrets
    and no prompts.
    """

    key = "error.unexpected"
    about_money = False

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
    about_money = True


class TooDearTogether(TooDear):
    """Several at once cost more than what is available; `count` of them do not."""

    key = "error.too_dear_together"


class TooManyJobs(UserError):
    """The person already has as many jobs under way as are allowed."""

    key = "error.too_many_jobs"


class NoSuchPerson(UserError):
    """Nobody known to the bot has this id or name."""

    key = "error.no_such_person"


class CannotDenyAdmin(UserError):
    """Administrators are named in the settings and cannot be shut out in the chat."""

    key = "error.cannot_deny_admin"


class AccountLocked(UserError):
    """fal has locked the account (no credit left): no new jobs for now."""

    key = "error.account_locked"


class NeedsAdminKey(UserError):
    """fal tells balances and bills only to a key of ADMIN scope, and none is set."""

    key = "error.needs_admin_key"


class FalSilent(UserError):
    """fal does not answer a question just now."""

    key = "error.fal_silent"


class AdminsOnly(UserError):
    """Only administrators may do this."""

    key = "error.admins_only"


class BadRequest(UserError):
    """A command that lacks something or has it wrong; `key` says what.

    `what` is the part of the key after `error.request.`.
    """

    def __init__(self, what: str, **params: object) -> None:
        self.key = f"error.request.{what}"
        super().__init__(**params)
