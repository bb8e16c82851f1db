"""What a bot says about itself: commands, descriptions, the menu button."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Profile:
    """Kept per scope and language, as the Bot API keeps them."""

    name: str = ""
    commands: dict[tuple[str, str], list[dict[str, str]]] = field(default_factory=dict)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    menu_buttons: dict[int, dict[str, Any]] = field(default_factory=dict)

    @staticmethod
    def key(scope: dict[str, Any] | None, language: str | None) -> tuple[str, str]:
        """Where commands for this scope and language are kept."""
        return json.dumps(scope or {"type": "default"}, sort_keys=True), language or ""

    def commands_for(
        self, chat_id: int, private: bool, user_id: int, language: str | None
    ) -> list[dict[str, str]]:
        """The menu that a person sees in a chat (Bot API, "Determining list of commands")."""
        scopes: list[dict[str, Any]] = [{"type": "chat", "chat_id": chat_id}]
        if private:
            scopes.append({"type": "all_private_chats"})
        else:
            scopes.insert(0, {"type": "chat_member", "chat_id": chat_id, "user_id": user_id})
            scopes.append({"type": "all_group_chats"})
        for scope in [*scopes, {"type": "default"}]:
            for wanted in (language, None):
                found = self.commands.get(self.key(scope, wanted))
                if found:
                    return found
        return []
