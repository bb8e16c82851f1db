"""The tour: a scripted conversation with the real bot, printed as it happens.

It is written like a test: every line waits for what the bot ought to show, and says so if it does
not. The amounts follow from the sandbox's prices.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.sandbox.fal.media import draw_scene
from bot.sandbox.server import Sandbox
from bot.sandbox.telegram import Message, Person

Write = Callable[[str], object]

COLUMNS = 92
MARGIN = 12
# Nothing takes longer but a machine that is busy with something else.
PATIENCE_SECONDS = 30.0
# Seven begun megapixels, dear enough to bring the budget into the red at once.
LARGE = (3200, 2160)


class TourError(Exception):
    """The bot did not do what it ought to. The message says what was expected."""


async def play(sandbox: Sandbox, admin: Person, member: Person, write: Write = print) -> None:
    """Play the whole conversation and print it with `write`; raises `TourError`."""
    tour = Tour(sandbox, admin, member, write)
    for scene in (tour.let_in, tour.spend, tour.run_low, tour.top_up, tour.check_the_books):
        try:
            await scene()
        except (TimeoutError, LookupError) as error:
            tour.catch_up()
            # What the bot shows instead has been printed.
            raise TourError(f"{str(error).partition('; the bot shows')[0]}.") from None


@dataclass
class Tour:
    """The scenes. `shown` are the messages that have been printed already, `live` the answer to
    `/budget` that the bot keeps up to date."""

    sandbox: Sandbox
    admin: Person
    member: Person
    write: Write
    shown: set[int] = field(default_factory=set)
    live: Message = field(init=False)

    # -- scenes --------------------------------------------------------------------------------

    async def let_in(self) -> None:
        """A stranger asks, the admin approves."""
        ada, ben = self.admin, self.member
        self.title(f"{ben.first_name} is a stranger and asks to be let in")
        await self.says(ben, "/start", r"(?i)administrators")
        request = await ada.chat.wait_for_text(rf"\b{ben.id}\b", PATIENCE_SECONDS)
        await self.presses(ada, request, "Approve")
        await ben.chat.wait_for_text("(?i)you are in", PATIENCE_SECONDS)
        self.catch_up()

    async def spend(self) -> None:
        """A budget, a picture, a picture from a photo, a video from the picture."""
        ben = self.member
        self.title("A budget, and what it is spent on: 🟢")
        await self.says(ben, "/budget", r"Spent: \$0\.00")
        await self.says(ben, "/setbudget 1.00", r"🟢 \$1\.00 of \$1\.00 left \(100 %\)")
        self.live = await self.says(ben, "/budget", r"🟢 \$1\.00 of \$1\.00 left \(100 %\)")
        sent = await ben.sends("/image a lighthouse at dawn")
        picture = await self.shows(ben, sent, "photo", r"🟢 \$0\.975 of \$1\.00 left \(97 %\)")
        photo = draw_scene("", seed=7, size=(800, 600))
        sent = await ben.sends_photo(photo, "/image the same hills in autumn")
        await self.shows(ben, sent, "photo", r"🟢 \$0\.945 of \$1\.00 left \(94 %\)")
        self.title("A video from the bot's own picture: 🟡")
        sent = await ben.sends("/video the light begins to turn", reply_to=picture)
        await self.shows(ben, sent, "video", r"🟡 \$0\.445 of \$1\.00 left \(44 %\)")

    async def run_low(self) -> None:
        """A dear picture: the alert; and a video that the rest does not pay."""
        ben = self.member
        self.title("A large picture, sent as a file, is dear: 🔴, and an alert")
        large = draw_scene("", seed=11, size=LARGE)
        caption = "/image as an oil painting"
        sent = await ben.sends_document(large, "hills.jpg", "image/jpeg", caption)
        left = r"🔴 \$0\.235 of \$1\.00 left \(23 %\)"
        picture = await self.shows(ben, sent, None, left)
        await ben.chat.wait_for(
            lambda m: m is not picture and m.id > sent.id and re.search(left, m.text) is not None,
            PATIENCE_SECONDS,
            "an alert that the budget is running low",
        )
        self.catch_up()
        self.title("What is left does not pay for a video: refused, nothing is sent")
        before = len(self.sandbox.fal.requests)
        await self.says(ben, "/video the waves roll in", r"\$0\.50 .*\$0\.235 is available")
        if len(self.sandbox.fal.requests) != before:
            raise TourError("fal got a request that the budget does not pay for.")

    async def top_up(self) -> None:
        """A new budget, the dashboard, and the message that kept itself up to date."""
        ben = self.member
        self.title("A new budget, and where the money went")
        await self.says(ben, "/setbudget 5.00", r"🟢 \$5\.00 of \$5\.00 left \(100 %\)")
        sent = await ben.sends("/dashboard")
        picture = await self.shows(ben, sent, "photo", r"🟢 \$5\.00 of \$5\.00 left")
        if not any("fal.ai/dashboard" in button.get("url", "") for button in picture.buttons):
            raise TourError("there is no button to fal's dashboard under the picture.")
        live = await ben.chat.wait_for(
            lambda m: m.id == self.live.id and "$5.00 of $5.00" in m.text,
            PATIENCE_SECONDS,
            "the /budget message to show the new budget by itself",
        )
        self.title("Meanwhile the answer to /budget has kept itself up to date")
        self._print_message(live)

    async def check_the_books(self) -> None:
        """What fal billed is what the bot counted."""
        fal = self.sandbox.fal
        billed = fal.bill_total_nanos
        if billed != 765_000_000:
            raise TourError(f"fal billed {billed} nano-dollars, and the bot counted 765000000.")
        count = len(fal.requests)
        self.write(f"\n── Done: fal got {count} requests and billed $0.765, as the bot said.")

    # -- what people do --------------------------------------------------------------------------

    async def says(self, person: Person, text: str, expected: str) -> Message:
        """Write `text` and wait for an answer that matches `expected`."""
        sent = await person.sends(text)
        answer = await person.chat.wait_for_text(expected, PATIENCE_SECONDS, after=sent)
        self.catch_up()
        return answer

    async def shows(self, person: Person, sent: Message, kind: str | None, left: str) -> Message:
        """Wait for the result of `sent`: a message of `kind` that ends with the status `left`."""

        def fits(message: Message) -> bool:
            right = message.content.media is not None and kind in (None, message.kind)
            return right and message.id > sent.id and re.search(left, message.text) is not None

        what = f"a {kind or 'result'} with the status {left}".replace("\\", "")
        result = await person.chat.wait_for(fits, PATIENCE_SECONDS, what)
        self.catch_up()
        return result

    async def presses(self, person: Person, message: Message, button: str) -> None:
        """Press a button and wait until the bot has answered and changed the message."""
        self.catch_up()
        before = message.content
        label = message.button(button)["text"]
        query = await person.presses(message, button, PATIENCE_SECONDS)
        self._print(person.first_name, f"presses [{label}]")
        if query.text:
            self._print(f"→ {person.first_name}", f"({query.text})")
        changed = self.sandbox.telegram.wait_for
        await changed(lambda: message.content is not before, PATIENCE_SECONDS, "the answer to show")
        self._print_message(message, "now: ")

    # -- printing ----------------------------------------------------------------------------------

    def title(self, text: str) -> None:
        self.write(f"\n── {text}\n")

    def catch_up(self) -> None:
        """Print what was said since the last time, as it looks now, in its order."""
        said = [*self.admin.chat.visible, *self.member.chat.visible]
        for message in sorted(said, key=lambda message: message.id):
            if message.id not in self.shown:
                self.shown.add(message.id)
                self._print_message(message)

    def _print_message(self, message: Message, prefix: str = "") -> None:
        sender = message.sender
        person = message.chat.person
        who = sender.first_name if sender else f"→ {person.first_name if person else 'all'}"
        parts = [prefix]
        if sender and message.reply_to is not None:
            parts.append(f"(in reply to {_thing(message.reply_to)}) ")
        if message.content.media is not None:
            parts.append(f"[{_thing(message)}] ")
        rows = (message.content.markup or {}).get("inline_keyboard", [])
        keyboard = [" ".join(f"[{button['text']}]" for button in row) for row in rows]
        self._print(who, "\n".join(["".join(parts) + message.text, *keyboard]))

    def _print(self, who: str, text: str) -> None:
        wide = COLUMNS - MARGIN
        lines = [
            line for part in text.splitlines() for line in textwrap.wrap(part, wide) or [""]
        ] or [""]
        head, *rest = lines
        shown = [f"{who:<{MARGIN}}{head}", *(" " * MARGIN + one for one in rest)]
        self.write("\n".join(line.rstrip() for line in shown))


def _thing(message: Message) -> str:
    """What a message is, in a few words: `photo 1024x768`."""
    file = message.content.media
    if file is None:
        return f"“{textwrap.shorten(message.text, 40, placeholder='…')}”"
    size = f" {file.width}x{file.height}" if file.width else ""
    return f"{message.kind}{size}{f' {file.name}' if message.kind == 'document' else ''}"
