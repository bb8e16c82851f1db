"""`/models`: what is on offer, and what administrators put on offer and take away."""

from __future__ import annotations

from decimal import Decimal

import pytest

from bot.added import AddedModels
from bot.catalog import load_catalog
from bot.prices import PriceBook
from bot.sandbox import Sandbox
from bot.sandbox.fal import Price
from db.audit import verify
from db.models import AddedModel, AdminAction, ContentJob, JobState, Person, Turn
from db.models import Price as StoredPrice
from db.sql import now
from tests.handlers.bench import Bench, bench
from tests.handlers.house import House
from tests.support.fal import calls
from tests.support.running import ADMIN_ID, let_in
from tests.support.waiting import eventually

KLING = "fal-ai/kling-video/v2.5-turbo/pro/text-to-video"
KLING_IMAGE = "fal-ai/kling-video/v2.5-turbo/pro/image-to-video"
RECRAFT = "fal-ai/recraft/v3/text-to-image"
BANANA, BANANA_EDIT = "fal-ai/nano-banana", "fal-ai/nano-banana/edit"


async def a_minute_passes() -> None:
    """fal may be asked for prices again."""
    await Turn.all().update(due_at=now())


async def test_an_admin_puts_a_model_on_offer_and_it_is_quoted_and_used(
    house: House, language: str
) -> None:
    ada = await house.admin(language)
    answer = await house.answer(ada, f"/models add {KLING}")
    texts = {
        "en": ("Kling 2.5 Turbo Pro is on offer", "$0.35 a video", "It starts from a text."),
        "fr": ("Kling 2.5 Turbo Pro est proposé", "0,35 $ la vidéo", "Il part d’un texte."),
    }
    for text in (*texts[language], "--model kling-video-v2.5-turbo-pro", "duration=5"):
        assert text in answer.text
    assert house.telegram.complaints == []
    # Chosen with the button under the answer, it is what /video uses from now on.
    await ada.presses(answer, "model:kling-video-v2.5-turbo-pro")
    await ada.sends("/video waves --ar 9:16")
    [request] = await house.fal.wait_for_requests(1)
    assert request.endpoint_id == KLING
    assert request.arguments == {
        "prompt": "waves",
        "duration": "5",
        "aspect_ratio": "9:16",
        "negative_prompt": "blur, distort, and low quality",
        "cfg_scale": 0.5,
    }
    await ada.chat.wait_for(lambda message: message.kind == "video")
    job = await ContentJob.get()
    assert (job.quote_nanos, job.cost_nanos) == (350_000_000, 350_000_000)
    assert house.fal.bill_total_nanos == 350_000_000


async def test_text_and_picture_ends_of_a_family_become_one_model(house: House) -> None:
    ada = await house.admin()
    await house.answer(ada, f"/models add {KLING}")
    answer = await house.answer(ada, f"/models add https://fal.ai/models/{KLING_IMAGE}/api?x=1")
    assert "It starts from a text or from a picture." in answer.text
    listed = await house.answer(ada, "/models")
    assert listed.button_texts.count("Kling 2.5 Turbo Pro") == 1
    photo = await ada.sends_photo(caption="/video it moves --model kling")
    [request] = await house.fal.wait_for_requests(1)
    assert request.endpoint_id == KLING_IMAGE
    assert request.arguments["image_url"].startswith("http")
    assert photo.kind == "photo"


async def test_a_model_that_takes_a_list_of_pictures_gets_the_one_there_is(house: House) -> None:
    ada = await house.admin()
    await house.answer(ada, f"/models add {BANANA_EDIT}")
    await ada.sends_photo(caption="/image in winter --model nano-banana")
    [request] = await house.fal.wait_for_requests(1)
    assert len(request.arguments["image_urls"]) == 1
    picture = await ada.chat.wait_for(lambda message: message.kind == "photo" and message.from_bot)
    # The button under it gives the same picture into the list again.
    await ada.presses(picture, "🔁")
    requests = await house.fal.wait_for_requests(2)
    assert len(requests[1].arguments["image_urls"]) == 1
    await ada.chat.wait_for(lambda shown: shown.kind == "photo" and shown.id > picture.id)
    # Without a picture it has nothing to start from, and says so instead of using another model.
    await ada.sends("/image a fox --model nano-banana")
    await ada.chat.wait_for_text("Nano Banana Edit needs a picture")


