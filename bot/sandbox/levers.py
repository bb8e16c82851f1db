"""The half of the control API that is not people: fal, faults, time. Documented in `control`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from decimal import Decimal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bot.sandbox import views
from bot.sandbox.fal import FalWorld, Price, Tempo
from bot.sandbox.faults import Fault
from bot.sandbox.telegram import TelegramWorld

Handler = Callable[[Request], Awaitable[Response]]


class Missing(Exception):
    """There is no such person, chat or message."""


class Levers:
    """Serves them for both worlds."""

    def __init__(self, telegram: TelegramWorld, fal: FalWorld) -> None:
        self.telegram = telegram
        self.fal = fal

    def table(self) -> list[tuple[str, str, Handler]]:
        """Method, path and handler of each."""
        return [
            ("GET", "/control/fal", self.fal_state),
            ("POST", "/control/fal", self.change_fal),
            ("POST", "/control/fal/prices", self.change_price),
            ("POST", "/control/fal/outside", self.outside),
            ("POST", "/control/fal/requests/{request_id}/{act}", self.act),
            ("GET", "/control/faults", self.faults),
            ("POST", "/control/faults", self.add_fault),
            ("DELETE", "/control/faults", self.clear_faults),
            ("POST", "/control/clock", self.clock),
        ]

    async def fal_state(self, request: Request) -> Response:
        return JSONResponse(views.fal_json(self.fal))

    async def change_fal(self, request: Request) -> Response:
        body = await request.json()
        account = self.fal.account
        self.fal.pace = body.get("pace", self.fal.pace)
        self.fal.concurrency = int(body.get("concurrency", self.fal.concurrency))
        account.locked = body.get("locked", account.locked)
        account.discount = Decimal(str(body.get("discount", account.discount)))
        account.billing_delay_seconds = body.get(
            "billing_delay_seconds", account.billing_delay_seconds
        )
        account.balance_nanos = int(body.get("balance_nanos", account.balance_nanos))
        for kind, tempo in body.get("tempo", {}).items():
            self.fal.tempo[kind] = Tempo(**tempo)
        self.fal.changed()
        return JSONResponse(views.fal_json(self.fal))

    async def change_price(self, request: Request) -> Response:
        body = await request.json()
        price = Price(body["unit"], Decimal(body["unit_price"]))
        self.fal.prices[body["endpoint_id"]] = price
        return JSONResponse(views.fal_json(self.fal))

    async def outside(self, request: Request) -> Response:
        self.fal.outside_spending(int((await request.json())["nanos"]))
        return JSONResponse(views.fal_json(self.fal))

    async def act(self, request: Request) -> Response:
        found = self.fal.find(request.path_params["request_id"])
        if found is None:
            raise Missing("no such request")
        act = request.path_params["act"]
        if act == "fail":
            body = await request.body()
            self.fal.fail(found, **(json.loads(body) if body else {}))
        elif act in ("start", "complete"):
            getattr(self.fal, act)(found)
        else:
            raise Missing("no such act")
        return JSONResponse(views.request_json(self.fal, found))

    # -- faults and time -----------------------------------------------------------------------

    async def faults(self, request: Request) -> Response:
        orders = [views.order_json("telegram", order) for order in self.telegram.faults.orders]
        orders += [views.order_json("fal", order) for order in self.fal.faults.orders]
        return JSONResponse({"faults": orders})

    async def add_fault(self, request: Request) -> Response:
        body = await request.json()
        side = body.pop("side")
        details = {field.name for field in fields(Fault)} & body.keys()
        fault = Fault(**{name: body.pop(name) for name in details})
        if side == "telegram":
            order = self.telegram.faults.add(fault, **body)
        else:
            order = self.fal.faults.add(fault, **body)
        return JSONResponse(views.order_json(side, order))

    async def clear_faults(self, request: Request) -> Response:
        self.telegram.faults.clear()
        self.fal.faults.clear()
        return JSONResponse({"faults": []})

    async def clock(self, request: Request) -> Response:
        self.telegram.clock.advance(float((await request.json())["advance_seconds"]))
        self.telegram.changes.notify()
        self.fal.changes.notify()
        return JSONResponse({"now": self.telegram.clock.now().isoformat()})


def careful(handler: Handler) -> Handler:
    """`handler`, with its errors as JSON."""

    async def wrapped(request: Request) -> Response:
        try:
            return await handler(request)
        except (Missing, LookupError) as error:
            return JSONResponse({"error": str(error)}, 404)
        except (ValueError, TypeError, ArithmeticError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return wrapped
