"""The only rooms that speak to fal.ai. They know nothing of Telegram and of the database."""
