"""The history of the schema, one file a step; made with `tortoise makemigrations`."""
