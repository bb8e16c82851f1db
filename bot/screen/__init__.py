"""The Telegram side: the wire, the order of updates, and what stands in the chats."""