async def test_a_named_model_that_takes_no_picture_is_not_replaced_by_another(house: House) -> None:
    bea = await house.member()
    await bea.sends_photo(caption="/image in winter --model schnell")
    answer = await bea.chat.next_message()
    assert answer.text.startswith("FLUX.1 [schnell] does not start from a picture.")
    assert await ContentJob.all().count() == 0


@pytest.mark.parametrize(
    ("endpoint", "why"),
    [
        ("fal-ai/nothing", "fal does not know fal-ai/nothing"),
        ("nothing", "Please name an endpoint"),
        ("", "Please name an endpoint"),
        ("fal-ai/flux/dev", "FLUX.1 [dev] is on offer already"),
        ("fal-ai/fast-sdxl", "only known afterwards"),
        ("fal-ai/triposr", "does not make pictures or videos"),
        ("fal-ai/birefnet", "takes no text"),
        ("fal-ai/flux-pro/v1/fill", "also needs mask_url"),
        ("fal-ai/fast-lcm-diffusion", "is retiring"),
    ],
)
async def test_what_cannot_be_offered_is_refused_with_the_reason(
    house: House, endpoint: str, why: str
) -> None:
    ada = await house.admin()
    assert why in await house.says(ada, f"/models add {endpoint}")
    assert await AddedModel.all().count() == 0
    assert await AdminAction.all().count() == 0


async def test_what_fal_does_not_say_is_not_guessed(house: House) -> None:
    ada, fal = await house.admin(), house.fal
    fal.unknown_models = "empty"
    assert "fal does not know" in await house.says(ada, "/models add fal-ai/nothing")
    fal.undescribed.add(RECRAFT)
    assert "does not describe" in await house.says(ada, f"/models add {RECRAFT}")
    fal.undescribed.clear()
    fal.faults.add("rate_limited", "models")
    assert "fal does not answer just now" in await house.says(ada, f"/models add {RECRAFT}")


async def test_who_adds_a_model_when_fal_was_just_asked_for_prices_hears_so_at_once(
    house: House, language: str
) -> None:
    ada = await house.admin(language)
    await StoredPrice.filter(endpoint=RECRAFT).delete()

    def questions() -> int:
        return calls(house.fal, "pricing")

    asked = questions()
    why, added = {
        "en": ("again in a minute", "is on offer"),
        "fr": ("dans une minute", "est proposé"),
    }[language]
    assert why in await house.says(ada, f"/models add {RECRAFT}")
    assert questions() == asked
    await a_minute_passes()
    assert added in await house.says(ada, f"/models add {RECRAFT}")
    assert questions() == asked + 1


async def test_a_model_without_a_price_is_refused(house: House) -> None:
    ada = await house.admin()
    del house.fal.prices[RECRAFT]
    await a_minute_passes()
    assert "has no price" in await house.says(ada, f"/models add {RECRAFT}")
    house.fal.prices[RECRAFT] = Price("moons", Decimal(1))
    await a_minute_passes()
    assert "by “moons”" in await house.says(ada, f"/models add {RECRAFT}")


async def test_a_category_that_fal_does_not_tell_is_read_off_the_schema(house: House) -> None:
    ada = await house.admin()
    house.fal.without_metadata |= {RECRAFT, KLING_IMAGE}
    assert "$0.04 a picture" in await house.says(ada, f"/models add {RECRAFT}")
    assert "starts from a picture" in await house.says(ada, f"/models add {KLING_IMAGE}")


async def test_only_admins_add_and_remove(house: House, language: str) -> None:
    bea = await house.member(language=language)
    refusal = {"en": "Only administrators", "fr": "Seuls les administrateurs"}[language]
    for command in (f"add {RECRAFT}", "remove flux-dev"):
        assert (await house.says(bea, f"/models {command}")).startswith(refusal)
    assert "/models add" not in await house.says(bea, "/models")
    assert "/models add" in await house.says(await house.admin(language), "/models")
    assert await AddedModel.all().count() == 0


async def test_a_removed_model_is_gone_everywhere_and_what_it_made_stays(house: House) -> None:
    ada = await house.admin()
    await house.answer(ada, f"/models add {RECRAFT}")
    await Person.filter(id=ada.id).update(image_model="recraft-v3")
    await ada.sends("/image a fox")
    made = await ada.chat.wait_for(lambda message: message.kind == "photo")
    sent = await ada.sends("/models")
    listed = await ada.chat.wait_for_text("Recraft V3 · ", after=sent)
    sent = await ada.sends("/models remove recraft-v3")
    await ada.chat.wait_for_text("Recraft V3 is not offered", after=sent)
    query = await ada.presses(made, "🔁")
    assert query.text == "The model that made this is not offered any more."
    query = await ada.presses(listed, "model:recraft-v3")
    assert query.text == "This button no longer does anything."
    # Who had chosen it is back at the usual one.
    await ada.sends("/image a fox")
    requests = await house.fal.wait_for_requests(2)
    assert requests[1].endpoint_id == "fal-ai/flux/dev"
    await ada.sends("/models remove recraft-v3")
    await ada.chat.wait_for_text("No added model")
    await ada.sends("/models remove flux-dev")
    await ada.chat.wait_for_text("came with me")


