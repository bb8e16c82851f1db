"""Amounts are read as people mean them, or refused with the reason, and written without loss."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bot.errors import AmountError
from bot.i18n import LANGUAGES, load_texts
from bot.money import (
    MAX_BUDGET_NANOS,
    NANOS_PER_DOLLAR,
    Currency,
    format_amount,
    nanos_from_decimal,
    parse_amount,
)

USD = Currency()
EUR = Currency("EUR", Decimal("0.92"))
CAD = Currency("CAD", Decimal("1.37"))
JPY = Currency("JPY", Decimal("153.2"))
MAX_64 = 2**63 - 1

currencies = st.builds(
    Currency,
    code=st.sampled_from(["EUR", "CAD", "CHF", "JPY", "GBP", "INR"]),
    rate=st.decimals("0.000001", "9999999.999999", places=6),
)


@pytest.mark.parametrize(
    ("typed", "dollars"),
    [
        ("10.00", "10"),
        ("10", "10"),
        ("10,00", "10"),
        ("$10", "10"),
        ("10$", "10"),
        ("$ 10", "10"),
        ("10 USD", "10"),
        ("usd 10", "10"),
        ("US$10", "10"),
        ("10,00 $", "10"),
        ("10,00 $US", "10"),
        ("$10 USD", "10"),
        ("10 dollars", "10"),
        ("+10", "10"),
        ("  10  ", "10"),
        (".5", "0.5"),
        ("0.000000001", "0.000000001"),
        ("0", "0"),
        ("-0", "0"),
        ("007", "7"),
        ("1000000", "1000000"),
        ("10 000,50", "10000.5"),
        ("10\u00a0000,50", "10000.5"),
        ("10\u202f000,50\u00a0$", "10000.5"),
        ("1,000.50", "1000.5"),
        ("1.000,50", "1000.5"),
        ("1'000.50", "1000.5"),
        ("1’000,50", "1000.5"),
        ("1,000,000", "1000000"),
        ("1.000.000", "1000000"),
        ("1 000", "1000"),
        ("1,000", "1"),  # as likely a thousand: the reading that allows less is taken
        ("1.000", "1"),
        ("0.025", "0.025"),
        ("0,025", "0.025"),
        ("١٠", "10"),
        ("١٠٫٥٠", "10.5"),
        ("١٬٠٠٠٫٥", "1000.5"),
        ("١٠،٥٠", "10.5"),
        ("۱۰٫۵", "10.5"),
        ("१०.५", "10.5"),
        ("１０．５０", "10.5"),
        ("＄１０", "10"),
        ("\u200f١٠\u200f", "10"),
        ("\u202a$10.00\u202c", "10"),
    ],
)
def test_what_people_type_is_understood(typed: str, dollars: str) -> None:
    assert parse_amount(typed, USD) == Decimal(dollars) * NANOS_PER_DOLLAR


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        *[(typed, "not_a_number") for typed in ("", " ", "ten", "NaN", "inf", "-inf", "1e999")],
        *[(typed, "not_a_number") for typed in ("1e3", "0x10", "10²", "½", "1_000", "10.00.00")],
        *[(typed, "not_a_number") for typed in ("10.", "1 00", "1 0000", "10  000", "1,00,000")],
        *[(typed, "not_a_number") for typed in ("1.000,00,0", "1 000'000", "0,000,001", "1٫0٫0")],
        *[(typed, "not_a_number") for typed in ("--5", "5-", "$", "-", "USD", "10 bananas")],
        *[(typed, "not_a_number") for typed in ("10 USD 5", "5 $ 5", "9" * 65, "10 %", "1/2")],
        *[(typed, "negative") for typed in ("-1", "−1", "－1", "- $1", "$-1", "-0.000000001")],
        *[(typed, "decimals") for typed in ("0.0000000001", "1.0000000000")],
        *[(typed, "too_much") for typed in ("1000000.000000001", "1000001", "9" * 64)],
        *[(typed, "currency") for typed in ("10 €", "€10", "10 EUR", "eur 10", "10 euros")],
        *[(typed, "currency") for typed in ("£5", "₿1", "10 CAD", "$10 CAD", "CA$10", "-10 €")],
    ],
)
def test_what_cannot_be_a_budget_is_refused_with_the_reason(typed: str, reason: str) -> None:
    with pytest.raises(AmountError) as refused:
        parse_amount(typed, USD)
    assert refused.value.reason == reason


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("typed", ["ten", "-1", "0.0000000001", "1000001", "10 £"])
def test_a_refusal_says_what_is_expected_with_an_example(typed: str, language: str) -> None:
    with pytest.raises(AmountError) as refused:
        parse_amount(typed, EUR)
    sentence = load_texts(language).plain(refused.value.key, **refused.value.params)
    assert "/setbudget" in sentence
    assert "{" not in sentence


def test_another_currency_is_refused_because_fal_bills_in_dollars() -> None:
    with pytest.raises(AmountError) as refused:
        parse_amount("10 €", USD)
    sentence = load_texts("en").plain(refused.value.key, **refused.value.params)
    assert sentence.startswith("fal bills in US dollars")


@pytest.mark.parametrize(
    ("typed", "currency", "nanos"),
    [
        ("9,20 €", EUR, 10_000_000_000),
        ("9.20", EUR, 10_000_000_000),
        ("9.20 EUR", EUR, 10_000_000_000),
        ("10 $", EUR, 10_000_000_000),
        ("10 USD", EUR, 10_000_000_000),
        ("1 €", EUR, 1_086_956_522),
        ("$13.70", CAD, 13_700_000_000),  # a bare dollar sign is the US dollar
        ("13.70", CAD, 10_000_000_000),
        ("CA$13.70", CAD, 10_000_000_000),
        ("$13.70 CAD", CAD, 10_000_000_000),
        ("1532 ¥", JPY, 10_000_000_000),
    ],
)
def test_an_amount_is_taken_in_its_currency_or_in_the_displayed_one(
    typed: str, currency: Currency, nanos: int
) -> None:
    assert parse_amount(typed, currency) == nanos


def test_the_limit_is_one_of_dollars_in_every_currency() -> None:
    assert parse_amount("1 000 000 USD", JPY) == MAX_BUDGET_NANOS
    assert parse_amount("153 200 000", JPY) == MAX_BUDGET_NANOS
    with pytest.raises(AmountError, match="too_much"):
        parse_amount("153 200 001", JPY)
    with pytest.raises(AmountError, match="too_much"):
        parse_amount("1 000 000", EUR)


@pytest.mark.parametrize(
    ("nanos", "english", "french"),
    [
        (7_650_000_000, "$7.65", "7,65 $"),
        (10_000_000_000, "$10.00", "10,00 $"),
        (0, "$0.00", "0,00 $"),
        (25_000_000, "$0.025", "0,025 $"),
        (3_000_000, "$0.003", "0,003 $"),
        (1, "$0.000000001", "0,000000001 $"),
        (-500_000_000, "-$0.50", "-0,50 $"),
        (1_000_000_000_000, "$1,000.00", "1\u202f000,00 $"),
        (1_234_567_891_234_567, "$1,234,567.891234567", "1\u202f234\u202f567,891234567 $"),
        (MAX_64, "$9,223,372,036.854775807", "9\u202f223\u202f372\u202f036,854775807 $"),
    ],
)
def test_amounts_have_two_decimals_and_more_where_they_carry_more(
    nanos: int, english: str, french: str
) -> None:
    assert format_amount(nanos, "en", USD) == english
    assert format_amount(nanos, "fr", USD) == french


@pytest.mark.parametrize(
    ("currency", "english", "french"),
    [
        (EUR, "€9.20", "9,20 €"),
        (CAD, "CA$13.70", "13,70 $CA"),
        (JPY, "¥1,532.00", "1\u202f532,00 JPY"),
        (Currency("CHF", Decimal("0.8")), "CHF 8.00", "8,00 CHF"),
        (Currency("EUR"), "€10.00", "10,00 €"),
    ],
)
def test_a_display_currency_has_its_own_sign(currency: Currency, english: str, french: str) -> None:
    assert format_amount(10 * NANOS_PER_DOLLAR, "en", currency) == english
    assert format_amount(10 * NANOS_PER_DOLLAR, "fr", currency) == french


@given(nanos=st.integers(0, MAX_BUDGET_NANOS), language=st.sampled_from(LANGUAGES))
@example(nanos=1_005_000_000, language="fr")  # "1,005 $" has the shape of a thousand
@example(nanos=MAX_BUDGET_NANOS, language="en")
def test_a_shown_amount_typed_again_is_the_same_amount(nanos: int, language: str) -> None:
    assert parse_amount(format_amount(nanos, language, USD), USD) == nanos


@given(
    nanos=st.integers(-(2**63), MAX_64),
    language=st.sampled_from(LANGUAGES),
    currency=currencies | st.just(USD),
)
def test_every_stored_amount_can_be_shown(nanos: int, language: str, currency: Currency) -> None:
    shown = format_amount(nanos, language, currency)
    assert shown.startswith("-") <= (nanos < 0)
    assert "E" not in shown.replace("EUR", "")


@given(
    cents=st.integers(0, 10**8),
    language=st.sampled_from(LANGUAGES),
    currency=currencies,
)
def test_what_was_typed_in_the_display_currency_is_what_is_shown(
    cents: int, language: str, currency: Currency
) -> None:
    typed = Decimal(cents).scaleb(-2)
    assume(typed / currency.rate < 1_000_000)
    shown = format_amount(parse_amount(str(typed), currency), language, currency)
    digits = "".join(character for character in shown if character.isdecimal())
    assert int(digits) == cents


@given(text=st.text(max_size=80) | st.text("0123456789.,' -+$€", max_size=20))
def test_any_text_is_an_amount_within_limits_or_a_refusal(text: str) -> None:
    try:
        nanos = parse_amount(text, EUR)
    except AmountError:
        return
    assert 0 <= nanos <= MAX_BUDGET_NANOS


@given(nanos=st.integers(-(2**63), MAX_64), zeros=st.integers(0, 40))
def test_dollars_become_nano_dollars_exactly(nanos: int, zeros: int) -> None:
    dollars = Decimal(f"{nanos}{'0' * zeros}e-{zeros + 9}")
    assert nanos_from_decimal(dollars) == nanos


@pytest.mark.parametrize(
    "amount",
    [
        "0.0000000005",
        "1.0000000001",
        "1e-10",
        "1e-999999",
        "9223372036.854775808",
        "-9223372036.854775809",
        "1e11",
        "1e999999",
        "NaN",
        "sNaN",
        "Infinity",
        "-Infinity",
    ],
)
def test_an_amount_that_would_have_to_be_rounded_is_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="amount"):
        nanos_from_decimal(Decimal(amount))


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [
        ("1e-9", 1),
        ("-1e-9", -1),
        ("9223372036.854775807", MAX_64),
        ("-9223372036.854775808", -(2**63)),
        ("0e999999", 0),
        ("0e-999999", 0),
        ("-0", 0),
    ],
)
def test_the_limits_themselves_are_exact(amount: str, nanos: int) -> None:
    assert nanos_from_decimal(Decimal(amount)) == nanos


@pytest.mark.parametrize("rate", ["0", "-1", "NaN", "Infinity", "0.0000001", "10000000"])
def test_a_currency_needs_a_rate_that_can_be_used(rate: str) -> None:
    with pytest.raises(ValueError, match="rate"):
        Currency("EUR", Decimal(rate))


def test_a_currency_is_one_that_exists_and_dollars_are_worth_one() -> None:
    with pytest.raises(ValueError, match="'EURO' is not the code"):
        Currency("EURO")
    with pytest.raises(ValueError, match="rate of US dollars"):
        Currency("USD", Decimal("1.1"))


def test_half_a_nano_dollar_of_a_converted_amount_is_rounded_up() -> None:
    two = Currency("EUR", Decimal(2))
    assert parse_amount("0.000000001", two) == 1
    exact = Decimal("0.000000003") / 2 * NANOS_PER_DOLLAR
    assert parse_amount("0.000000003", two) == exact.to_integral_value(ROUND_HALF_UP) == 2
