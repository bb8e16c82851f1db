"""`/image` and `/video` in every way people write them, and what cannot be made."""

from __future__ import annotations

from typing import Any

import pytest

from bot.sandbox.telegram import Message, plain_photo
from bot.sandbox.telegram import Person as Visitor
from db.models import ContentJob, JobState, Person
from tests.handlers.house import House
from tests.support.waiting import eventually

MEGABYTE = 1024 * 1024
NO_PICTURE = {
    "en": "That is not a picture I can start from. "
    "Please use a photo, or a JPEG, PNG or WebP file.",
    "fr": "Je ne peux pas partir de cela. Utilisez une photo, ou un fichier JPEG, PNG ou WebP.",
}
BAD_PICTURE = {
    "en": "I cannot read that picture. Please use a photo, or a JPEG, PNG or WebP file.",
    "fr": "Je n’arrive pas à lire cette image. "
    "Utilisez une photo, ou un fichier JPEG, PNG ou WebP.",
}
TOO_LARGE = {
    "en": "That file is too large: Telegram lets me read up to 20 MB. Please send it as a photo.",
    "fr": "Ce fichier est trop lourd : Telegram me laisse lire 20 Mo au plus. Envoyez-le comme "
    "photo.",
}
NO_PROMPT = {
    "en": "What should the picture show? For example: /image a lighthouse at dawn",
    "fr": "Que doit montrer l’image ? Par exemple : /image un phare à l’aube",
}
NO_VIDEO_PROMPT = {
    "en": "What should happen in the video? For example: /video waves rolling in",
    "fr": "Que doit-il se passer dans la vidéo ? Par exemple : /video des vagues qui arrivent",
}


async def made(house: House, sent: Message, kind: str = "photo") -> dict[str, Any]:
    """What fal was asked for by the message that was sent, once the result stands in the chat."""
    await sent.chat.wait_for_media(kind, after=sent)
    request = house.fal.requests[-1]
    return {"endpoint": request.endpoint_id, **request.arguments}


# ------------------------------------------------------------------------------- what is understood


async def test_the_prompt_reaches_fal_as_it_was_typed(house: House) -> None:
    bea = await house.member()
    for text, prompt in (
        ("/image a red fox", "a red fox"),
        ("/IMAGE a red fox", "a red fox"),
        ("/image@fal_budget_bot a red fox", "a red fox"),
        ("/image   a red fox  ", "a red fox"),
        ("/image\na red fox", "a red fox"),
        ("/image\n\na red fox\nin snow", "a red fox\nin snow"),
        ("/image\ta red fox", "a red fox"),
        ("/image\u00a0a red fox", "a red fox"),
        ('/image a <b>red</b> & "bold" fox</i>', 'a <b>red</b> & "bold" fox</i>'),
        ("/image 🦊", "🦊"),
        ("/image /video of a fox", "/video of a fox"),
        ("/image \u202efox\u202c", "\u202efox\u202c"),
    ):
        request = await made(house, await bea.sends(text))
        assert (request["endpoint"], request["prompt"]) == ("fal-ai/flux/dev", prompt)
        assert prompt in bea.chat.last.text


async def test_the_status_message_becomes_the_picture(house: House, language: str) -> None:
    house.fal.pace = "manual"
    bea = await house.member(language=language, dollars="0.10")
    status = await house.answer(bea, "/image a red fox")
    assert (
        status.text.splitlines()
        == {
            "en": [
                "🎨 Making a picture",
                "a red fox",
                "FLUX.1 [dev] · $0.025 at most",
                "Available meanwhile: $0.075",
                "Sending it to fal…",
                "🟢 $0.10 of $0.10 left (100 %)",
            ],
            "fr": [
                "🎨 Image en cours",
                "a red fox",
                "FLUX.1 [dev] · 0,025 $ au plus",
                "Disponible en attendant : 0,075 $",
                "Envoi à fal…",
                "🟢 0,10 $ sur 0,10 $ restants (100 %)",
            ],
        }[language]
    )
    assert status.button_texts == [{"en": "✖️ Cancel", "fr": "✖️ Annuler"}[language]]
    [request] = await house.fal.wait_for_requests()
    house.fal.complete(request)
    await bea.chat.wait_for(lambda m: m is status and m.kind == "photo")
    head, prompt, cost, line = status.text.splitlines()
    assert [head, prompt, line] == {
        "en": ["🖼 Your picture", "a red fox", "🟢 $0.075 of $0.10 left (75 %)"],
        "fr": ["🖼 Votre image", "a red fox", "🟢 0,075 $ sur 0,10 $ restants (75 %)"],
    }[language]
    assert cost.startswith({"en": "$0.025 · FLUX.1 [dev] · 0:0"}.get(language, "0,025 $ · FLUX"))


