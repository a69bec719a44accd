"""Fuzzing: what comes in, damaged at random; nothing may crash, hang or get lost."""
