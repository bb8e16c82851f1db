"""One file per group of commands: parse, call one service, reply."""
