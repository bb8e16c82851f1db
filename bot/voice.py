"""How the bot talks to one person: their language, amounts in the display currency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bot.budget import Figures, status_line
from bot.i18n import Html, Texts, load_texts, pick_language
from bot.money import Currency, format_amount
from db.models import Person


class HasFigures(Protocol):
    """Whatever carries the figures of a person: `Person`, `db.accounts.Account`."""

    budget_nanos: int | None
    spent_nanos: int
    held_nanos: int
    total_spent_nanos: int


def figures_of(holder: HasFigures) -> Figures:
    """The figures, for `bot.budget`."""
    return Figures(
        holder.budget_nanos, holder.spent_nanos, holder.held_nanos, holder.total_spent_nanos
    )


def name_of(person: Person) -> str:
    """What a person is called; their id where Telegram has told no name, or it was forgotten."""
    return person.name or str(person.id)


@dataclass(frozen=True, slots=True)
class Voice:
    """Texts in one language and amounts in the display currency."""

    texts: Texts
    currency: Currency

    def money(self, nanos: int) -> str:
        """An amount as people read it, `$0.025`."""
        return format_amount(nanos, self.texts.language, self.currency)

    def with_amounts(self, values: Mapping[str, object]) -> dict[str, object]:
        """Values for a text: a `*_nanos` is an amount, and goes by the name before it."""
        return {
            name.removesuffix("_nanos"): self.money(value)
            if name.endswith("_nanos") and isinstance(value, int)
            else value
            for name, value in values.items()
        }

    def rate(self) -> list[Html]:
        """What a US dollar counts as, as a line; none where that is a dollar."""
        currency = self.currency
        if currency.rate == 1:
            return []
        return [self.texts("budget.rate", rate=currency.rate, code=currency.code)]

    def spent_since(self, person: Person) -> Html:
        """What was spent since the budget was set: what was before is in the budget already."""
        since = person.budget_set_at or person.created_at
        return self.texts("budget.spent", date=since.date(), amount=self.money(person.spent_nanos))

    def status_line(self, holder: HasFigures) -> str:
        """The line that ends every answer about money. Free of markup."""
        return status_line(figures_of(holder), self.texts, self.currency)


@dataclass(frozen=True, slots=True)
class Voices:
    """Finds the voice for a person: the language they chose, else their client's, else ours."""

    default_language: str
    currency: Currency

    def of(self, person: Person) -> Voice:
        """The voice in which this person is spoken to."""
        language = pick_language(person.language, person.client_language, self.default_language)
        return Voice(load_texts(language), self.currency)
