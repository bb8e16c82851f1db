"""What the bot does, without knowing Telegram's update objects."""
