"""The proof of the books: every counter equals the sum of its entries."""

from __future__ import annotations

from dataclasses import dataclass

from tortoise.backends.base.client import BaseDBAsyncClient

from db.sql import fetch


@dataclass(frozen=True, slots=True)
class Finding:
    """One contradiction in the books: what is stored, and what its entries say."""

    subject: str
    what: str
    stored: int
    computed: int

    def __str__(self) -> str:
        return f"{self.subject}: {self.what} is {self.stored}, its entries say {self.computed}"


# Each statement returns only contradictions: subject, what, stored, computed.
CHECKS = (
    """
    SELECT 'person ' || p.id AS subject, c.what, c.stored, c.computed FROM (
        SELECT id, 'held' AS what, held_nanos AS stored, COALESCE(
            (SELECT SUM(held_delta_nanos) FROM ledger_entry e WHERE e.person_id = person.id), 0)
            AS computed FROM person
        UNION ALL SELECT id, 'spent', spent_nanos, COALESCE(
            (SELECT SUM(spent_delta_nanos) FROM ledger_entry e WHERE e.person_id = person.id), 0)
            FROM person
        UNION ALL SELECT id, 'total spent', total_spent_nanos, COALESCE(
            (SELECT SUM(total_delta_nanos) FROM ledger_entry e WHERE e.person_id = person.id), 0)
            FROM person
        UNION ALL SELECT id, 'held by jobs', held_nanos, COALESCE(
            (SELECT SUM(quote_nanos) FROM content_job j
             WHERE j.person_id = person.id AND j.is_held), 0) FROM person
        UNION ALL SELECT id, 'jobs under way', active_jobs,
            (SELECT COUNT(*) FROM content_job j WHERE j.person_id = person.id AND j.is_held)
            FROM person
        UNION ALL SELECT id, 'number of budgets', budget_number,
            (SELECT COUNT(*) FROM ledger_entry e WHERE e.person_id = person.id
             AND e.kind = 'budget') FROM person
    ) AS c JOIN person p ON p.id = c.id WHERE c.stored <> c.computed
    """,
    """
    SELECT 'person ' || p.id AS subject, 'budget' AS what,
        COALESCE(p.budget_nanos, -1) AS stored, COALESCE(e.amount_nanos, -1) AS computed
    FROM person p LEFT JOIN ledger_entry e ON e.id =
        (SELECT MAX(id) FROM ledger_entry WHERE person_id = p.id AND kind = 'budget')
    WHERE COALESCE(p.budget_nanos, -1) <> COALESCE(e.amount_nanos, -1)
    """,
    """
    SELECT 'job ' || j.id AS subject, c.what, c.stored, c.computed FROM (
        SELECT id, 'number of entries' AS what, entry_count AS stored,
            (SELECT COUNT(*) FROM ledger_entry e WHERE e.job_id = content_job.id) AS computed
            FROM content_job
        UNION ALL SELECT id, 'hold', CASE WHEN is_held THEN quote_nanos ELSE 0 END, COALESCE(
            (SELECT SUM(held_delta_nanos) FROM ledger_entry e WHERE e.job_id = content_job.id), 0)
            FROM content_job
        UNION ALL SELECT id, 'cost', COALESCE(cost_nanos, 0), COALESCE(
            (SELECT SUM(total_delta_nanos) FROM ledger_entry e WHERE e.job_id = content_job.id), 0)
            FROM content_job
        UNION ALL SELECT id, 'number of its budget', COALESCE(settled_budget_number, -1), COALESCE(
            (SELECT budget_number FROM ledger_entry e
             WHERE e.job_id = content_job.id AND e.number = 2), -1) FROM content_job
    ) AS c JOIN content_job j ON j.id = c.id WHERE c.stored <> c.computed
    """,
)


async def verify(connection: BaseDBAsyncClient) -> list[Finding]:
    """Compare every counter with its entries; reads only. An empty list is the proof."""
    findings: list[Finding] = []
    for check in CHECKS:
        findings += [
            Finding(row["subject"], row["what"], int(row["stored"]), int(row["computed"]))
            for row in await fetch(connection, check)
        ]
    return findings