async def test_a_photo_with_a_caption_is_changed(house: House) -> None:
    bea = await house.member()
    sent = await bea.sends_photo(caption="/image make it night")
    request = await made(house, sent)
    assert request["endpoint"] == "fal-ai/flux/dev/image-to-image"
    assert request["prompt"] == "make it night"
    assert "telegram" not in request["image_url"]
    assert house.telegram.token not in request["image_url"]


async def test_a_reply_to_a_photo_starts_from_it(house: House) -> None:
    bea = await house.member()
    photo = await bea.sends_photo(caption="my garden")
    await bea.chat.next_message()
    request = await made(house, await bea.sends("/image in winter", reply_to=photo))
    assert request["endpoint"] == "fal-ai/flux/dev/image-to-image"


async def test_a_reply_to_the_bots_own_picture_starts_from_it(house: House) -> None:
    bea = await house.member()
    first = await bea.sends("/image a red fox")
    await made(house, first)
    picture = bea.chat.last
    request = await made(house, await bea.sends("/image in winter", reply_to=picture))
    assert request["endpoint"] == "fal-ai/flux/dev/image-to-image"
    video = await made(house, await bea.sends("/video it runs", reply_to=picture), "video")
    assert video["endpoint"] == "fal-ai/luma-dream-machine/image-to-video"
    assert video["aspect_ratio"] == "9:16"


async def test_a_picture_sent_as_a_file_counts(house: House) -> None:
    bea = await house.member()
    for kind in ("jpeg", "png", "webp"):
        sent = await bea.sends_document(
            plain_photo(kind.upper()), f"garden.{kind}", f"image/{kind}", "/image in winter"
        )
        request = await made(house, sent)
        assert request["endpoint"] == "fal-ai/flux/dev/image-to-image", kind


async def test_a_video_is_made_from_words_or_from_a_photo(house: House) -> None:
    bea = await house.member()
    request = await made(house, await bea.sends("/video waves"), "video")
    assert (request["endpoint"], request["prompt"]) == ("fal-ai/luma-dream-machine", "waves")
    sent = await bea.sends_photo(caption="/video the leaves fall")
    request = await made(house, sent, "video")
    assert request["endpoint"] == "fal-ai/luma-dream-machine/image-to-video"


async def test_the_longest_prompt_is_taken(house: House) -> None:
    bea = await house.member()
    prompt = "🦊" * 2000 + "x" * 2000
    update = await raw(house, bea, f"/image {prompt}")
    request = await made(house, update)
    assert request["prompt"] == prompt


async def raw(house: House, person: Visitor, text: str) -> Message:
    """A message that no client would send: as it is, whatever Telegram's limits."""
    message = await person.sends("/image")
    update = house.telegram.updates.pending.pop()
    update["message"]["text"] = text
    house.telegram.push_update(update)
    return message


async def test_what_is_offered_says_its_price_and_is_made_once(house: House) -> None:
    bea = await house.member(dollars="5")
    offer = await house.answer(bea, "a red fox")
    assert offer.button_texts == ["🖼 Picture · $0.025", "🎬 Video · $0.50"]
    data = str(offer.button("🖼 Picture")["callback_data"])
    await bea.presses(offer, data)
    picture = await bea.chat.wait_for_media(after=offer)
    assert picture.text.splitlines()[1] == "a red fox"
    await bea.chat.wait_for(lambda message: message is offer and not message.buttons)
    for _ in range(2):
        query = await bea.presses(offer, data, stale=True)
        assert query.answers
    assert len(house.fal.requests) == 1


# ----------------------------------------------------------------------------- what is not, is told


async def nothing_was_made(house: House) -> None:
    assert house.fal.requests == []
    assert await ContentJob.all().count() == 0


async def test_a_command_without_words_is_asked_what_it_should_be(
    house: House, language: str
) -> None:
    bea = await house.member(language=language)
    for text in ("/image", "/image    ", "/image@fal_budget_bot", "/image\n"):
        assert await house.says(bea, text) == NO_PROMPT[language], text
    assert await house.says(bea, "/video") == NO_VIDEO_PROMPT[language]
    await bea.sends_photo(caption="/image")
    assert (await bea.chat.next_message()).text == NO_PROMPT[language]
    await nothing_was_made(house)


async def test_ten_thousand_characters_are_too_many(house: House, language: str) -> None:
    bea = await house.member(language=language)
    for length in (4001, 10_000):
        await raw(house, bea, f"/image {'x' * length}")
        written = f"{length:,}"
        assert (await bea.chat.next_message()).text == {
            "en": f"That is {written} characters long; please stay within 4,000.",
            "fr": f"Ce texte fait {written} caractères ; restez dans la limite de 4,000.".replace(
                ",", "\u202f"
            ),
        }[language]
    await nothing_was_made(house)


