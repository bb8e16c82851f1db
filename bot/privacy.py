"""Forgetting: what people typed and showed goes, the amounts stay."""

from __future__ import annotations

from db.models import ContentJob, Draft, Person
from db.sql import in_transaction


async def forget(person_id: int) -> int:
    """Delete a person's prompts, references to pictures and names; return how many jobs it was.

    Jobs under way keep what they need until they are done. The ledger keeps its amounts: they
    are the team's money.
    """
    async with in_transaction() as transaction:
        jobs = (
            await ContentJob.filter(person_id=person_id, shown_at__isnull=False)
            .using_db(transaction)
            .update(
                prompt="",
                arguments={},
                seed=None,
                source_file_id=None,
                result=None,
                file_id=None,
                status_url=None,
                response_url=None,
                cancel_url=None,
            )
        )
        await Draft.filter(person_id=person_id).using_db(transaction).delete()
        await (
            Person.filter(id=person_id)
            .using_db(transaction)
            .update(name="", username=None, client_language=None)
        )
    return jobs
