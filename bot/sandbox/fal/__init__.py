"""A stand-in for fal.ai."""

from __future__ import annotations

from bot.sandbox.fal.account import Account, Bill
from bot.sandbox.fal.jobs import FalRequest
from bot.sandbox.fal.schemas import ENDPOINTS, Endpoint, Price
from bot.sandbox.fal.world import FalCall, FalWorld, Pace, Tempo

__all__ = [
    "ENDPOINTS",
    "Account",
    "Bill",
    "Endpoint",
    "FalCall",
    "FalRequest",
    "FalWorld",
    "Pace",
    "Price",
    "Tempo",
]