async def test_what_is_no_picture_is_told(house: House, language: str) -> None:
    bea = await house.member(language=language)
    await bea.sends_document(b"%PDF-1.7", "plan.pdf", "application/pdf", "/image from this")
    assert (await bea.chat.next_message()).text == NO_PICTURE[language]
    await bea.sends_document(b"hello", "note.png", "image/png", "/image from this")
    assert (await bea.chat.next_message()).text == BAD_PICTURE[language]
    sticker = await bea.sends_sticker()
    await bea.chat.next_message()
    assert await house.says(bea, "/image like this", reply_to=sticker) == NO_PICTURE[language]
    plan = await bea.sends_document(b"%PDF-1.7", "plan.pdf", "application/pdf")
    await bea.chat.next_message()
    assert await house.says(bea, "/video of this", reply_to=plan) == NO_PICTURE[language]
    await nothing_was_made(house)


async def test_options_that_a_model_does_not_have_are_to_be_left_out(
    house: House, language: str
) -> None:
    bea = await house.member(language=language)
    await bea.sends_photo(caption="/image in winter --ar 9:16")
    assert (await bea.chat.next_message()).text == {
        "en": "The shapes of this model cannot be chosen: please leave out --ar.",
        "fr": "Le format de ce modèle ne se choisit pas : écrivez sans --ar.",
    }[language]
    assert (
        await house.says(bea, "/video waves --seed 42")
        == {
            "en": "This model does not take a seed: please leave out --seed.",
            "fr": "Ce modèle ne prend pas de graine (seed) : écrivez sans --seed.",
        }[language]
    )
    await nothing_was_made(house)


async def test_more_than_20_megabytes_are_told(house: House, language: str) -> None:
    bea = await house.member(language=language)
    await bea.sends_document(
        plain_photo(), "big.jpg", "image/jpeg", "/image from this", size=20 * MEGABYTE + 1
    )
    assert (await bea.chat.next_message()).text == TOO_LARGE[language]
    await bea.sends_photo(caption="/image from this")
    update = house.telegram.updates.pending.pop()
    for size in update["message"]["photo"]:
        size["file_size"] = 21 * MEGABYTE
    house.telegram.push_update(update)
    assert (await bea.chat.next_message()).text == TOO_LARGE[language]
    await nothing_was_made(house)


async def test_what_is_too_dear_is_told_and_not_sent(house: House, language: str) -> None:
    bea = await house.member(language=language, dollars="0.024")
    assert (
        await house.says(bea, "/image a red fox")
        == {
            "en": "🔴 This costs $0.025 at most, and $0.024 is available. Nothing was sent.\n"
            "🟢 $0.024 of $0.024 left (100 %)",
            "fr": "🔴 Cela coûte 0,025 $ au plus, et 0,024 $ sont disponibles. Rien n’a été "
            "envoyé.\n"
            "🟢 0,024 $ sur 0,024 $ restants (100 %)",
        }[language]
    )
    await nothing_was_made(house)


async def test_a_fourth_job_at_once_is_told_to_wait(house: House, language: str) -> None:
    house.fal.pace = "manual"
    bea = await house.member(language=language)
    for number in range(3):
        await house.answer(bea, f"/image fox {number}")
    assert (
        await house.says(bea, "/image fox 4")
        == {
            "en": "You already have 3 jobs under way. Please wait for one, or /cancel one.",
            "fr": "Vous avez déjà 3 demandes en cours. Attendez-en une, ou arrêtez-en une avec "
            "/cancel.",
        }[language]
    )
    await house.fal.wait_for_requests(3)
    assert len(house.fal.requests) == 3


# ------------------------------------------------------------------------------- several at once


async def test_what_is_under_way_is_said_when_the_rest_is_taken_by_something_faster(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    bea = await house.member(dollars="0.05")
    # As if the two others that were asked for at this moment had not been there yet.
    monkeypatch.setattr("handlers.make._refuse_in_part", lambda *_: None)
    await bea.sends("/image a red fox --n 3")
    said = await bea.chat.wait_for_text("^Only 2 of 3 are on their way")
    assert "Nothing was sent" not in said.text

    async def both_delivered() -> bool:
        return await ContentJob.filter(state=JobState.DELIVERED).count() == 2

    await eventually(both_delivered)


async def test_a_sign_that_not_every_database_keeps_is_left_out_and_the_rest_is_made(
    house: House,
) -> None:
    bea = await house.member(dollars="1")
    await house.answer(bea, "/image a\0 red fox")
    await bea.chat.wait_for_media()
    assert (await ContentJob.get()).prompt == "a red fox"
    stranger = house.stranger("M\0al")
    assert (await house.says(stranger, "/start")).startswith("Hello!")
    assert (await Person.get(id=stranger.id)).name == "Mal"
