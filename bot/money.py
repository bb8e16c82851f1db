"""Amounts of money: nano-dollars inside, what people type and read outside.

The books are integers of 10⁻⁹ US dollars, fal's own billing unit. A display currency changes only
what people see and type.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cache, lru_cache

from babel import Locale
from babel.numbers import (
    get_currency_name,
    get_currency_symbol,
    list_currencies,
    parse_pattern,
)

from bot.errors import AmountError
from bot.i18n import LANGUAGES

NANOS_PER_DOLLAR = 10**9
MAX_BUDGET_NANOS = 1_000_000 * NANOS_PER_DOLLAR

_MAX_DECIMALS = 9
_MAX_TYPED_CHARACTERS = 64
_MIN_NANOS, _MAX_NANOS = -(2**63), 2**63 - 1
_ONE_NANO = Decimal("1e-9")
_EXACT = Context(prec=60, rounding=ROUND_HALF_UP)
_PATTERN = parse_pattern("#,##0.00#######")

# The Arabic separators U+066B and U+066C mean only one thing each: decimal and thousands.
_AMOUNT = re.compile(
    r"(?P<before>[^\d.,\u066b]*)(?P<number>(?:[\d.,\u066b].*)?\d)(?P<after>\D*)", re.ASCII
)
_WHOLE = re.compile(r"\d*|[1-9]\d{0,2}([ ',.\u066c])\d{3}(?:\1\d{3})*", re.ASCII)
_APOSTROPHES = "\u2018\u2019\u02bc"
_ARABIC_COMMA = "\u060c"


@dataclass(frozen=True, slots=True)
class Currency:
    """The currency that people see: its ISO code and what one US dollar is worth in it.

    Raises `ValueError` for a rate that is no positive number, or is not 1 for US dollars.
    """

    code: str = "USD"
    rate: Decimal = Decimal(1)

    def __post_init__(self) -> None:
        if not self.rate.is_finite() or not Decimal("1e-6") <= self.rate < Decimal("1e7"):
            raise ValueError("the rate of a currency must be a positive number")
        if self.code == "USD" and self.rate != 1:
            raise ValueError("the rate of US dollars is 1")
        if self.code not in list_currencies():
            raise ValueError(f"{self.code!r} is not the code of a currency")


def nanos_from_decimal(amount: Decimal) -> int:
    """US dollars as nano-dollars, exactly.

    Raises `ValueError` for NaN and infinities, for parts of a nano-dollar, and for what does not
    fit in 64 bits.
    """
    if not amount.is_finite():
        raise ValueError(f"{amount} is not an amount")
    if not amount:
        return 0
    # Bounded before it is multiplied out: 1e999999 must not become an integer of a million digits.
    if not -_MAX_DECIMALS <= amount.adjusted() <= 10:
        raise ValueError(f"{amount} is no amount in whole nano-dollars of 64 bits")
    numerator, denominator = amount.as_integer_ratio()
    nanos, rest = divmod(numerator * NANOS_PER_DOLLAR, denominator)
    if rest or not _MIN_NANOS <= nanos <= _MAX_NANOS:
        raise ValueError(f"{amount} is no amount in whole nano-dollars of 64 bits")
    return nanos


def parse_amount(text: str, currency: Currency) -> int:
    """What a person typed, in nano-dollars, 0 to `MAX_BUDGET_NANOS`. Raises `AmountError`.

    Takes the digits of any script, a decimal point or comma, thousands grouped by spaces, points,
    commas or apostrophes, and a sign or code of US dollars or of the display currency before or
    after. A number without one is in the display currency, `$` alone is always the US dollar.

    A lone point or comma is a decimal one: `1,000` is one. Both readings are in use, so the one
    that allows less is taken; the answer shows it. `1,000.00`, `1,000,000` and `1 000` are clear.
    """
    typed = _AMOUNT.fullmatch(_simplified(text)) if len(text) <= _MAX_TYPED_CHARACTERS else None
    if typed is None:
        raise AmountError("not_a_number")
    before, after = (typed[part].replace(" ", "").casefold() for part in ("before", "after"))
    negative = "-" in before
    before = before.replace("-" if negative else "+", "", 1)
    value = _value(typed["number"])
    if value is None:
        raise AmountError("not_a_number")
    rate = _rate_of([sign for sign in (before, after) if sign], currency)
    if negative and value:
        raise AmountError("negative")
    dollars = _EXACT.divide(value, rate)
    if dollars * NANOS_PER_DOLLAR > MAX_BUDGET_NANOS:
        raise AmountError("too_much", largest=MAX_BUDGET_NANOS // NANOS_PER_DOLLAR)
    if -int(value.as_tuple().exponent) > _MAX_DECIMALS:
        raise AmountError("decimals")
    # Rounds only what a rate has divided: typed dollars have no more than nine decimals here.
    return nanos_from_decimal(dollars.quantize(_ONE_NANO, context=_EXACT))


# The figures of a person are written many times between two changes of them.
@lru_cache(maxsize=4096)
def format_amount(nanos: int, language: str, currency: Currency) -> str:
    """The amount as people of `language` write it: `$7.65`, `-$0.025`; in French `7,65 $`.

    Two decimals, more where it carries more. An amount converted to another currency is rounded to
    the decimals that a nano-dollar can be told apart by, so that what was typed is shown again.
    The space before the sign is a plain one, as the status line has it.
    """
    amount = _EXACT.multiply(Decimal(nanos), _ONE_NANO)
    if currency.rate != 1:
        decimals = _MAX_DECIMALS if currency.rate < 1 else 8 - currency.rate.adjusted()
        amount = _EXACT.multiply(amount, currency.rate)
        amount = amount.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)
    number = _PATTERN.apply(abs(amount), Locale.parse(language))
    symbol = _symbol(currency.code, language)
    minus = "-" if amount < 0 else ""
    if language == "fr":
        return f"{minus}{number} {symbol}"
    return f"{minus}{symbol}{' ' if symbol[-1].isalpha() else ''}{number}"


def _simplified(text: str) -> str:
    """The text with ASCII digits, spaces, signs and apostrophes, and no invisible characters."""
    simple = []
    for character in text:
        if "\uff01" <= character <= "\uff5e":  # full-width forms of ASCII
            character = chr(ord(character) - 0xFEE0)
        category = unicodedata.category(character)
        if category == "Nd":
            character = str(unicodedata.decimal(character))
        elif category == "Zs" or character in "\t\n":
            character = " "
        elif category == "Pd" or character == "\u2212":
            character = "-"
        elif character in _APOSTROPHES:
            character = "'"
        elif character == _ARABIC_COMMA:
            character = ","
        if category != "Cf":  # marks of writing direction, zero-width spaces
            simple.append(character)
    return "".join(simple).strip()


def _value(number: str) -> Decimal | None:
    """The number that starts and ends with a digit or its decimal point; None if it is none."""
    marks = sorted(
        (mark for mark in "\u066b.," if mark in number),
        key=lambda m: (m == "\u066b", number.rfind(m)),
    )
    whole, fraction = number, "0"
    # Of two kinds the last is the decimal one; a single kind is, unless it repeats like thousands.
    if marks and (len(marks) > 1 or number.count(marks[0]) == 1):
        whole, _, fraction = number.rpartition(marks[-1])
    if not _WHOLE.fullmatch(whole) or not fraction.isdecimal():
        return None
    return Decimal(f"{re.sub(r'[^0-9]', '', whole) or '0'}.{fraction}")


def _rate_of(signs: list[str], currency: Currency) -> Decimal:
    """What one US dollar is worth in the currency that `signs` (in small letters) name."""
    if not signs:
        return currency.rate
    for code, rate in (("USD", Decimal(1)), (currency.code, currency.rate)):
        if all(sign in _signs(code) for sign in signs):
            return rate
    if all(_names_a_currency(sign) for sign in signs):
        accepted = "USD" if currency.code == "USD" else f"USD / {currency.code}"
        raise AmountError("currency", accepted=accepted)
    raise AmountError("not_a_number")


@cache
def _signs(code: str) -> frozenset[str]:
    """All ways to name a currency in our languages: code, sign, names; small letters, no spaces."""
    signs = {code}
    for language in LANGUAGES:
        symbol = get_currency_symbol(code, language)
        bare = re.sub(r"[A-Z]", "", symbol)
        signs |= {symbol, bare}
        if bare:
            signs |= {f"{code[:2]}{bare}", f"{bare}{code[:2]}"}  # US$, $US
        for count in (1, 2):
            name = get_currency_name(code, count, language)
            signs |= {name, name.split()[-1] if language == "en" else name.split()[0]}
    return frozenset(sign.replace(" ", "").casefold() for sign in signs if sign)


@cache
def _names_a_currency(sign: str) -> bool:
    return all(unicodedata.category(character) == "Sc" for character in sign) or any(
        sign in _signs(code) for code in list_currencies()
    )


def _symbol(code: str, language: str) -> str:
    # The locale data would write "$US" in French; the account has only one kind of dollar.
    return "$" if code == "USD" else get_currency_symbol(code, language)