async def test_adding_and_removing_stands_in_the_record(house: House) -> None:
    ada = await house.admin()
    await house.answer(ada, f"/models add {RECRAFT}")
    await house.answer(ada, f"/models remove {RECRAFT}")
    lines = (await house.says(ada, "/users")).splitlines()
    assert any(line.endswith(f"Ada: added a model · {RECRAFT}") for line in lines)
    assert any(line.endswith(f"Ada: took a model away · {RECRAFT}") for line in lines)


async def test_added_models_survive_a_restart_and_their_prices_are_read_again(
    sandbox: Sandbox, database_url: str
) -> None:
    ada = sandbox.telegram.person(id=ADMIN_ID, name="Ada", username="ada")
    async with bench(sandbox, database_url) as made:
        await let_in(ada, is_admin=True)
        await made.hears_of(ada, f"/models add {RECRAFT}")
    sandbox.fal.prices[RECRAFT] = Price("images", Decimal("0.08"))
    async with bench(sandbox, database_url) as made:
        [listed] = await made.hears_of(ada, "/models")
        assert "Recraft V3 · $0.04 a picture" in listed.text
        await a_minute_passes()
        await made.services.prices.refresh()
        [listed] = await made.hears_of(ada, "/models")
        assert "Recraft V3 · $0.08 a picture" in listed.text


async def test_what_one_process_adds_all_others_offer_at_once(workbench: Bench) -> None:
    ada = workbench.telegram.person(id=ADMIN_ID, name="Ada", username="ada")
    await let_in(ada, is_admin=True)
    catalog, platform = load_catalog(), workbench.services.prices._platform
    other = AddedModels(catalog, PriceBook(catalog, platform), platform)
    await other.refresh()
    await workbench.hears_of(ada, f"/models add {RECRAFT}")
    await other.refresh()
    assert catalog.model_of(RECRAFT).name == "Recraft V3"
    assert await other.remove("recraft-v3", ADMIN_ID) == "Recraft V3"
    [answer] = await workbench.hears_of(ada, "/image a fox --model recraft")
    assert answer.text.startswith("I do not know that model.")


async def test_admins_read_who_added_a_model_and_nobody_else_does(house: House) -> None:
    ada, bea = await house.admin(), await house.member()
    await house.answer(ada, f"/models add {RECRAFT}")
    line = "fal-ai/recraft/v3/text-to-image"
    assert f" · {line} · added by Ada\n" in await house.says(ada, "/models")
    said = await house.says(bea, "/models")
    assert f" · {line}\n" in said
    assert "Ada" not in said


async def test_no_more_models_are_added_than_a_message_holds(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.added.MOST_ADDED", 1)
    ada = await house.admin()
    await house.answer(ada, f"/models add {RECRAFT}")
    assert "1 added models already" in await house.says(ada, f"/models add {BANANA}")


async def test_a_definition_of_another_version_is_left_out(house: House) -> None:
    ada = await house.admin()
    await house.answer(ada, f"/models add {RECRAFT}")
    await AddedModel.all().delete()
    await AddedModel.create(
        endpoint=RECRAFT,
        key="recraft-v3",
        name="Recraft V3",
        takes_image=False,
        definition={"id": RECRAFT, "of": "tomorrow"},
        added_by=ada.id,
        created_at="2026-11-23T12:00:00Z",
    )
    assert "Recraft" not in await house.says(ada, "/models")


async def test_books_hold_for_what_added_models_cost(house: House) -> None:
    ada = await house.admin()
    await house.answer(ada, f"/models add {BANANA}")
    for number in range(3):
        await ada.sends(f"/image fox {number} --model nano-banana")

    async def all_delivered() -> bool:
        done = ContentJob.filter(state=JobState.DELIVERED, cost_nanos=39_000_000)
        return await done.count() == 3

    await eventually(all_delivered)
    assert await verify(house.running.connection) == []
