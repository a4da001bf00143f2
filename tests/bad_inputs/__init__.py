"""What people bring that cannot be meant, and what they are told: see the test beside it, and log.jsonl."""
